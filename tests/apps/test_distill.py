"""`polyfield distill` as a user has it: runs, reports, errors, and no images."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.apps.cli import run as command
from polyfield.apps.tasks import scene_scores, signals
from polyfield.files import read_json
from polyfield.renderers.model_files import load_model
from polyfield.renderers.occupancy import OccupancySampler
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.color import from_float
from polyfield.scenes.images import write_image
from polyfield.tensors import load_tensors
from polyfield.training.loop import Fit
from polyfield.training.watchers.probe import seconds_to


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
    """A folder with data and three teachers: of a scene, of an image, and one not trained."""
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
    monkeypatch.setattr(scene_scores, "PIXELS", 256)
    monkeypatch.setattr(signals, "PROBED", 256)


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


@pytest.mark.parametrize("words", [[], ["--no-inherit"]])
def test_the_march_comes_with_the_grid(home: Path, words: list[str]) -> None:
    """The teacher's cells, steps and threshold; without inheritance the preset's own."""
    out = home / "-".join(["march", *words])
    given = [str(home / "scene"), "--to", "mlp", "--steps", "2", "--out", str(out), *words]
    assert _distill(home, *given) == 0
    model = load_model(out / "model.safetensors")
    assert isinstance(model, RadianceModel)
    sampler = model.renderer.sampler
    assert isinstance(sampler, OccupancySampler)
    config = sampler.config
    wanted = (64, 128, 0.02) if words else (16, 256, 0.01)
    assert (config.resolution, config.steps, config.threshold) == wanted
    if not words:
        teacher = load_model(home / "scene" / "model.safetensors")
        assert isinstance(teacher, RadianceModel)
        assert torch.equal(sampler.occupied, teacher.renderer.sampler.state_dict()["occupied"])


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
    assert found["curve"][-1]["progress"] == 1 and found["frame_seconds_student"] > 0
    assert (home / "siren" / "report.png").is_file()
    assert command(["evaluate", str(home / "siren"), "--quiet"]) == 0


def test_the_matrix_keeps_what_is_done(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--matrix", str(home / "data"), "--presets", "hash,dense", "--steps", "3"]
    words += ["--out", str(home / "matrix")]
    assert _distill(home, *words) == 0
    rows = read_json(home / "matrix" / "matrix.json")["rows"]
    assert [(r["teacher"], r["student"]) for r in rows] == [("hash", "dense"), ("dense", "hash")]
    assert all(row["psnr_student_vs_teacher"] is not None for row in rows)
    for name in ("pairs", "teachers"):
        shutil.rmtree(home / "matrix" / name)
    assert _distill(home, *words) == 0
    assert not (home / "matrix" / "pairs").exists()
    assert not (home / "matrix" / "teachers").exists()
    assert (home / "matrix" / "matrix.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--to", "mlp"], "RUN"),
        (["raw", "--to", "mlp"], "model.safetensors"),
        (["scene", "--to", "siren"], "a preset"),
        (["image", "--to", "vm"], "a preset"),
        (["image", "--to", "siren", "--heads"], "--heads"),
        (["scene"], "--to"),
        (["scene", "--to", "mlp", "--method", "magic"], "--method"),
        (["scene", "--to", "mlp", "--method", "pvd-al", "--al", "pixels"], "--al"),
        (["scene", "--to", "kilo", "--heads"], "--heads"),
        (["scene", "--to", "mlp", "--al", "rays"], "--al"),
        (["scene", "--to", "mlp", "--presets", "hash,mlp"], "--presets"),
        (["image", "--to", "siren", "--no-clamp"], "--no-clamp"),
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


@pytest.mark.parametrize("flag", ["--heads", "--no-inherit", "--overwrite", "--baseline"])
def test_the_matrix_takes_no_flags_of_one_student(
    home: Path, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _distill(home, "--matrix", "demo", flag, "--out", str(home / "x")) == 2
    assert flag in capsys.readouterr().err and not (home / "x").exists()


def test_a_teacher_is_not_its_own_student(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in (home / "scene").iterdir())
    out = str(home / "data" / ".." / "scene")
    assert _distill(home, str(home / "scene"), "--to", "dense", "--out", out, "--overwrite") == 2
    assert "the teacher's" in capsys.readouterr().err
    assert sorted(path.name for path in (home / "scene").iterdir()) == before


def test_what_lies_in_the_way_of_a_matrix(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "file").write_text("")
    assert _distill(home, "--matrix", "demo", "--out", str(home / "file")) == 2
    (home / "odd").mkdir()
    (home / "odd" / "matrix.json").write_text("[]")
    assert _distill(home, "--matrix", "demo", "--out", str(home / "odd")) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 2


def test_a_report_outlives_what_comes_after(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Resuming a finished run keeps its baseline; measures that are gone are one line."""
    words = [str(home / "scene"), "--to", "dense", "--steps", "3", "--out", str(home / "kept")]
    assert _distill(home, *words, "--baseline") == 0
    race = read_json(home / "kept" / "report.json")["baseline"]["steps"]
    if race["seconds_reached"] is not None:
        assert race["ratio"] == pytest.approx(race["seconds_reached"] / race["seconds"])
        assert race["ratio_with_teacher"] > race["ratio"]
    assert _distill(home, *words, "--resume") == 0
    assert read_json(home / "kept" / "report.json")["baseline"]["steps"] == race
    assert command(["evaluate", str(home / "kept"), "--overwrite", "--quiet"]) == 0
    assert _distill(home, *words, "--resume") == 2
    assert "evaluate" in capsys.readouterr().err


