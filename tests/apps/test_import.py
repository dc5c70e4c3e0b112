"""`polyfield import`: a snapshot becomes a run that is drawn, exported, distilled and described."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

import polyfield
from polyfield.apps import cli
from polyfield.scenes.images import read_image


def _helper(name: str):
    path = Path(__file__).resolve().parent.parent / "renderers" / "imports" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hand = _helper("hand_written")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An imported scene, of whose cells an eighth are occupied."""
    folder = tmp_path_factory.mktemp("imported")
    axis = np.arange(hand.CELLS)
    cells = np.zeros((1, hand.CELLS**3))
    spread = np.array([hand.morton(int(i), 0, 0) for i in axis])
    part = spread[32:96]
    middle = part[:, None, None] | part[:, None] << 1 | part << 2
    cells[0, middle.ravel()] = 1.0
    file = hand.write(folder / "scene.ingp", hand.scene_tree(1, cells))
    assert cli.run(["import", str(file), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_it_is_described(run, capsys):
    assert cli.run(["info", str(run)]) == 0
    said = capsys.readouterr().out
    assert "instant-ngp" in said and "NgpRadiance" in said and "35000" in said


def test_it_is_drawn_exported_and_distilled(run, tmp_path):
    threads = ["--threads", "1", "--quiet"]
    out = tmp_path / "frames"
    words = ["render", str(run), "--path", "orbit", "--frames", "2", "--out", str(out), *threads]
    assert cli.run([*words, "--size", "16x12"]) == 0
    assert len(list(out.glob("*.png"))) == 2
    words = ["export", str(run), "--to", "mesh", "--resolution", "32", "--level", "1", *threads]
    assert cli.run([*words, "--out", str(tmp_path / "a.ply")]) == 0
    words = ["export", str(run), "--to", "volume", "--resolution", "16", *threads]
    assert cli.run([*words, "--out", str(tmp_path / "a.npz")]) == 0
    found = np.load(tmp_path / "a.npz")["density"]
    assert found.max() > 0 and found[0].max() == 0
    words = ["distill", str(run), "--to", "voxels", "--steps", "2", *threads]
    assert cli.run([*words, "--out", str(tmp_path / "student")]) == 0
    assert (tmp_path / "student" / "metrics.json").is_file()


def test_from_python_and_what_is_there_already(run, tmp_path, capsys):
    file = run.parent / "scene.ingp"
    model = polyfield.import_model(file, tmp_path / "run")
    camera = polyfield.Camera(hand.pose(), 8, 6, 10.0, 10.0, 4.0, 3.0)
    seen = model.render(camera)
    again = polyfield.load(tmp_path / "run").render(camera)
    assert torch.equal(seen.color, again.color) and float(seen.opacity.max()) > 0
    assert cli.run(["import", str(file), "--out", str(tmp_path / "run")]) == 2
    assert "holds a run" in capsys.readouterr().err
    assert cli.run(["import", str(file), "--out", str(tmp_path / "run"), "--overwrite"]) == 0


def test_an_image(tmp_path, capsys):
    file = hand.write(tmp_path / "image.msgpack", hand.image_tree())
    run, flags = tmp_path / "run", ["--size", "300", "200"]
    assert cli.run(["import", str(file), "--out", str(run), *flags]) == 0
    out = ["--out", str(tmp_path / "a.png"), "--threads", "1", "--quiet"]
    assert cli.run(["render", str(run), *out]) == 0
    assert read_image(tmp_path / "a.png").shape[:2] == (200, 300)
    capsys.readouterr()
    assert cli.run(["import", str(file), "--out", str(tmp_path / "other")]) == 2
    said = capsys.readouterr().err
    assert "--size WIDTH HEIGHT" in said and said.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_other_files_are_one_line(tmp_path, capsys):
    (tmp_path / "a").write_bytes(b"PK\3\4 and so on")
    for name in ("a", "nothing"):
        words = ["import", str(tmp_path / name), "--out", str(tmp_path / "run")]
        assert cli.run(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()
