"""The fuzzer finds what it looks for: planted faults, one at a time."""

from __future__ import annotations

import importlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest

LINE = b"polyfield: error: expected a; got b; do c\n"


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its modules, which import each other by bare names, as they do when the folder is run."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return {name: importlib.import_module(name) for name in ("case", "driver", "judge")}


def _names(fuzz: Any, folder: Path, **values: Any) -> set[str]:
    good = {
        "code": 2, "stdout": b"", "stderr": LINE, "seconds": 0.1, "memory": 0, "end": "",
        "before": {}, "after": {}, "left": (),
    }  # fmt: skip
    result = fuzz["driver"].Result(**{**good, **values})
    found = fuzz["judge"].faults(fuzz["case"].Case("x", ("info",)), result, folder)
    return {fault.name for fault in found}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, None),
        ({"code": 0, "stderr": b""}, None),
        ({"code": 1, "stderr": b"polyfield: error: expected to write x; got y; do c\n"}, None),
        ({"code": 1}, "exit 1"),
        ({"code": 3}, "exit code"),
        ({"code": None, "end": "hang: it waits"}, "hang"),
        ({"code": None, "end": "died: SIGSEGV"}, "died"),
        ({"memory": 3 << 30}, "memory"),
        ({"stdout": b"Traceback (most recent call last):\n"}, "traceback"),
        ({"stderr": b"libpng warning\n" + LINE}, "more than a line"),
        ({"code": 0, "stderr": b"libpng warning\n"}, "stderr of a success"),
        ({"stderr": b"oh no\n"}, "no error line"),
        ({"stderr": LINE.replace(b"b", b"b" * 400)}, "long line"),
        ({"stderr": b"polyfield: error: no\n"}, "no mend"),
        ({"stderr": LINE.replace(b"b", b"\x1b[2J")}, "control character"),
        ({"stdout": b"x\n" * 90_000}, "flood"),
        ({"left": ("tmp/x",)}, "strays"),
        ({"after": {"o/config.yaml": "1"}}, "half written"),
        ({"code": 0, "stderr": b"", "after": {"o/.part-x": "1"}}, "half written"),
    ],
)
def test_a_planted_fault(
    fuzz: Any, values: dict[str, Any], name: str | None, tmp_path: Path
) -> None:
    assert _names(fuzz, tmp_path, **values) == (set() if name is None else {name})


def test_numbers_that_are_not_finite_after_a_success(fuzz: Any, tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    content = struct.pack("<Q", len(header)) + header + struct.pack("<f", float("nan"))
    (tmp_path / "model.safetensors").write_bytes(content)
    (tmp_path / "metrics.json").write_text('{"psnr": null, "ssim": 0.5}')
    after = {"model.safetensors": "1", "metrics.json": "1"}
    assert _names(fuzz, tmp_path, code=0, stderr=b"", after=after) == {"not finite", "score"}


@pytest.mark.parametrize(("values", "names"), [(65_000_000, set()), (1000, {"memory"})])
def test_a_large_model_that_was_asked_for_may_take_its_memory(
    fuzz: Any, values: int, names: set[str], tmp_path: Path
) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({"psnr": 20.0, "parameters": values}))
    after, held = {"metrics.json": "1"}, {"code": 0, "stderr": b"", "memory": 3 << 30}
    assert _names(fuzz, tmp_path, after=after, **held) == names
    assert _names(fuzz, tmp_path, after=after, before=after, **held) & {"memory"}


def test_faults_of_one_kind_have_one_key(fuzz: Any) -> None:
    keys = {
        fuzz["judge"].Fault("exit 1", f"got 'a{n}' of {n} at /tmp/{n}/x; do {n}.5").key
        for n in range(3)
    }
    assert len(keys) == 1


def test_what_is_asked_to_be_in_the_home_is_no_stray(fuzz: Any, tmp_path: Path) -> None:
    for words, strays in ((("--out", "~"), False), (("--out=~",), False), (("--out", "o"), True)):
        result = fuzz["driver"].Result(0, b"", b"", 0.1, 0, "", {}, {}, ("home/config.yaml",))
        case = fuzz["case"].Case("x", ("info", *words))
        found = {fault.name for fault in fuzz["judge"].faults(case, result, tmp_path)}
        assert ("strays" in found) is strays
