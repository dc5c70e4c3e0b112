"""`polyfield export`: a run becomes a file that others read, or one line says why not."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import trimesh

import polyfield
from polyfield.apps import cli
from polyfield.renderers.exports.models import EXPORTS


def _helper(name: str) -> ModuleType:
    """A module of tests/, which is no package."""
    spec = importlib.util.spec_from_file_location(
        name, Path(__file__).resolve().parent.parent / f"{name}.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SMALL = (
    "--field.position.levels 4 --field.position.log2-size 10 --field.hidden 16 "
    "--sampler.resolution 32 --sampler.steps 128 --downscale 4 --steps 150 --threads 1 --quiet"
).split()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of the built-in scene."""
    folder = tmp_path_factory.mktemp("runs") / "demo"
    assert cli.run(["fit", "scene", "demo", "--out", str(folder), *SMALL]) == 0
    return folder


@pytest.mark.parametrize(
    ("kind", "name", "flags"),
    [
        ("mesh", "a.glb", ["--resolution", "32"]),
        ("mesh", "a.obj", ["--resolution", "24", "--texture", "64", "--faces", "500"]),
        ("web", "a.html", ["--resolution", "48", "--steps", "2"]),
        ("points", "a.ply", ["--views", "6"]),
        ("splats", "a.splat", ["--views", "6", "--count", "100"]),
        ("volume", "a.nrrd", ["--resolution", "16", "--colors"]),
        ("images", "a", ["--downscale", "4"]),
        ("onnx", "a.onnx", []),
    ],
)
def test_a_run_is_exported(
    run: Path, tmp_path: Path, kind: str, name: str, flags: list[str]
) -> None:
    out = tmp_path / name
    words = ["export", str(run), "--to", kind, "--out", str(out), "--threads", "1", *flags]
    assert cli.run(words) == 0
    assert out.exists() and not list(tmp_path.glob(".part-*"))
    assert cli.run(words) == 2  # it is there
    assert cli.run([*words, "--overwrite", "--quiet"]) == 0


def test_from_python(run: Path, tmp_path: Path) -> None:
    from polyfield.renderers.exports.mesh import Mesh

    polyfield.export(run, Mesh(resolution=24), tmp_path / "a.ply")
    low, high = polyfield.load(run).bounds.numpy()
    mesh = trimesh.load(tmp_path / "a.ply")
    assert (mesh.vertices >= low - 0.2).all() and (mesh.vertices <= high + 0.2).all()
    polyfield.export(run / "model.safetensors", "volume", tmp_path / "a.npz")
    assert np.load(tmp_path / "a.npz")["density"].max() > 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--to", "stone", "--out", "a.glb"], f"--to one of {', '.join(EXPORTS)}; got 'stone'"),
        (["--to", "mesh", "--out", "a.stl"], "ends with .glb, .ply, .obj"),
        (["--to", "mesh", "--out", "a.glb", "--count", "5"], "--to points or splats for --count"),
        (["--to", "mesh", "--out", "a.glb", "--resolution", "0"], "resolution"),
        (["--to", "mesh", "--out", "a.ply", "--texture", "64"], "FILE.glb or FILE.obj"),
        (["--to", "mesh", "--out", "a.glb", "--bounds", "1", "2", "3"], "--bounds"),
        (["--out", "a.glb"], "--to"),
        (["--to", "mesh"], "--out"),
    ],
)
def test_mistakes_are_one_line(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["export", str(run), *words]) == 2
    said = capsys.readouterr().err
    assert line in said and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_space_or_no_cameras(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture"
    flags = "--downscale 16 --steps 2 --threads 1 --quiet".split()
    assert cli.run(["fit", "image", "demo", "--out", str(picture), *flags]) == 0
    out = ["--out", str(tmp_path / "a.ply")]
    assert cli.run(["export", str(picture), "--to", "mesh", *out]) == 2
    assert "density and colour in space" in capsys.readouterr().err
    page = ["--to", "web", "--out", str(tmp_path / "a.html")]
    assert cli.run(["export", str(picture), *page, "--quiet"]) == 0
    assert "computed here" in (tmp_path / "a.html").read_text()
    assert cli.run(["export", str(picture), *page, "--overwrite", "--bands", "1"]) == 2
    assert "a scene for --bands" in capsys.readouterr().err
    model = str(run / "model.safetensors")
    assert cli.run(["export", model, "--to", "points", *out]) == 2
    assert "a run with cameras" in capsys.readouterr().err
    assert cli.run(["export", str(tmp_path / "nowhere"), "--to", "mesh", *out]) == 2
