# polyfield: `make demo` shows it, `make test` checks it. Both make .venv first; nothing is installed outside it.
#   TORCH   what pip installs as PyTorch; may carry pip options
#   PYTHON  the interpreter .venv is made from, 3.11 or newer
TORCH ?= torch==2.13.0
PYTHON ?= python3

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PACKAGES := encodings fields scenes renderers training apps
SOURCES := polyfield $(PACKAGES) tests

.PHONY: demo test test-slow fuzz bench lint types contracts clean
.DELETE_ON_ERROR:

demo: .venv/demo.stamp
	$(BIN)/polyfield fit scene demo --out runs/demo --seconds 45 --overwrite
	$(BIN)/polyfield render runs/demo --path orbit --frames 60 --out runs/demo/orbit.mp4 --overwrite
	$(BIN)/polyfield render runs/demo --path orbit --frames 1 --size 800x800 --out runs/demo/view --overwrite
	@$(BIN)/python -c 'import json; m = json.load(open("runs/demo/metrics.json")); \
	print("\nPSNR        %.2f dB on %d views it never saw, after %.0f s of training" % \
	(m["psnr"], m["views"], m["seconds_training"]))'
	@echo "picture     runs/demo/view/00000.png"
	@echo "comparison  runs/demo/preview.png (target, prediction, error)"
	@echo "video       runs/demo/orbit.mp4"
	@echo "model       runs/demo/model.safetensors"
	@echo "next        $(BIN)/polyfield fit scene YOUR_FOLDER --out runs/mine"

test: .venv/test.stamp lint types contracts
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

test-slow: .venv/test.stamp
	$(BIN)/python -m pytest -q -m slow

fuzz: .venv/test.stamp
	$(BIN)/python tests/fuzz --seconds $(or $(SECONDS),1800) --seed $(or $(SEED),0)

bench: .venv/demo.stamp
	$(BIN)/polyfield bench

lint: .venv/test.stamp
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/ruff format --quiet --check $(SOURCES)

types: .venv/test.stamp .typing/stamp
	$(BIN)/mypy

contracts: .venv/test.stamp .typing/stamp
	cd .typing && ../$(BIN)/lint-imports --config ../pyproject.toml

clean:
	rm -rf .venv .typing build dist *.egg-info

# Type checker and import linter don't follow the hooks of an editable install: they get a tree of symlinks.
.typing/stamp: Makefile $(wildcard polyfield/*.py)
	@mkdir -p .typing/polyfield
	@for path in polyfield/*.py polyfield/py.typed polyfield/backends; do ln -sfn ../../$$path .typing/$$path; done
	@for package in $(PACKAGES); do ln -sfn ../../$$package .typing/polyfield/$$package; done
	@touch $@

# PyTorch goes first and alone, so that its pip options touch nothing else.
.venv/torch.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
	  "polyfield: error: expected Python 3.11 or newer; got $$($(PYTHON) -V 2>&1 | head -n 1); name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv .venv || { echo \
	  "polyfield: error: expected $(PYTHON) to make a virtual environment; got a failure; on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }
	@echo "installing $(TORCH) into .venv"
	@$(PIP) install $(TORCH)
	@touch $@

.venv/demo.stamp: .venv/torch.stamp pyproject.toml
	@echo "installing polyfield into .venv"
	@$(PIP) install -e .
	@touch $@

.venv/test.stamp: .venv/demo.stamp
	@echo "installing the test tools into .venv"
	@$(PIP) install -e '.[test]'
	@touch $@
