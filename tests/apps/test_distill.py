"""`polyfield distill` as a user has it: runs, reports, errors, and no photographs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.apps import distill_curve
from polyfield.apps.cli import run as command
from polyfield.apps.distill_curve import seconds_to
from polyfield.encodings.files import read_json
from polyfield.fields.serialize import load_tensors
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.color import from_float
from polyfield.scenes.images import write_image


def _transforms(folder: Path) -> Path:
    """The built-in scene as files, tiny."""
    capture = open_capture("demo", ReadOptions(downscale=16))
    folder.mkdir()
    for split in ("train", "test"):
        scene, frames = capture.scene(split), []
        for i in range(min(4, len(scene))):
            _, rgba = scene.view(i)
            name = f"{split}_{i}.png"
            write_image(folder / name, from_float(rgba.numpy(), np.dtype(np.uint8)))
            camera = scene.cameras[i]
            frames.append({"file_path": name, "transform_matrix": camera.pose.tolist()})
        lens = {"fl_x": camera.fl_x, "fl_y": camera.fl_y, "cx": camera.cx, "cy": camera.cy}
        lens |= {"w": camera.width, "h": camera.height}
        (folder / f"transforms_{split}.json").write_text(json.dumps({**lens, "frames": frames}))
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and three teachers: of a scene, of a picture, and one not trained."""
    folder = tmp_path_factory.mktemp("distill")
    data = str(_transforms(folder / "data"))
    scene = [data, "--steps", "30", "--out", str(folder / "scene"), "--quiet"]
    scene += ["--objective.samples", "512", "--sampler.resolution", "16", "--sampler.sweep", "16"]
    assert command(["fit", "scene", *scene]) == 0
    image = [str(folder / "data" / "train_0.png"), "--steps", "20", "--out", str(folder / "image")]
    assert command(["fit", "image", *image, "--quiet"]) == 0
    shutil.copytree(folder / "scene", folder / "raw")
    (folder / "raw" / "model.safetensors").unlink()
    return folder


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distill_curve, "PIXELS", 256)


def _distill(home: Path, *words: str) -> int:
    return command(["distill", *words, "--quiet"])


def test_a_student_is_an_ordinary_run(home: Path) -> None:
    out = str(home / "vm")
    words = [str(home / "scene"), "--to", "triplane", "--steps", "6", "--out", out]
    assert _distill(home, *words) == 0
    found = read_json(home / "vm" / "report.json")
    for key in (
        "teacher", "student", "psnr_student_vs_teacher", "psnr_student", "psnr_teacher", "seconds",
        "model_bytes", "seconds_teacher", "frame_seconds_teacher", "frame_seconds_student",
        "query_points_per_second", "curve", "baseline",
    ):  # fmt: skip
        assert key in found, key
    assert found["student"] == "triplane" and found["teacher"] == "hash"
    assert found["curve"][-1]["progress"] == 1 and found["baseline"] is None
    assert (home / "vm" / "report.md").read_text().startswith("# triplane from hash")
    assert (home / "vm" / "report.png").is_file() and (home / "vm" / "cameras.json").is_file()
    assert command(["evaluate", out, "--quiet"]) == 0
    assert command(["info", out, "--json"]) == 0
    assert _distill(home, *words, "--resume") == 0
    assert _distill(home, *words, "--overwrite") == 0
    # The curve of the run before is not carried on.
    again = read_json(home / "vm" / "report.json")["curve"]
    assert [row["progress"] for row in again] == [row["progress"] for row in found["curve"]]
    back = [out, "--to", "hash", "--steps", "3", "--out", str(home / "back")]
    assert _distill(home, *back) == 0


def test_the_photographs_are_not_read(home: Path) -> None:
    """Without them the student is the same, number by number."""
    students = []
    for name in ("with", "without"):
        if name == "without":
            (home / "data").rename(home / "gone")
        words = [str(home / "scene"), "--to", "dense", "--steps", "5", "--out", str(home / name)]
        assert _distill(home, *words) == 0
        students.append(load_tensors(home / name / "model.safetensors")[0])
    (home / "gone").rename(home / "data")
    assert students[0].keys() == students[1].keys()
    for name, tensor in students[0].items():
        assert torch.equal(tensor, students[1][name]), name
    assert read_json(home / "without" / "report.json")["psnr_student"] is None


def test_fine_tuning_and_baselines(home: Path) -> None:
    words = [str(home / "scene"), "--to", "dense", "--steps", "4", "--out", str(home / "dense")]
    words += ["--method", "kilonerf", "--finetune", str(home / "data"), "--baseline"]
    assert _distill(home, *words) == 0
    found = read_json(home / "dense" / "report.json")
    assert found["method"] == "kilonerf" and found["steps"] == 8
    assert set(found["baseline"]) == {"seconds", "steps"}
    assert found["baseline"]["steps"]["steps"] == 8 and found["baseline"]["steps"]["curve"]


def test_pictures(home: Path) -> None:
    words = [str(home / "image"), "--to", "siren", "--steps", "3", "--out", str(home / "siren")]
    assert _distill(home, *words) == 0
    found = read_json(home / "siren" / "report.json")
    assert found["psnr_student"] is not None and found["method"] == "values"
    assert command(["evaluate", str(home / "siren"), "--quiet"]) == 0


def test_the_matrix_keeps_what_is_done(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--matrix", str(home / "data"), "--presets", "hash,dense", "--steps", "3"]
    words += ["--out", str(home / "matrix")]
    assert _distill(home, *words) == 0
    rows = read_json(home / "matrix" / "matrix.json")["rows"]
    assert [(r["teacher"], r["student"]) for r in rows] == [("hash", "dense"), ("dense", "hash")]
    assert all(row["psnr_student_vs_teacher"] is not None for row in rows)
    shutil.rmtree(home / "matrix" / "pairs")
    assert _distill(home, *words) == 0
    assert not (home / "matrix" / "pairs").exists()
    assert (home / "matrix" / "matrix.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--to", "mlp"], "RUN"),
        (["raw", "--to", "mlp"], "model.safetensors"),
        (["scene", "--to", "siren"], "a preset"),
        (["image", "--to", "vm"], "a preset"),
        (["image", "--to", "siren", "--heads"], "a teacher of a scene"),
        (["scene"], "--to"),
        (["scene", "--to", "mlp", "--method", "magic"], "--method"),
        (["scene", "--to", "mlp", "--method", "pvd-al", "--al", "pixels"], "--al"),
        (["scene", "--to", "kilo", "--heads"], "--heads"),
        (["scene", "--to", "mlp", "--steps", "0"], "steps"),
        (["scene", "--to", "mlp", "--matrix", "demo"], "--matrix"),
        (["scene", "--to", "mlp", "--finetune", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_line(
    home: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = str(home / words[0])
    assert command(["distill", first, *words[1:], "--out", str(home / "x"), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert said in error and "expected" in error and len(error.strip().splitlines()) == 1
    assert not (home / "x").exists()


def test_when_a_curve_reaches_a_value() -> None:
    rows = [{"seconds": 0.0, "psnr": 10.0}, {"seconds": 2.0, "psnr": 20.0}]
    assert seconds_to(rows, 15.0) == 1.0 and seconds_to(rows, 9.0) == 0.0
    assert seconds_to(rows, 21.0) is None and seconds_to([], 1.0) is None
