"""How a command ends when the system, its streams or its libraries fail it."""

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from polyfield import terminal
from polyfield.apps import cli, info
from polyfield.training.loop import FitError

POLYFIELD = [sys.executable, "-m", "polyfield"]


@pytest.fixture(autouse=True)
def _keep_signals(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(cli, "_warned", set())
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _info(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail() -> None:
        raise error

    monkeypatch.setattr(info, "machine", fail)
    return cli.run(["info"])


class _Panic(BaseException):
    """As libraries written in Rust raise."""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), 1, "expected enough memory; got MemoryError; ask for less"),
        (RuntimeError("x.cpp:1 DefaultCPUAllocator: can't allocate memory"), 1, "enough memory"),
        (RecursionError("maximum depth"), 1, "not nested so deep; got RecursionError;"),
        (OSError(errno.ENOSPC, "No space left", "a/b"), 1, "got No space left: 'a/b'; free some"),
        (OSError(errno.EROFS, "Read-only", b"a\xff"), 1, "got Read-only: 'a\\udcff'; write to a"),
        (OSError(errno.ENAMETOOLONG, "Too long", "a"), 2, "use a shorter name"),
        (
            OSError(errno.EISDIR, "Is a directory", "a"),
            2,
            "expected a file; got Is a directory: 'a'",
        ),
        (OSError(errno.ENOTDIR, "Not a directory", "a/b"), 2, "move the file of that name away"),
        (OSError(errno.ELOOP, "Too many levels", "a"), 2, "remove the link"),
        (OSError(errno.EMFILE, "Too many open files"), 1, "got Too many open files; allow more"),
        (OSError("without a number"), 1, "OSError: without a number"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "got Broken pipe; "),
        (FitError("expected finite; got none; try"), 1, "error: expected finite; got none; try"),
        (
            UnicodeEncodeError("utf-8", "w\udcc3", 1, 2, "surrogates not allowed"),
            2,
            "got 'w\\udcc3'; rename it; if it is UTF-8, set PYTHONUTF8=1",
        ),
        (_Panic("explicit\npanic"), 1, "_Panic: explicit panic"),
        (SystemExit("no"), 1, "error: no"),
        (SystemExit(129), 129, "stopped by a hang-up"),
        (SystemExit(143), 143, "stopped by SIGTERM"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C"),
        (KeyError("\x1b[31mred\x07"), 1, "\\x1b[31mred\\x07"),
        (ValueError("x" * 10**6), 1, "xxx ... xxx"),
    ],
)
def test_whatever_is_raised_becomes_one_short_line(
    error: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _info(monkeypatch, error) == code
    found = capsys.readouterr()
    assert words in found.err and found.out == ""
    assert found.err.count("\n") == 1 and found.err.isascii() and "\x1b" not in found.err
    assert len(found.err) <= len("polyfield: \n") + terminal.LONGEST


def test_warnings_are_lines_of_ours_each_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warn() -> dict[str, object]:
        warnings.simplefilter("always")
        for _ in range(3):
            warnings.warn("two\nlines \x1b[31m", UserWarning, stacklevel=1)
        return {}

    monkeypatch.setattr(info, "machine", warn)
    assert cli.run(["info"]) == 0
    assert capsys.readouterr() == ("polyfield: warning: two lines \\x1b[31m\n", "")


def test_what_libraries_log_and_their_threads_are_lines_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = cli._Lines(logging.WARNING)
    for _ in range(2):
        record = logging.LogRecord("lib", logging.WARNING, "", 0, "%d\nlines", (2,), None)
        handler.handle(record)
    handler.handle(logging.LogRecord("lib", logging.WARNING, "", 0, "no %d", ("a",), None))
    error = OSError(errno.ENOSPC, "No space left")
    cli._thread_failed(threading.ExceptHookArgs((OSError, error, None, None)))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "polyfield: warning: lib: 2 lines",
        "polyfield: warning: lib: no %d",
        "polyfield: warning: a thread in the background stopped: OSError: [Errno 28] No space left",
    ]


def _shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line, "bash", *POLYFIELD],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ('"$@" --help >&-', 0, ""),
        ('"$@" --help >&- 2>&-', 0, ""),
        ('"$@" --help >/dev/full', 1, "expected to write to stdout; got No space left"),
        ('"$@" --help >/dev/full 2>/dev/full', 1, ""),
        ('"$@" fitt 2>&-', 2, ""),
        ('"$@" fitt 2>/dev/full', 2, ""),
        # The reader is gone before anything is written.
        ('{ sleep 0.3; "$@" --help; } | true; exit ${PIPESTATUS[0]}', 1, ""),
        ('"$@" --version 0>&- | cat', 0, ""),
    ],
)
def test_broken_streams_end_quietly(line: str, code: int, error: str, unbuffered: str) -> None:
    done = _shell(line, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == (1 if error else 0) and error in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_names_that_an_encoding_lacks(tmp_path: Path) -> None:
    environment = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = _shell('"$@" fit "$(printf \'w\\xc3\\xa4re\\xff\\033\')"', **environment)
    assert done.returncode == 2 and done.stderr.isascii() and "\x1b" not in done.stderr
    assert "got 'w\\udcc3\\udca4re\\udcff\\x1b'" in done.stderr


def test_python_m_polyfield_is_the_command() -> None:
    done = subprocess.run([*POLYFIELD, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("polyfield ") and done.stderr == ""
