"""What a user sees while a run trains: a live line on a terminal, else a line every 10 seconds."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType

from rich.live import Live
from rich.text import Text

from polyfield import terminal
from polyfield.training.loop import Progress
from polyfield.training.scores import Metric

PLAIN_SECONDS = 10.0
"""Time between two lines where there is no terminal."""
LIVE_SECONDS = 0.2
"""Time between two repaints of the live line."""


class Reporter:
    """Prints to stdout; stderr is for errors alone. Use it as a context.

    What can't be printed, because stdout is closed, full or a pipe without a reader, is lost; work
    goes on.

    Args:
        quiet: Print nothing but warnings.
        mute: Print nothing at all.
    """

    def __init__(self, quiet: bool = False, mute: bool = False) -> None:
        self._quiet, self._mute = quiet or mute, mute
        self._terminal = terminal.is_terminal(sys.stdout) and not self._quiet
        self._live: Live | None = None
        self._every = LIVE_SECONDS if self._terminal else PLAIN_SECONDS
        self._next = time.monotonic() + self._every
        self._rate = _Rate()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def say(self, line: str) -> None:
        """Print a line, unless quiet."""
        if not self._quiet:
            self._close()
            terminal.say(terminal.shown(line), sys.stdout)

    def warn(self, line: str) -> None:
        """Print a warning, quiet or not; not where it is mute."""
        if self._mute:
            return
        self._close()
        terminal.say(f"polyfield: warning: {terminal.one_line(line)}", sys.stdout)

    def step(self, progress: Progress, metric: Metric) -> None:
        """Show where training is, when it is time for that. Cheap at every step."""
        if self._is_due():
            self._show(describe(progress, metric, self._rate.update(progress)))

    def count(self, what: str, done: int, total: int) -> None:
        """Show how many views or frames are done, when it is time for that."""
        if self._is_due() and done < total:
            self._show(f"{what} {done} of {total}")

    def _is_due(self) -> bool:
        now = time.monotonic()
        if self._quiet or now < self._next:
            return False
        self._next = now + self._every
        return True

    def _show(self, line: str) -> None:
        line = terminal.shown(line)
        if not self._terminal:
            terminal.say(line, sys.stdout)
            return
        try:
            if self._live is None:
                self._live = Live(auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        except (OSError, ValueError):
            self._give_up()

    def _close(self) -> None:
        """Take the live line away, so that the next line stands in its place."""
        if self._live is not None:
            try:
                self._live.stop()
            except (OSError, ValueError):
                self._give_up()
            self._live = None

    def _give_up(self) -> None:
        """The terminal is gone: no live line any more."""
        live, self._live, self._terminal = self._live, None, False
        if live is not None:
            with contextlib.suppress(Exception):  # It may have failed before it had begun.
                live.stop()
        if sys.stdout is not None:
            terminal.lose(sys.stdout)


class _Rate:
    """Samples per second since the last look."""

    def __init__(self) -> None:
        self._seen = (0.0, 0)

    def update(self, progress: Progress) -> float:
        seconds, samples = progress.seconds - self._seen[0], progress.samples - self._seen[1]
        self._seen = (progress.seconds, progress.samples)
        return samples / seconds if seconds > 0 else 0.0


def describe(progress: Progress, metric: Metric, rate: float) -> str:
    """Step, loss, headline score, samples per second and the time left, in one line.

    Args:
        progress: Where training is.
        metric: The score.
        rate: Samples per second.
    """
    parts = [f"step {progress.step:>6}", f"loss {progress.loss:.5f}"]
    if metric.name in progress.numbers:
        parts.append(f"{metric.label} {metric.text(progress.numbers[metric.name])}")
    parts.append(f"{rate / 1e6:.2f} M samples/s")
    if progress.fraction > 0:
        left = progress.seconds * (1 - progress.fraction) / progress.fraction
        parts.append(f"{left:.0f} s left")
    return "  ".join(parts)
