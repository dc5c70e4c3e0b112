import errno
import io
import os
import sys

import pytest
import rich

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


class _Gone(io.TextIOWrapper):
    """A terminal that has gone away, or a full disk."""

    def __init__(self, error: OSError, terminal: bool) -> None:
        super().__init__(io.BytesIO())
        self._error, self._terminal = error, terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        raise self._error


@pytest.mark.parametrize(
    ("number", "terminal"),
    [(errno.EPIPE, False), (errno.ENOSPC, False), (errno.EBADF, False), (errno.EIO, True)],
)
def test_work_goes_on_without_a_stdout(
    number: int, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = _Gone(OSError(number, os.strerror(number)), terminal)
    monkeypatch.setattr(console, "PLAIN_SECONDS", 0.0)
    monkeypatch.setattr(console, "LIVE_SECONDS", 0.0)
    # A console of its own: rich's was made for the stdout of another test.
    monkeypatch.setattr(rich, "_console", None)
    monkeypatch.setattr(sys, "stdout", gone)
    with Reporter() as reporter:
        reporter.step(_progress(1), PSNR)
        reporter.step(_progress(2), PSNR)
        reporter.count("measured", 1, 2)
        reporter.say("hello")
        reporter.warn("look")
    assert sys.stdout is gone


def test_work_goes_on_where_stdout_is_closed_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stdout", stream)
        with Reporter() as reporter:
            reporter.say("hello")
            reporter.warn("look")


def test_what_a_terminal_acts_on_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter() as reporter:
        reporter.say("fox\x1b[31m: 50 views")
        reporter.warn("two\nlines \x1b]0;title\x07")
    assert capsys.readouterr().out == (
        "fox\\x1b[31m: 50 views\npolyfield: warning: two lines \\x1b]0;title\\x07\n"
    )
