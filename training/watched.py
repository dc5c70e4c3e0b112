"""Training as the command line does it: checkpoints, a log, a curve, an orderly stop.

None of it touches the numbers: the loop itself is `polyfield.training.loop`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from polyfield.devices import describe
from polyfield.training.console import Reporter
from polyfield.training.interrupts import deferred
from polyfield.training.loop import Fit, Progress
from polyfield.training.run import Run

HISTORY_SECONDS = 0.25
"""Training time between two points of the curve, at first."""
HISTORY_POINTS = 400
"""Above this every second point is dropped."""


class Clock:
    """Wall time by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside the block as that of a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        """Count time measured elsewhere."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def line(self) -> str:
        """All phases in one line."""
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())


class History:
    """The curve: rows of (training seconds, mean loss, mean PSNR), thinned as they grow.

    Args:
        rows: Those of the checkpoint this goes on from.
    """

    def __init__(self, rows: list[list[float]] | None = None) -> None:
        self.rows = list(rows or [])
        self._every = HISTORY_SECONDS
        self._sum = [0.0, 0.0]
        self._count = 0
        while len(self.rows) >= 2 and self.rows[-1][0] - self.rows[-2][0] > 1.5 * self._every:
            self._every *= 2

    def add(self, progress: Progress) -> bool:
        """Take a step in; True if it completes a row."""
        for index, value in enumerate((progress.loss, progress.numbers.get("psnr", math.nan))):
            self._sum[index] += value
        self._count += 1
        if progress.seconds - (self.rows[-1][0] if self.rows else 0.0) < self._every:
            return False
        self.rows.append([progress.seconds, *(value / self._count for value in self._sum)])
        self._sum, self._count = [0.0, 0.0], 0
        if len(self.rows) > HISTORY_POINTS:
            self.rows = self.rows[1::2]
            self._every *= 2
        return True


def train(
    fit: Fit,
    run: Run | None,
    save_model: Callable[[], None],
    reporter: Reporter,
    clock: Clock,
    every: float,
    resume: bool = False,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> History:
    """Train until the budget is spent, saving as it goes.

    Args:
        fit: Built, not begun.
        run: A folder that was begun; None saves nothing.
        save_model: Writes the model; called at the end and when stopped.
        reporter: Told every step.
        clock: Gets the time of each phase.
        every: Seconds between two checkpoints.
        resume: Go on from the run's checkpoint.
        watch: Also told every step, the clock stopped.

    Returns:
        The curve.

    Raises:
        KeyboardInterrupt: Ctrl-C, after saving.
        SystemExit: SIGTERM, with code 143, after saving.
    """
    history = History()
    if run is not None and resume:
        state, meta = run.load_state()
        fit.load_state(state)
        history = History(meta["history"])
        reporter.say(f"resuming at step {meta['step']}, {meta['seconds']:.1f} s of training")
    with clock.phase("compiling"):
        fit.warm_up()

    def save() -> None:
        if run is not None:
            with clock.phase("checkpoints"):
                _save_state(fit, run, history)

    if not resume:
        save()
    due = time.monotonic() + every
    rewinds = fit.progress.rewinds
    log = _Log(run, fit.progress.step)

    with deferred() as stop:

        def on_step(progress: Progress) -> None:
            nonlocal due, rewinds
            if progress.rewinds > rewinds:
                rewinds = progress.rewinds
                reporter.warn(
                    f"training stopped being finite near step {progress.step}: back to the last "
                    f"good state, at {progress.rate_scale:g} of the rates"
                )
            if history.add(progress):
                log.write(progress)
            reporter.step(progress)
            watch(progress)
            stop.check()
            if time.monotonic() >= due:
                save()
                due = time.monotonic() + every

        try:
            fit.run(on_step)
        except (KeyboardInterrupt, SystemExit) as error:
            if run is not None:
                save()
                save_model()
                error.add_note(f"saved in {run.path}; the same command with --resume goes on")
            raise
        finally:
            log.close()
        save()
    if run is not None:
        save_model()
    clock.add("training", fit.progress.seconds)
    return history


def _save_state(fit: Fit, run: Run, history: History) -> None:
    progress = fit.progress
    meta = {
        "step": progress.step,
        "seconds": progress.seconds,
        "samples": progress.samples,
        "spent": progress.fraction >= 1,
        "device": describe(fit.device),
        "history": history.rows,
    }
    run.save_state(fit.state(), meta)


class _Log:
    """TensorBoard scalars in RUN/log, from a step on; nothing without a run."""

    def __init__(self, run: Run | None, step: int) -> None:
        self._writer = None
        if run is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(run.file("log")), purge_step=step, flush_secs=30)

    def write(self, progress: Progress) -> None:
        if self._writer is None:
            return
        numbers = {"loss": progress.loss, "rate_scale": progress.rate_scale, **progress.numbers}
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, progress.step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
