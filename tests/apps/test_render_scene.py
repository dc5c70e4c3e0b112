"""Drawing a scene from the command line: what is shown, as which values, where it goes on."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from polyfield.apps import cli
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.captures import open_capture
from polyfield.scenes.images import read_image, write_image
from polyfield.training.loop import Fit
from polyfield.training.objectives.photometric import Behind


def _helper(name: str) -> ModuleType:
    """A module of tests/, which is no package."""
    spec = importlib.util.spec_from_file_location(
        name, Path(__file__).resolve().parent.parent / f"{name}.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SMALLER = _helper("small_runs")
write_data = SMALLER.write_data
SMALL = (
    "--field.position.levels", "2", "--field.position.log2-size", "8", "--sampler.resolution", "8",
    "--sampler.steps", "32", "--objective.samples", "512", "--steps", "5", "--quiet",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("scene") / "data")


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    out = data.parent / "run"
    assert cli.run(["fit", "scene", str(data), "--out", str(out), *SMALL]) == 0
    return out


def _render(run: Path, out: Path, *words: str) -> int:
    return cli.run(["render", str(run), "--out", str(out), "--quiet", *words])


def _fails(capsys: pytest.CaptureFixture[str], *words: Any) -> str:
    assert _render(*words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_held_out_views_are_drawn_without_their_photographs(data: Path, tmp_path: Path) -> None:
    """The run has the cameras; `evaluate` needs the images, and says so."""
    own, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(data, own)
    assert cli.run(["fit", "scene", str(own), "--out", str(run), *SMALL]) == 0
    assert _render(run, tmp_path / "before", "--path", "test") == 0
    shutil.rmtree(own)
    assert _render(run, tmp_path / "after", "--path", "test") == 0
    names = sorted(path.name for path in (tmp_path / "before").glob("*.png"))
    assert names and names == sorted(path.name for path in (tmp_path / "after").glob("*.png"))
    for name in names:
        one, two = (read_image(tmp_path / place / name) for place in ("before", "after"))
        assert (one == two).all()
    assert cli.run(["evaluate", str(run), "--quiet"]) == 2


def test_images_that_come_back_do_not_change_what_is_held_out(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(data, own)
    picture = sorted(own.rglob("*.png"))[0]
    kept = picture.read_bytes()
    picture.unlink()
    assert cli.run(["fit", "scene", str(own), "--out", str(run), *SMALL]) == 0
    score = json.loads((run / "metrics.json").read_text())["psnr"]
    picture.write_bytes(kept)
    capsys.readouterr()
    assert cli.run(["evaluate", str(run), "--quiet"]) == 0
    assert json.loads((run / "metrics.json").read_text())["psnr"] == pytest.approx(score, abs=1e-6)
    assert picture.name in capsys.readouterr().out


@pytest.mark.parametrize("what", ["color", "depth", "opacity", "normals"])
def test_values_for_eyes_and_for_programs(run: Path, tmp_path: Path, what: str) -> None:
    found = {}
    for kind in ("png", "png16", "exr"):
        words = ("--what", what, "--pixels", kind, "--frames", "2", "--size", "9x7")
        assert _render(run, tmp_path / kind, *words) == 0
        ending = "exr" if kind == "exr" else "png"
        found[kind] = read_image(tmp_path / kind / f"00001.{ending}")
    planes = 1 if what in ("depth", "opacity") else 3
    assert found["png"].shape == (7, 9, 3) and found["png"].dtype == np.uint8
    assert found["png16"].shape == (7, 9, planes) and found["png16"].dtype == np.uint16
    assert found["exr"].shape == (7, 9, planes) and found["exr"].dtype == np.float32
    if what == "depth":
        unit = json.loads((tmp_path / "png16" / "depth.json").read_text())
        steps = found["png16"] * unit["depth_unit_scale_factor"]
        assert abs(steps - found["exr"]).max() <= 0.51 * unit["depth_unit_scale_factor"]
    if what == "normals":
        length = np.linalg.norm(found["exr"], axis=-1)
        assert ((abs(length - 1) < 1e-5) | (length == 0)).all()


def test_photographs_beside_their_views(run: Path, data: Path, tmp_path: Path) -> None:
    assert _render(run, tmp_path / "a", "--path", "test", "--what", "truth") == 0
    image = read_image(tmp_path / "a" / "00001.png")
    assert image.shape == (12, 24, 3)
    given = read_image(data / "test_1.png").astype(float) / 255
    over = given[..., :3] * given[..., 3:] + 1 - given[..., 3:]
    assert abs(image[:, :12] / 255 - over).max() < 0.003


def test_it_goes_on_by_frame(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, words = tmp_path / "a", ("--frames", "4", "--size", "9x7", "--resume")
    assert _render(run, out, *words) == 0
    whole = {p.name: p.read_bytes() for p in out.iterdir()}
    kept = np.zeros((7, 9, 3), np.uint8)
    write_image(out / "00001.png", kept)  # whole, so it stays
    (out / "00002.png").write_bytes(whole["00002.png"][:-20])
    (out / "00003.png").unlink()
    assert _render(run, out, *words) == 0
    for name in ("00000.png", "00002.png", "00003.png"):
        assert (out / name).read_bytes() == whole[name]
    assert np.array_equal(read_image(out / "00001.png"), kept)
    other = ("--frames", "5", "--size", "9x7", "--resume")
    assert "frames of others" in _fails(capsys, run, out, *other)
    assert "a new file or folder" in _fails(capsys, run, out, "--frames", "4")
    assert "--resume or --overwrite" in _fails(capsys, run, out, *words, "--overwrite")
    assert "leave out --resume" in _fails(capsys, run, tmp_path / "a.mp4", "--resume")
    assert "leave out --pixels" in _fails(capsys, run, tmp_path / "a.gif", "--pixels", "exr")


def test_a_lens_that_folds_is_told_before_anything_is_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = {"transform_matrix": np.eye(4).tolist(), "k1": 1e19}
    lens = {"fl_x": 9.0, "w": 9, "h": 7}
    (tmp_path / "p.json").write_text(json.dumps({**lens, "frames": [frame]}))
    path = ("--path", str(tmp_path / "p.json"))
    for more in ((), ("--resume",), ("--save-path", str(tmp_path / "q.json"))):
        assert "folds it over" in _fails(capsys, run, tmp_path / "a", *path, *more)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["p.json"]


def test_paths_through_chosen_views_are_saved(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.json"
    words = [
        "--path", "interpolate", "--through", "train:0,2,1", "--order", "nearest",
        "--frames", "3", "--fov", "40:20", "--size", "8x8", "--save-path", str(file),
    ]  # fmt: skip
    assert _render(run, tmp_path / "a.gif", *words, "--fps", "10") == 0
    saved = json.loads(file.read_text())
    assert saved["fps"] == 10 and len(saved["frames"]) == 3
    focal = [4 / np.tan(np.radians(angle) / 2) for angle in (40, 30, 20)]
    assert [frame["fl_y"] for frame in saved["frames"]] == pytest.approx(focal)
    assert _render(run, tmp_path / "b.gif", "--path", str(file), "--fps", "10") == 0
    assert (tmp_path / "b.gif").read_bytes() == (tmp_path / "a.gif").read_bytes()
    for wrong, told in (
        (("--through", "train"), "--path interpolate"),
        (("--order", "nearest"), "--path interpolate"),
        (("--fov", "0"), "--fov in degrees"),
        (("--save-path", "a.txt"), "--save-path FILE.json"),
        (("--what", "truth"), "--path train or val or test"),
        (("--path", "test", "--what", "truth", "--size", "8x8"), "--size"),
        (("--path", "spiral"), "--path orbit"),
    ):
        assert told in _fails(capsys, run, tmp_path / "c", *wrong)
    assert not (tmp_path / "c").exists()


def test_masks_count_in_loss_and_scores(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A red block over half of each picture is neither learned nor measured."""
    scores = {}
    for name in ("plain", "block"):
        folder = write_data(tmp_path / name)
        for split in ("train", "test"):
            content = json.loads((folder / f"transforms_{split}.json").read_text())
            mask = np.full((12, 12), 255, np.uint8)
            mask[:, :6] = 0
            write_image(folder / "mask.png", mask)
            for frame in content["frames"]:
                frame["mask_path"] = "mask.png"
                if name == "block":
                    picture = read_image(folder / frame["file_path"]).copy()
                    picture[:, :6] = (255, 0, 0, 255)
                    write_image(folder / frame["file_path"], picture)
            (folder / f"transforms_{split}.json").write_text(json.dumps(content))
        out = tmp_path / f"run-{name}"
        words = [word for word in SMALL if word != "--quiet"]
        assert cli.run(["fit", "scene", str(folder), "--out", str(out), *words]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        assert "4 training views (4 with masks, which ignore 50.0% of their pixels)" in printed.out
        scores[name] = json.loads((out / "metrics.json").read_text())
        assert scores[name]["ignored"] == 0.5
    assert scores["plain"]["psnr"] == scores["block"]["psnr"]


def test_pixels_in_a_file_train_the_same(
    data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("POLYFIELD_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "run"
    words = [word for word in SMALL if word != "--quiet"]
    fit = ["fit", "scene", str(data), "--out", str(out), *words]
    assert cli.run([*fit, "--memory", "1kB"]) == 0
    assert str(tmp_path / "cache") in capsys.readouterr().out
    for name in ("model.safetensors",):
        assert (out / name).read_bytes() == (run / name).read_bytes()
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == 2  # train and test
    assert cli.run(["evaluate", str(out), "--quiet"]) == 0
    assert cli.run([*fit, "--resume"]) == 0  # how pixels are kept is no part of the run
    assert sorted((tmp_path / "cache").iterdir()) == files


def test_a_scene_of_another_scale_trains_to_the_same_digits(data: Path, tmp_path: Path) -> None:
    """Fields never see the user's units, nor where the scene is."""
    fields, far = [], (16.0, -32.0, 64.0)
    for name, scale, shift in (
        ("one", 1.0, (0.0, 0.0, 0.0)),
        ("large", 64.0, (0.0, 0.0, 0.0)),
        ("tiny", 2.0**-14, (0.0, 0.0, 0.0)),
        ("elsewhere", 8.0, far),
    ):
        folder = tmp_path / name
        shutil.copytree(data, folder)
        for file in folder.glob("*.json"):
            content = json.loads(file.read_text())
            for frame in content["frames"]:
                for row, more in zip(frame["transform_matrix"], shift, strict=False):
                    row[3] = row[3] * scale + more
            file.write_text(json.dumps(content))
        capture = open_capture(folder, ReadOptions())
        torch.manual_seed(0)
        run = SMALLER.scene_run("hash", 3)
        world = SceneInfo(capture.bounds, capture.unbounded, capture.color_space, (1.0, 1.0, 1.0))
        model = RadianceModel(run.field, run.sampler, world)
        objective = run.objective.build(capture.scene("train"), model, Behind(None), 0)
        fit = Fit(model.field, objective, run.fit)
        SMALLER.go(fit, 3)
        fields.append([v.clone() for v in model.field.parameters()])
        assert capture.warnings == []
    for other in fields[1:]:
        assert all(torch.equal(a, b) for a, b in zip(fields[0], other, strict=True))
