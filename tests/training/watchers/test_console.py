import sys

import pytest

from polyfield.training.loop import Progress
from polyfield.training.scores import PSNR
from polyfield.training.watchers import console
from polyfield.training.watchers.console import Reporter, describe


def _progress(step: int) -> Progress:
    return Progress(
        step=step, seconds=step * 1.0, fraction=step / 40, loss=0.5,
        numbers={"psnr": 20.0}, samples=step * 2_000_000,
    )  # fmt: skip


def test_the_line_has_all_a_user_asks_for() -> None:
    line = describe(_progress(10), PSNR, 2e6)
    for word in ("step     10", "loss 0.50000", "PSNR 20.00 dB", "2.00 M samples/s", "30 s left"):
        assert word in line


def test_without_a_terminal_a_line_every_10_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with Reporter() as reporter:
        for step in range(1, 36):
            now = float(step)
            reporter.step(_progress(step), PSNR)
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[1]) for line in lines] == [10, 20, 30]
    assert all("2.00 M samples/s" in line for line in lines)


def test_on_a_terminal_one_line_that_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with Reporter() as reporter:
        for step in range(1, 5):
            now = float(step)
            reporter.step(_progress(step), PSNR)
        reporter.say("done")
    assert capsys.readouterr().out.rstrip().endswith("done")


def test_quiet_says_nothing_but_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "PLAIN_SECONDS", 0.0)
    with Reporter(quiet=True) as reporter:
        reporter.step(_progress(1), PSNR)
        reporter.count("measured", 1, 2)
        reporter.say("hello")
        reporter.warn("look")
    assert capsys.readouterr() == ("polyfield: warning: look\n", "")
