"""What pip installs is what the tree holds."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("encodings", "fields", "scenes", "renderers", "training", "apps")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    # A copy, so that an old build/ folder can't lend its files and nothing is left behind.
    tree = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in (*PACKAGES, "polyfield"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = (tree / "dist").glob("*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_the_wheel_holds_every_module_and_no_more(wheel: set[str]) -> None:
    in_tree = {
        f"polyfield/{p.relative_to(ROOT)}" for n in PACKAGES for p in (ROOT / n).rglob("*.py")
    }
    in_tree |= {str(p.relative_to(ROOT)) for p in (ROOT / "polyfield").rglob("*.py")}
    in_tree.add("polyfield/py.typed")
    packed = {name for name in wheel if ".dist-info/" not in name}
    assert packed == in_tree


def test_the_wheel_carries_licence_and_command(wheel: set[str]) -> None:
    inside = {name.partition(".dist-info/")[2] for name in wheel}
    assert {"licenses/LICENSE", "entry_points.txt"} <= inside