def test_the_teacher_is_measured_on_the_same_photographs(home: Path) -> None:
    """Also after it was measured on others."""
    shutil.copytree(home / "scene", home / "elsewhere")
    shutil.copytree(home / "data", home / "others")
    shutil.copyfile(home / "data" / "test_1.png", home / "others" / "test_0.png")
    found = []
    for name in ("one", "two"):
        words = [
            str(home / "elsewhere"),
            "--to",
            "dense",
            "--steps",
            "2",
            "--out",
            str(home / name),
        ]
        assert _distill(home, *words) == 0
        found.append(read_json(home / name / "report.json")["psnr_teacher"])
        if name == "one":
            other = ["evaluate", str(home / "elsewhere"), "--data", str(home / "others")]
            assert command([*other, "--quiet"]) == 0
            assert read_json(home / "elsewhere" / "metrics.json")["psnr"] != found[0]
    assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_a_photograph_that_cannot_be_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not needed, so the student is measured without; but it is said."""
    photograph = home / "data" / "test_0.png"
    whole = photograph.read_bytes()
    photograph.write_bytes(whole[:100])
    words = [str(home / "scene"), "--to", "dense", "--steps", "2"]
    try:
        assert command(["distill", *words, "--out", str(home / "broken")]) == 0
        assert _distill(home, *words, "--baseline", "--out", str(home / "never")) == 2
    finally:
        photograph.write_bytes(whole)
    assert "test_0" in capsys.readouterr().out and not (home / "never").exists()
    assert read_json(home / "broken" / "report.json")["psnr_student"] is None


def test_a_teacher_that_was_stopped(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["fit", "scene", str(home / "data"), "--preset", "dense", "--steps", "30", "--quiet"]
    with monkeypatch.context() as patch:
        _interrupt_at(4, patch)
        assert command([*data, "--out", str(home / "stopped")]) == 130
    words = [str(home / "stopped"), "--to", "hash", "--steps", "2", "--out", str(home / "pupil")]
    assert command(["distill", *words]) == 0
    assert "was stopped" in capsys.readouterr().out
    assert read_json(home / "pupil" / "report.json")["seconds_teacher"] > 0


@pytest.mark.parametrize("to", ["kilo", "rbf"])
def test_a_stopped_student_goes_on_as_if_it_had_not(
    home: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through both phases: what it learns of the teacher, and of images."""
    words = [str(home / "scene"), "--to", to, "--steps", "4", "--finetune", str(home / "data")]
    assert _distill(home, *words, "--out", str(home / f"{to}-whole")) == 0
    parted = [*words, "--out", str(home / f"{to}-parted")]
    for step in (2, 5):
        with monkeypatch.context() as patch:
            _interrupt_at(step, patch)
            assert _distill(home, *parted, *([] if step == 2 else ["--resume"])) == 130
    assert _distill(home, *parted, "--resume") == 0
    one, two = (
        load_tensors(home / f"{to}-{name}" / "model.safetensors")[0] for name in ("whole", "parted")
    )
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=0, msg=name)
    curves = [read_json(home / f"{to}-{n}" / "report.json")["curve"] for n in ("whole", "parted")]
    assert [row["psnr"] for row in curves[0]] == [row["psnr"] for row in curves[1]]


def _interrupt_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a step is under way."""
    whole = Fit.step

    def interrupted(self: Fit) -> str | None:
        if self.progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(self)

    patch.setattr(Fit, "step", interrupted)


def test_when_a_curve_reaches_a_value() -> None:
    rows = [{"seconds": 0.0, "psnr": 10.0}, {"seconds": 2.0, "psnr": 20.0}]
    assert seconds_to(rows, "psnr", 15.0) == 1.0 and seconds_to(rows, "psnr", 9.0) == 0.0
    assert seconds_to(rows, "psnr", 21.0) is None and seconds_to([], "psnr", 1.0) is None
