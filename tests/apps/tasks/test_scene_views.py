"""How many held-out views are measured."""

import json
from pathlib import Path

import pytest

from polyfield.apps import cli
from polyfield.apps.tasks import scene_scores

SMALL = (
    "--downscale", "8", "--steps", "2", "--threads", "1", "--device", "cpu",
    "--field.position.levels", "2", "--field.position.log2-size", "6",
    "--sampler.resolution", "8", "--sampler.steps", "24",
)  # fmt: skip
TEST_VIEWS = 12
"""Of the demo."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Views of the demo's size that are enough at the end of a fit."""
    monkeypatch.setattr(scene_scores, "ENOUGH_VIEWS", 3)
    monkeypatch.setattr(scene_scores, "ENOUGH_PIXELS", 1)
    return 3


def _metrics(out: Path) -> dict[str, object]:
    return dict(json.loads((out / "metrics.json").read_text()))


def test_a_fit_measures_some_views_and_evaluate_all(
    few: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["fit", "scene", "demo", "--out", str(out), *SMALL]
    assert cli.run(command) == 0
    assert _metrics(out)["views"] == few
    assert "(3 of 12 views of split test; --all-views measures all)" in capsys.readouterr().out
    assert cli.run([*command, "--resume", "--all-views"]) == 0, "not another run"
    assert cli.run(["evaluate", str(out)]) == 0
    assert _metrics(out)["views"] == TEST_VIEWS


def test_all_views(few: int, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert cli.run(["fit", "scene", "demo", "--out", str(out), "--all-views", *SMALL]) == 0
    assert _metrics(out)["views"] == TEST_VIEWS


def test_student_and_teacher_are_measured_on_the_same_views(few: int, tmp_path: Path) -> None:
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    assert cli.run(["fit", "scene", "demo", "--out", str(teacher), *SMALL]) == 0
    assert cli.run(["evaluate", str(teacher)]) == 0
    whole = _metrics(teacher)["psnr"]
    assert (
        cli.run(
            ["distill", str(teacher), "--to", "dense", "--steps", "1",
             "--out", str(student), "--threads", "1", "--quiet"]
        )
        == 0
    )  # fmt: skip
    found = _metrics(student)
    assert found["views"] == few
    assert found["psnr_teacher"] != whole
