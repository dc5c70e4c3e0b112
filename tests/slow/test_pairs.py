"""Two processes and one folder; a folder that goes while a fit is at work."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import polyfield

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="locks and signals of POSIX"),
]

COMMAND = [
    sys.executable, "-P", "-m", "polyfield", "fit", "image", "demo", "--downscale", "8",
    "--field.encoding.levels", "4", "--field.encoding.log2-size", "10", "--threads", "1",
    "--device", "cpu",
]  # fmt: skip


def _start(out: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "--out", str(out), *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _at_work(process: subprocess.Popen[str], out: Path) -> None:
    """Wait until it trains."""
    while not list(out.glob("log/*")) and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.2)
    assert process.poll() is None, process.communicate()


@pytest.mark.parametrize("flags", [(), ("--resume",), ("--overwrite",)])
def test_two_fits_into_one_new_folder_are_one(flags: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "run"
    both = [_start(out, "--seconds", "4", *flags) for _ in range(2)]
    found = [(p.communicate(timeout=300)[1], p.returncode) for p in both]
    codes = sorted(code for _, code in found)
    if codes == [0, 0]:
        pytest.skip("the machine was so slow that one began when the other had ended")
    assert codes == [0, 2]
    error = next(error for error, code in found if code)
    assert error.count("\n") == 1 and ("nobody is training" in error or "holds a run" in error)
    assert polyfield.load(out).kind == "image" and (out / "metrics.json").is_file()


@pytest.mark.parametrize("flag", ["--resume", "--overwrite"])
def test_a_run_that_is_trained_is_not_taken(flag: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = _start(out, "--seconds", "30")
    _at_work(first, out)
    done = _start(out, "--seconds", "30", flag)
    error = done.communicate(timeout=120)[1]
    assert done.returncode == 2 and error.count("\n") == 1
    assert f"which process {first.pid} is" in error
    first.send_signal(signal.SIGKILL)
    first.communicate()
    # The lock of a process that was killed is none.
    after = _start(out, "--steps", "1", "--overwrite")
    assert after.communicate(timeout=120)[1] == "" and after.returncode == 0


@pytest.mark.parametrize("gone", ["deleted", "moved"])
def test_a_folder_that_goes_during_training_is_a_line(gone: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = _start(out, "--seconds", "2", "--checkpoint-every", "0.2")
    _at_work(process, out)
    if gone == "deleted":
        # Again and again: the process may be writing into it.
        while out.exists():
            shutil.rmtree(out, ignore_errors=True)
    else:
        out.rename(tmp_path / "elsewhere")
    stdout, error = process.communicate(timeout=120)
    assert process.returncode == 1 and error.count("\n") == 1, (stdout, error)
    assert (
        error.startswith(f"polyfield: error: expected to write {out}") and "Traceback" not in stdout
    )
    spare = Path(error.strip().rpartition("the trained model is in ")[2])
    assert polyfield.load(spare).kind == "image"
    spare.unlink()
