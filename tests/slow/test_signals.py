"""A fit that is hung up on, stopped and continued, or loses its reader."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import polyfield

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX"),
]

COMMAND = [
    sys.executable, "-m", "polyfield", "fit", "image", "demo", "--downscale", "8",
    "--field.encoding.levels", "4", "--field.encoding.log2-size", "10", "--threads", "1",
]  # fmt: skip


def _start(out: Path, *flags: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A fit that has begun to train."""
    process = subprocess.Popen(
        [*before, *COMMAND, "--out", str(out), *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list(out.glob("log/*")) and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    return process


def test_a_hang_up_saves_and_the_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = _start(out, "--seconds", "3")
    process.send_signal(signal.SIGHUP)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 129 and error.count("\n") == 1
    assert f"stopped by a hang-up (SIGHUP); saved in {out}" in error
    polyfield.load(out)
    done = subprocess.run([*COMMAND, "--out", str(out), "--seconds", "3", "--resume"], check=False)
    assert done.returncode == 0 and (out / "metrics.json").is_file()


def test_nohup_is_not_hung_up_on(tmp_path: Path) -> None:
    process = _start(tmp_path / "run", "--seconds", "2", before=("nohup",))
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode == 0 and (tmp_path / "run" / "metrics.json").is_file()


def test_time_in_which_a_fit_is_stopped_does_not_count(tmp_path: Path) -> None:
    process = _start(tmp_path / "run", "--seconds", "3")
    process.send_signal(signal.SIGSTOP)
    began = time.perf_counter()
    time.sleep(5)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=120)
    assert process.returncode == 0
    # Of the 3 s at most 0.5 or so were over when it was stopped.
    assert time.perf_counter() - began > 5 + 2
    seconds = json.loads((tmp_path / "run" / "metrics.json").read_text())["seconds_training"]
    assert 3 <= seconds < 4


@pytest.mark.parametrize("stream", ["closed", "full", "gone"])
def test_a_fit_goes_on_without_its_stdout(stream: str, tmp_path: Path) -> None:
    words = " ".join([*COMMAND, "--out", str(tmp_path / "run"), "--steps", "20"])
    line = {
        "closed": f"{words} >&-",
        "full": f"{words} >/dev/full",
        "gone": f"{words} | true; exit ${{PIPESTATUS[0]}}",
    }[stream]
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "run" / "metrics.json").is_file()
