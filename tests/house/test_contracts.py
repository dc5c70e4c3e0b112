"""The import direction holds, and the tool that guards it sees a breach."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("encodings", "fields", "scenes", "renderers", "training", "apps")


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--config",
        str(ROOT / "pyproject.toml"),
        "--no-cache",
    ]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in PACKAGES:
        target = tmp_path / "polyfield" / name
        shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
    ground, ignore = ROOT / "polyfield", shutil.ignore_patterns("__pycache__")
    shutil.copytree(ground, tmp_path / "polyfield", ignore=ignore, dirs_exist_ok=True)
    return tmp_path


def test_the_tree_keeps_the_contract(tree: Path) -> None:
    done = _lint(tree)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("home", "target"),
    [
        ("encodings", "fields"),
        ("fields", "scenes"),
        ("scenes", "fields"),
        ("fields", "renderers"),
        ("renderers", "training"),
        ("training", "apps"),
        ("backends", "encodings"),
    ],
)
def test_a_forbidden_import_is_seen(tree: Path, home: str, target: str) -> None:
    breach = tree / "polyfield" / home / "breach.py"
    breach.write_text(f"import polyfield.{target}\n")
    done = _lint(tree)
    assert done.returncode == 1
    assert f"polyfield.{home}.breach -> polyfield.{target}" in done.stdout


@pytest.mark.parametrize("name", PACKAGES)
def test_a_bare_import_is_banned(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.py").write_text(f'"""A."""\n\nimport {name}\n\n{name}.x()\n')
    ruff = str(Path(sys.executable).with_name("ruff"))
    command = [ruff, "check", "--config", str(ROOT / "pyproject.toml"), "--no-cache", "a.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "TID251" in done.stdout
