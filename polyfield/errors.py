"""What users are told: one line, in characters that a terminal only shows.

`InputError` is a user's mistake, exit code 2 on the command line; `WriteError` is a disk that takes
no more, exit code 1.
"""

from __future__ import annotations

import errno
import os

LONGEST = 300
"""Most characters of a message."""
_PATH = 140
"""Most characters of a path in a message."""
_LEAST = 40
"""A part of a message is not shortened below this."""


class InputError(ValueError):
    r"""Something a user gave can't be used.

    The message says what was expected, what came and how to mend it: one line of at most `LONGEST`
    characters, escape sequences and line breaks of file names shown as `\x1b`, `\n`.
    """

    def __init__(self, expected: str, got: str, hint: str) -> None:
        parts = _fitted([visible(part) for part in (expected, got, hint)])
        super().__init__("expected {}; got {}; {}".format(*parts))


class MissingBackend(InputError):
    """What was asked for needs an optional package or a device that isn't there."""


class WriteError(OSError):
    """The system didn't let a file be written: a full disk, a folder that is read-only or gone.

    Nothing of the file is left under its name.
    """

    def __init__(self, path: str | os.PathLike[str], error: OSError) -> None:
        """Say which file, and why.

        Args:
            path: what was to be written.
            error: what the system said.
        """
        reason = error.strerror or str(error)
        super().__init__(error.errno, reason)
        self.path = os.fspath(path)
        hint = _WRITE_HINTS.get(error.errno or 0, "choose a folder that can be written")
        parts = _fitted([f"to write {shown(path)}", visible(reason).lower(), hint])
        self._line = "expected {}; got {}; {}".format(*parts)

    def __str__(self) -> str:
        return self._line


_ROOM = "make room on that disk, or write to another"
_WRITE_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "raise the limit on file sizes, or write to another disk",
    errno.EIO: "check that disk, or write to another",
}


def folder_refused(
    path: str | os.PathLike[str], error: OSError, expected: str
) -> InputError | WriteError:
    """What to raise where the folder for `--out` can't be made or written.

    Args:
        path: the folder.
        error: what the system said: of the disk, or of a name that won't do.
        expected: such as "a folder to write the run into".
    """
    if error.errno in _WRITE_HINTS:
        return WriteError(path, error)
    reason = visible(error.strerror or str(error))
    return InputError(expected, f"{shown(path)}: {reason}", "choose another --out")


def visible(text: str) -> str:
    r"""Text that can't move a cursor, colour or reorder a line: such characters become escapes.

    A byte of a file name that is no UTF-8 becomes `\xNN`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def shown(path: str | os.PathLike[str]) -> str:
    """A path as a message shows it: no control characters, a long one cut in its middle."""
    return _cut(visible(os.fsdecode(path)), _PATH)


def terse(text: str) -> str:
    """A line of any text, for warnings and for errors of others: visible, at most `LONGEST`."""
    return _cut(visible(" ".join(text.split())), LONGEST)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python spells a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _cut(text: str, most: int) -> str:
    """At most so many characters; what lies left of the middle goes, ends say more."""
    if len(text) <= most:
        return text
    head = (most - 3) // 3
    return f"{text[:head]}...{text[len(text) - (most - 3 - head) :]}"


def _fitted(parts: list[str]) -> list[str]:
    """What was expected, what came, the mend: shortened, the longest first, to one message."""
    room = LONGEST - len("expected ; got ; ")
    while sum(map(len, parts)) > room:
        lengths = [len(part) for part in parts]
        longest = lengths.index(max(lengths))
        others = sorted(lengths[:longest] + lengths[longest + 1 :])[-1]
        spare = lengths[longest] - (sum(lengths) - room)
        parts[longest] = _cut(parts[longest], max(spare, min(others, lengths[longest] - 1), _LEAST))
    return parts
