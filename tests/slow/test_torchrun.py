"""A fit in several processes is stopped, and goes on in another number of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch import distributed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
    pytest.mark.skipif(
        not (distributed.is_available() and distributed.is_gloo_available()), reason="no gloo"
    ),
]

FIT = (
    "-m", "polyfield", "fit", "image", "demo", "--downscale", "4", "--steps", "600", "--device",
    "cpu", "--objective.batch", "2048", "--checkpoint-every", "0.5",
)  # fmt: skip


def _command(processes: int, out: Path, *more: str) -> list[str]:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    before = launch if processes > 1 else []
    return [sys.executable, "-P", *before, *FIT, "--out", str(out), *more]


def _metrics(out: Path) -> dict[str, float]:
    return dict(json.loads((out / "metrics.json").read_text()))


def test_stopped_with_two_goes_on_with_one_and_with_three(tmp_path: Path) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(_command(1, tmp_path / "whole"), check=True, env=env, timeout=600)
    for number in (1, 3):
        out = tmp_path / str(number)
        started = subprocess.Popen(_command(2, out), env=env)
        until = time.monotonic() + 300
        while not (out / "state.safetensors").exists():
            assert started.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        time.sleep(1.5)
        started.send_signal(signal.SIGTERM)
        started.wait(timeout=120)
        subprocess.run(_command(number, out, "--resume"), check=True, env=env, timeout=600)
        found, whole = _metrics(out), _metrics(tmp_path / "whole")
        assert found["steps"] == whole["steps"] == 600
        assert abs(found["psnr"] - whole["psnr"]) < 0.3
