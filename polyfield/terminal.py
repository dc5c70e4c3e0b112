"""Lines on stdout and stderr, whatever happens to them: closed, full, a reader that is gone."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from polyfield import errors

LONGEST = errors.LONGEST + len("warning: ")
"""Characters of a line that tells an error or a warning: a message of ours is never cut again."""
_TAIL = 90
"""Of them at its end, where it says how to mend it."""

Stream = TextIO | io.TextIOBase
"""What can be written to: Python's own streams, and what a library puts in their place."""

_lost: set[Stream] = set()
"""Streams on which a line that could be spared was lost."""


def shown(text: str) -> str:
    """Text with what a terminal would act on, or can't show, as an escape sequence of letters."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


def one_line(text: str) -> str:
    """Text as one line of at most LONGEST characters, shortened before its end."""
    line = shown(" ".join(text.split()))
    if len(line) <= LONGEST:
        return line
    gap = " ... "
    return line[: LONGEST - _TAIL - len(gap)] + gap + line[-_TAIL:]


def say(line: str, stream: Stream | None) -> None:
    """Write a line that work doesn't depend on: if it can't be written, it is lost.

    Args:
        line: Without its end.
        stream: As `sys.stdout`; None where the process has none.
    """
    if stream is None:
        return
    try:
        try:
            stream.write(f"{line}\n")
        except UnicodeEncodeError:
            code = stream.encoding or "ascii"
            stream.write(f"{line}\n".encode(code, "backslashreplace").decode(code))
        stream.flush()
    except (OSError, ValueError):  # ValueError: closed from within Python.
        lose(stream)


def lose(stream: Stream) -> None:
    """Note that a line that could be spared was lost: `settle` then is silent about the stream."""
    _lost.add(stream)


def is_terminal(stream: Stream | None) -> bool:
    """Whether somebody may be looking at a stream."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def open_streams() -> None:
    """Give a process of ours its three standard streams, whatever it was started with.

    A stream that is closed becomes one that goes nowhere: else the next file that is opened gets
    its number, and what a library prints is written into that file. What the encoding of a
    terminal can't say is written as an escape sequence.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # It gets the lowest free number, which is this one.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = Output(sys.stdout)
    sys.stdin = sys.stdin or open(os.devnull)
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


class Output(io.TextIOWrapper):
    """Stdout that remembers what went wrong with it.

    Args:
        stream: Python's own, on the same file; it must stay open.
    """

    error: OSError | None = None
    """The last one; by it an error is told from those of other files."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(
            io.BufferedWriter(io.FileIO(stream.fileno(), "w", closefd=False)),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
        )

    def write(self, text: str) -> int:
        """As every stream."""
        try:
            return super().write(text)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """As every stream."""
        try:
            super().flush()
        except OSError as error:
            self.error = error
            raise


def caused(stream: Stream, error: BaseException) -> bool:
    """Whether an error comes from printing."""
    return isinstance(stream, Output) and stream.error is error


def settle(stream: Stream) -> OSError | None:
    """Write out what a stream of a process of ours still holds; where that fails, it goes nowhere.

    Call it before the process ends, because Python itself would complain and change the exit code.

    Returns:
        Why what was asked for could not be written; None if it was, or if only lines that could be
        spared are lost.
    """
    try:
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return None if stream in _lost else error
    except ValueError:  # Closed from within Python.
        return None
    return None
