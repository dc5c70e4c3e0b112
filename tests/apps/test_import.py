"""`polyfield import`: a snapshot becomes a run that is drawn, exported, distilled and described."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import polyfield
from polyfield.apps import cli
from polyfield.scenes.images import read_image, write_image


def _helper(name: str):
    path = Path(__file__).resolve().parent.parent / "renderers" / "imports" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
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


nerfstudio = _helper("nerfstudio_by_hand")


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """Eight images around where the hand-written training looks, of 16 x 12 pixels."""
    folder = tmp_path_factory.mktemp("capture")
    transform, scale = nerfstudio.turned()
    middle = -np.linalg.solve(transform[:, :3], transform[:, 3])
    frames = []
    for i in range(8):
        turn = i * np.pi / 4
        away = np.array([np.sin(turn), -np.cos(turn), 0.2])
        away /= np.linalg.norm(away)
        right = np.cross([0.0, 0.0, 1.0], away)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(away, right), away, middle + away / scale], 1)
        image = np.full((12, 16, 3), 20 * i, np.uint8)
        image[:, 8:] = 200
        write_image(folder / f"{i}.png", image)
        frames.append({"file_path": f"{i}.png", "transform_matrix": pose.tolist()})
    lens = {"fl_x": 18.0, "fl_y": 18.0, "cx": 8.0, "cy": 6.0, "w": 16, "h": 12}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))
    return folder


@pytest.mark.parametrize("model", ["nerfacto", "ngp"])
def test_a_training_of_nerfstudio(tmp_path, capture, model, capsys):
    kind = nerfstudio.Kind(model=model, behind="last_sample" if model == "nerfacto" else "random")
    folder = nerfstudio.write(tmp_path / "theirs", kind, str(capture))
    run, threads = tmp_path / "run", ["--threads", "1", "--quiet"]
    assert cli.run(["import", str(folder), "--out", str(run)]) == 0
    said = capsys.readouterr().out
    # Half of the images were trained on, evenly, as its config says.
    assert "nerfstudio" in said and "4 cameras" in said
    names = json.loads((run / "cameras.json").read_text())["names"]
    assert names == {"train": ["0.png", "2.png", "4.png", "7.png"],
                     "test": ["1.png", "3.png", "5.png", "6.png"]}  # fmt: skip
    assert cli.run(["info", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"nerfstudio {kind.model if model == 'nerfacto' else 'instant-ngp'}" in said
    assert cli.run(["evaluate", str(run), *threads]) == 0
    found = json.loads((run / "metrics.json").read_text())
    assert found["views"] == 4 and 0 < found["psnr"] < 60
    words = ["render", str(run), "--path", "orbit", "--frames", "2", "--size", "16x12"]
    assert cli.run([*words, "--out", str(tmp_path / "frames"), *threads]) == 0
    images = [read_image(path) for path in sorted((tmp_path / "frames").glob("*.png"))]
    assert len(images) == 2 and images[0].std() > 1
    words = ["export", str(run), "--to", "volume", "--resolution", "16", *threads]
    assert cli.run([*words, "--out", str(tmp_path / "a.npz")]) == 0
    assert np.load(tmp_path / "a.npz")["density"].max() > 0
    words = ["export", str(run), "--to", "mesh", "--resolution", "24", "--level", "0.1", *threads]
    assert cli.run([*words, "--out", str(tmp_path / "a.ply")]) == 0
    words = ["distill", str(run), "--to", "voxels", "--steps", "2", *threads]
    assert cli.run([*words, "--out", str(tmp_path / "student")]) == 0


def test_a_training_without_its_data(tmp_path, capture, capsys):
    folder = nerfstudio.write(tmp_path / "theirs", nerfstudio.Kind())
    assert cli.run(["import", str(folder), "--out", str(tmp_path / "a")]) == 0
    assert "--data FOLDER" in capsys.readouterr().out
    words = ["import", str(folder), "--out", str(tmp_path / "b"), "--data", str(capture)]
    assert cli.run(words) == 0
    assert "4 cameras" in capsys.readouterr().out
    assert cli.run([*words[:-1], str(tmp_path / "no"), "--overwrite"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_hostile_training_is_one_line(tmp_path, capsys):
    folder = nerfstudio.write(tmp_path / "theirs", nerfstudio.Kind())
    touched, checkpoint = tmp_path / "touched", folder / "nerfstudio_models/step-000029999.ckpt"

    class Evil:
        def __reduce__(self):
            return open, (str(touched), "w")

    torch.save({"step": 1, "pipeline": {"_model.a": Evil()}}, checkpoint)
    assert cli.run(["import", str(checkpoint), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "io.open" in said and said.count("\n") == 1
    config = folder / "config.yml"
    config.write_text(f"!!python/object/apply:os.system ['touch {touched}']\n")
    assert cli.run(["import", str(folder), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not touched.exists() and not (tmp_path / "run").exists()


def test_a_lens_that_folds_is_told_before_anything_is_written(tmp_path, capsys):
    tree = hand.scene_tree()
    lens = tree["snapshot"]["nerf"]["dataset"]["metadata"][1]["lens"]
    lens["k1"] = -30.0
    file = hand.write(tmp_path / "scene.ingp", tree)
    assert cli.run(["import", str(file), "--out", str(tmp_path / "run")]) == 2
    assert "can be undone" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]
