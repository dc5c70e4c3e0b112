"""Wall time counts; time in which nothing ran does not."""

import os
import signal
import subprocess
import sys
import time

import pytest

from polyfield.training import stopwatch
from polyfield.training.stopwatch import Stopwatch


def test_a_pause_is_left_out_and_waiting_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now)
    watch = Stopwatch()  # Its thread does not run: each look is one of ours.
    began = watch.seconds()
    for _ in range(20):
        now += 0.5  # As a thread that waits for a GPU sees it, while the other looks.
        watch.seconds()
    assert watch.seconds() - began == pytest.approx(10.0)
    now += 3600.0
    assert watch.seconds() - began == pytest.approx(10.0 + stopwatch.BEAT)
    now += 1.0
    assert watch.seconds() - began == pytest.approx(11.0 + stopwatch.BEAT)


def test_its_thread_looks_while_ours_waits_and_ends_with_the_block() -> None:
    with Stopwatch() as watch:
        began, start = watch.seconds(), time.perf_counter()
        time.sleep(2 * stopwatch.BEAT)
        found, true = watch.seconds() - began, time.perf_counter() - start
    assert found == pytest.approx(true, abs=0.05)
    assert not watch._thread.is_alive()


PROGRAM = """
import time
from polyfield.training.stopwatch import Stopwatch
with Stopwatch() as watch:
    began, start = watch.seconds(), time.perf_counter()
    print("ready", flush=True)
    while time.perf_counter() - start < 3.0:
        time.sleep(0.01)
    print(watch.seconds() - began, time.perf_counter() - start)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGSTOP")
def test_a_process_that_is_stopped_and_continued() -> None:
    command = [sys.executable, "-c", PROGRAM]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    process.send_signal(signal.SIGCONT)
    counted, wall = map(float, process.communicate(timeout=60)[0].split())
    assert wall > 4 and wall - counted == pytest.approx(4, abs=0.8)
