"""Lines that survive what happens to a stream, and say nothing a terminal would act on."""

import io
import os
import subprocess
import sys

import pytest

from polyfield import terminal
from polyfield.errors import InputError


class _Broken(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> int:
        raise self._error


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain Ünïcode, 日本", "plain Ünïcode, 日本"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("\x07\x9b2J\x7f", "\\x07\\x9b2J\\x7f"),
        ("right\u202eleft", "right\\u202eleft"),
        ("not UTF-8 \udcff", "not UTF-8 \\udcff"),
    ],
)
def test_what_a_terminal_acts_on_is_escaped(text: str, found: str) -> None:
    assert terminal.shown(text) == found
    assert terminal.one_line(text) == found


def test_a_line_is_one_line_and_short() -> None:
    assert terminal.one_line("two\nlines\r\n\tand  more") == "two lines and more"
    line = terminal.one_line(f"error: expected a; got {'x' * 10**6}; mend it")
    assert len(line) == terminal.LONGEST
    assert line.startswith("error: expected a; got xxx") and line.endswith("xxx; mend it")
    assert len(terminal.one_line("\x1b" * 1000)) == terminal.LONGEST
    longest = str(InputError("a" * 400, "b" * 400, "mend it"))
    for what in ("error", "warning"):
        assert terminal.one_line(f"{what}: {longest}") == f"{what}: {longest}"


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "No space left on device"), ValueError("closed")]
)
def test_a_line_that_can_not_be_written_is_lost(error: Exception) -> None:
    terminal.say("a", _Broken(error))
    terminal.say("a", None)


def test_what_an_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii", newline="")
    terminal.say("wäre 日", stream)
    assert raw.getvalue() == b"w\\xe4re \\u65e5\n"


def test_a_stream_that_is_closed_or_missing_is_no_terminal() -> None:
    closed = io.StringIO()
    closed.close()
    assert not terminal.is_terminal(None) and not terminal.is_terminal(closed)


@pytest.mark.skipif(os.name == "nt", reason="closes descriptors")
def test_closed_streams_are_opened_so_that_no_file_gets_their_number() -> None:
    code = (
        "import os; os.close(0); os.close(1); os.close(2)\n"
        "from polyfield import terminal; terminal.open_streams()\n"
        "import sys; sys.exit(os.open(os.devnull, os.O_RDONLY) + 40)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 43
