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
def wheel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    return path


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel_file).namelist())


def test_the_wheel_holds_every_module_and_no_more(wheel: set[str]) -> None:
    in_tree = {
        f"polyfield/{p.relative_to(ROOT)}" for n in PACKAGES for p in (ROOT / n).rglob("*.py")
    }
    in_tree |= {str(p.relative_to(ROOT)) for p in (ROOT / "polyfield").rglob("*.py")}
    in_tree.add("polyfield/py.typed")
    page = ROOT / "renderers" / "exports" / "page"
    in_tree |= {f"polyfield/{p.relative_to(ROOT)}" for p in page.iterdir()}
    packed = {name for name in wheel if ".dist-info/" not in name}
    assert packed == in_tree


def test_the_wheel_carries_licence_and_command(wheel: set[str]) -> None:
    inside = {name.partition(".dist-info/")[2] for name in wheel}
    assert {"licenses/LICENSE", "entry_points.txt"} <= inside


EXPORT = """
import sys
sys.path.insert(0, sys.argv[1])
import polyfield
assert polyfield.__file__.startswith(sys.argv[1]), polyfield.__file__
from polyfield.apps.cli import run
small = "--field.position.levels 2 --field.position.log2-size 6 --sampler.resolution 16"
words = f"fit scene demo --downscale 20 --steps 20 --threads 1 --quiet {small}".split()
assert run([*words, "--out", sys.argv[2] + "/run"]) == 0
page = ["--to", "web", "--steps", "0", "--resolution", "24", "--out", sys.argv[2] + "/a.html"]
assert run(["export", sys.argv[2] + "/run", *page]) == 0
"""


@pytest.mark.slow
def test_a_page_is_exported_from_what_is_installed(wheel_file: Path, tmp_path: Path) -> None:
    """Page and shader are in the wheel."""
    place = tmp_path / "installed"
    zipfile.ZipFile(wheel_file).extractall(place)
    words = [sys.executable, "-P", "-c", EXPORT, str(place), str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "a.html").read_text()
    assert "uniform sampler3D density" in text and "requestAnimationFrame" in text
