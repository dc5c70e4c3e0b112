"""Runs and model files that the first edition wrote load, go on, are measured and drawn."""

import shutil
from pathlib import Path

import pytest

import polyfield
from polyfield.apps.cli import run as command
from polyfield.files import read_json
from polyfield.training.run_files import upgraded

HERE = Path(__file__).parent
COMMANDS = {
    "image": "--downscale 16 --field.encoding.levels 2 --field.encoding.log2-size 6 "
    "--field.network.hidden 16",
    "scene": "--downscale 20 --field.position.levels 2 --field.position.log2-size 6 "
    "--field.hidden 16 --sampler.resolution 8 --sampler.steps 16 --sampler.sweep 16 "
    "--objective.samples 256 "
    "--fit.rates.table 0.02 --sampler.thin 0 --sampler.corners 256",
}
"""What was typed then, and numbers of the preset that were others then."""


@pytest.mark.parametrize("kind", COMMANDS)
def test_an_old_run(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = tmp_path / kind, tmp_path / "out"
    shutil.copytree(HERE / kind, run)
    before = read_json(run / "metrics.json")
    assert polyfield.load(run / "model.safetensors").kind == kind
    assert command(["info", str(run)]) == 0
    assert command(["evaluate", str(run), "--quiet"]) == 0
    after = read_json(run / "metrics.json")
    assert after["psnr"] == pytest.approx(before["psnr"], abs=1e-3)
    size = ["--size", "8x6", *(["--frames", "2"] if kind == "scene" else [])]
    assert command(["render", str(run), "--out", str(out), *size, "--quiet"]) == 0
    assert (out / "00000.png").is_file()
    (run / "metrics.json").unlink()
    words = ["fit", kind, "demo", "--steps", "6", "--threads", "1", *COMMANDS[kind].split()]
    if kind == "scene":
        assert command([*words, "--out", str(run), "--resume", "--refine-poses"]) == 2
        assert "refine_poses True instead of False" in capsys.readouterr().err
    capsys.readouterr()
    assert command([*words, "--out", str(run), "--resume"]) == 0
    assert "resuming at step 6" in capsys.readouterr().out
    assert read_json(run / "metrics.json")["psnr"] == pytest.approx(before["psnr"], abs=1e-3)


OLD = {
    "teacher": "/a", "method": "pvd-al", "levels": ["rays"], "heads": True, "loss": "mse",
    "clamp": False, "stages": True, "inherit": True, "lend": False, "finetune": None,
}  # fmt: skip


def test_an_old_student_is_read_as_it_would_be_written_now() -> None:
    assert upgraded({"kind": "scene"}) == {"kind": "scene"}
    new = upgraded({"distilled": OLD})["distilled"]
    options = {
        "loss": "mse", "clamp": False, "stages": True, "inherit": True, "heads": True,
        "all_samples": True, "al": "rays",
    }  # fmt: skip
    assert new == {"teacher": "/a", "method": {"PvdActive": options}, "finetune": None}
    assert upgraded({"distilled": new})["distilled"] == new
    signal = upgraded({"distilled": {"teacher": "/a", "loss": "norm"}})["distilled"]
    assert signal["method"] == {"Values": {"loss": "norm", "slopes": 0.0}}
