"""What every kind can: open, train, save, load, measure, draw, compare, distil."""

from pathlib import Path

import pytest
import torch

import polyfield
from polyfield.apps.choices import configured, kind_named
from polyfield.apps.cli import run as command
from polyfield.apps.tasks import KINDS
from polyfield.files import read_json, read_yaml

SMALL = {
    "scene": (["--downscale", "16"], ["--size", "8x8", "--frames", "2"], "frames"),
    "image": (["--downscale", "16"], ["--size", "8x6"], "image"),
    "sound": (["--length", "0.2"], ["--rate", "8000"], "sound.wav"),
}
"""Of each kind: flags of reading little, of drawing little, and where to."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_from_beginning_to_end(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read, draw, name = SMALL[kind]
    run, out, pupil = tmp_path / "run", tmp_path / name, tmp_path / "pupil"
    words = ["demo", "--steps", "2", *read, "--quiet"]
    assert command(["fit", kind, *words, "--out", str(run)]) == 0
    metric = configured(kind_named(kind), "hash").metric.name
    metrics = read_json(run / "metrics.json")
    assert metrics[metric] is not None and metric in metrics["scores"]
    assert read_yaml(run / "config.yaml")["kind"] == kind
    for file in ("preview.png", "curve.png", "model.safetensors"):
        assert (run / file).is_file(), file
    model = polyfield.load(run)
    assert model.kind == kind
    assert command(["evaluate", str(run), "--quiet"]) == 0
    assert read_json(run / "metrics.json")[metric] == pytest.approx(metrics[metric], abs=1e-6)
    assert command(["render", str(run), "--out", str(out), *draw, "--quiet"]) == 0
    assert out.is_file() or any(out.iterdir())
    assert command(["render", str(run), "--out", str(out), *draw, "--quiet"]) == 2
    assert command(["distill", str(run), "--to", "dense", "--steps", "2", "--out", str(pupil)]) == 0
    report = read_json(pupil / "report.json")
    assert report["metric"] == metric and report[f"{metric}_student"] is not None
    assert command(["evaluate", str(pupil), "--quiet"]) == 0
    capsys.readouterr()
    assert command(["fit", kind, *words[:-1], "--out", str(run), "--resume"]) == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_compared_and_fitted_from_python(kind: str, tmp_path: Path) -> None:
    read, _, _ = SMALL[kind]
    words = ["compare", kind, "demo", "--presets", "hash,dense", "--steps", "1", *read, "--quiet"]
    assert command([*words, "--out", str(tmp_path / "table")]) == 0
    rows = read_json(tmp_path / "table" / "compare.json")["rows"]
    assert [row["preset"] for row in rows] == ["hash", "dense"]
    changes = {f"read.{read[0][2:]}": float(read[1]) if "." in read[1] else int(read[1])}
    model = polyfield.fit(kind, "demo", steps=1, changes=changes)
    assert model.bounds.shape[0] == 2 and next(model.parameters()).device == torch.device("cpu")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_one_line(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert command(["fit", kind, str(tmp_path / "nothing"), "--steps", "1", "--out", str(out)]) == 2
    line = capsys.readouterr().err
    assert line.startswith("polyfield: error: expected ") and line.count("\n") == 1
    assert not out.exists()


def test_every_kind_is_here() -> None:
    assert SMALL.keys() == KINDS.keys()
