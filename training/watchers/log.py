"""TensorBoard scalars in RUN/log, written by this thread alone: a lost folder ends the log only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import IO, Any

from polyfield.training.loop import Progress
from polyfield.training.run import Run

FLUSH_SECONDS = 30.0
"""Time between two flushes."""


class Log:
    """Scalars from a step on; nothing without a run.

    Args:
        run: Where to.
        step: Where training goes on; what an earlier attempt wrote beyond it is not shown.
        warn: Told once if the log can't be written any more.
    """

    def __init__(self, run: Run | None, step: int, warn: Callable[[str], None]) -> None:
        self._file: IO[bytes] | None = None
        self._warn = warn
        if run is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder = run.file("log")
        name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}"
        try:
            folder.mkdir(exist_ok=True)
            self._file = (folder / name).open("wb")
        except OSError as error:
            self._lost(error)
            return
        self._records: Any = RecordWriter(self._file)
        self._flushed = time.monotonic()
        self._put(Event(wall_time=time.time(), file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._put(Event(wall_time=time.time(), step=step, session_log=start))

    def write(self, progress: Progress) -> None:
        """Loss, rate and what the objective says of a step."""
        if self._file is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        numbers = {"loss": progress.loss, "rate_scale": progress.rate_scale, **progress.numbers}
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self._put(Event(wall_time=time.time(), step=progress.step, summary=Summary(value=values)))

    def close(self) -> None:
        """Write what is left."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._lost(error)

    def _put(self, event: Any) -> None:
        assert self._file is not None
        try:
            self._records.write(event.SerializeToString())
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._flushed = time.monotonic()
                self._file.flush()
        except OSError as error:
            self._lost(error)

    def _lost(self, error: OSError) -> None:
        self._file = None
        self._warn(f"no log for TensorBoard any more: {error.strerror or error}")
