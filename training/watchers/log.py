"""TensorBoard scalars in RUN/log."""

from __future__ import annotations

from polyfield.training.loop import Progress
from polyfield.training.run import Run


class Log:
    """Scalars from a step on; nothing without a run."""

    def __init__(self, run: Run | None, step: int) -> None:
        self._writer = None
        if run is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(run.file("log")), purge_step=step, flush_secs=30)

    def write(self, progress: Progress) -> None:
        """Loss, rate and what the objective says of a step."""
        if self._writer is None:
            return
        numbers = {"loss": progress.loss, "rate_scale": progress.rate_scale, **progress.numbers}
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, progress.step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
