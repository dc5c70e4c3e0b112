"""Fits killed at random points: what is on disk is whole, and goes on to the same weights."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from polyfield.tensors import load_tensors
from polyfield.training.run import load

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]

SMALL = {
    "image": (
        "--downscale", "8", "--steps", "600", "--field.encoding.levels", "4",
        "--field.encoding.log2-size", "10",
    ),
    "scene": (
        "--downscale", "16", "--steps", "120", "--field.position.levels", "2",
        "--field.position.log2-size", "8", "--sampler.resolution", "8", "--sampler.steps", "24",
        "--sampler.points", "64", "--objective.samples", "512",
    ),
}  # fmt: skip
KILLS = 4
"""Of each fit; then it may finish."""


def _command(kind: str, out: Path) -> list[str]:
    verb = [sys.executable, "-P", "-m", "polyfield"]
    # So often that many a kill falls into the writing of a checkpoint.
    every = ("--checkpoint-every", "0.01", "--threads", "1", "--device", "cpu")
    return [*verb, "fit", kind, "demo", "--out", str(out), *SMALL[kind], *every]


def _killed(command: list[str], out: Path, chance: random.Random) -> bool:
    """Start, kill at a random point after the folder is there; whether it was still at work."""
    before = (out / "config.yaml").stat().st_mtime_ns if (out / "config.yaml").exists() else None
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    if before is None:
        while not (out / "config.yaml").exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.8))
    else:
        # What the checkpoint is when the process begins to work on it is not told: wait for one.
        state = out / "state.safetensors"
        stamp = state.stat().st_mtime_ns if state.exists() else None
        while process.poll() is None and (
            not state.exists() or (stamp is not None and state.stat().st_mtime_ns == stamp)
        ):
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.5))
    at_work = process.poll() is None
    if at_work:
        os.killpg(process.pid, signal.SIGKILL)
    _, error = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), error.decode()
    return at_work


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("kind", SMALL)
def test_a_fit_killed_again_and_again_ends_as_one_that_was_not(
    kind: str, seed: int, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(_command(kind, whole), check=True, capture_output=True)
    chance = random.Random(seed)
    command = [*_command(kind, broken), "--resume"]
    kills, progress = 0, []
    for _ in range(KILLS):
        if not _killed(command, broken, chance):
            break
        kills += 1
        # Nothing that has its name is half written.
        state = broken / "state.safetensors"
        if state.exists():
            _, meta = load_tensors(state)
            progress.append(meta["step"])
        if (broken / "model.safetensors").exists():
            load(broken)
    assert kills >= 2 and progress == sorted(progress)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    ours, _ = load_tensors(broken / "model.safetensors")
    theirs, _ = load_tensors(whole / "model.safetensors")
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    names = [{path.name for path in run.iterdir()} for run in (whole, broken)]
    assert names[0] == names[1]  # nothing temporary is left
    scores = [json.loads((run / "metrics.json").read_text())["psnr"] for run in (whole, broken)]
    assert scores[0] == scores[1]


def test_a_fit_killed_before_its_first_step_begins_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [*_command("image", out), "--resume"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not out.exists() and process.poll() is None:
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(out.glob(".part-*"))
