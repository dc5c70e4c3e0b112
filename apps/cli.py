"""The `polyfield` command: finds the verb, imports its module alone, turns errors into lines.

Exit codes: 0 done, 2 wrong input, 129 SIGHUP, 130 Ctrl-C, 143 SIGTERM, 1 anything else.
`POLYFIELD_DEBUG=1` adds the traceback.
"""

from __future__ import annotations

import difflib
import errno
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module, metadata
from types import FrameType
from typing import NoReturn, TextIO

from polyfield import environment, terminal
from polyfield.apps.tasks import KINDS

VERBS = {
    "fit": ("polyfield.apps.fit", "train a field"),
    "compare": ("polyfield.apps.compare", "fit the same data with several presets"),
    "distill": ("polyfield.apps.distill", "turn a run into another architecture"),
    "evaluate": ("polyfield.apps.evaluate", "measure a run on what it never saw"),
    "render": ("polyfield.apps.render", "draw a run: along a camera path, at another size"),
    "view": ("polyfield.apps.view", "show a run in the browser"),
    "export": (
        "polyfield.apps.export",
        "write a run as a page, mesh, points, splats, volume, images, onnx",
    ),
    "import": ("polyfield.apps.import_model", "turn another program's model into a run"),
    "process": ("polyfield.apps.process", "find the poses of photographs or of a video"),
    "check": ("polyfield.apps.check", "look a capture over: what is wrong, and the mend"),
    "info": ("polyfield.apps.info", "say what a run is, or what this machine has"),
    "warm": ("polyfield.apps.compiling.warm", "compile kernels before they are wanted"),
    "bench": ("polyfield.apps.bench", "time the kernels"),
}
"""Word on the command line -> (module with `main`, what it does)."""
OF_A_KIND = ("fit", "compare")
"""Verbs that are followed by a kind of data: `main(kind, arguments)`; else `main(arguments)`."""


_STOPS = {129: "a hang-up (SIGHUP)", 143: "SIGTERM"}
"""Exit codes of signals that end a command, and what to call them."""

_HINTS = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some space, or write elsewhere",
    errno.EROFS: "write to a folder that is not read-only",
    errno.EACCES: "look at the permissions of the file and its folder",
    errno.EPERM: "look at the permissions of the file and its folder",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ELOOP: "remove the link that leads back to itself",
    errno.EISDIR: "move the folder of that name away",
    errno.ENOTDIR: "move the file of that name away",
    errno.EMFILE: "allow more open files: `ulimit -n 4096`",
    errno.ENFILE: "close other programs: the system has too many files open",
}
"""What the system refused -> how to mend it."""

_EXPECTED = {
    errno.ENAMETOOLONG: "a name that the file system takes",
    errno.ELOOP: "a link that leads somewhere",
    errno.EISDIR: "a file",
    errno.ENOTDIR: "a folder",
}
"""What no system would do -> what was expected of who asked: exit code 2."""


def main() -> NoReturn:
    """Entry point of the console script: the process is ours, and so is what it prints."""
    terminal.open_streams()
    environment.prepare()
    warnings.showwarning = _warn
    logging.lastResort = _Lines(logging.WARNING)
    threading.excepthook = _thread_failed
    sys.unraisablehook = _ignored
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # Of help and the like; a verb's are told by `run`.
        code = _failed(error)
    sys.exit(_settled(code))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: The words after `polyfield`.

    Returns:
        The exit code.
    """
    words = list(arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_help(""))
        return 0
    if words[0] == "--version":
        print(f"polyfield {metadata.version('polyfield')}")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        return _unknown(verb, tuple(VERBS), "polyfield")
    if verb not in OF_A_KIND:
        return _call(VERBS[verb][0], rest)
    if not rest or rest[0] in ("-h", "--help"):
        print(_help(verb))
        return 0
    if rest[0] not in KINDS:
        return _unknown(rest[0], tuple(KINDS), f"polyfield {verb}")
    return _call(VERBS[verb][0], rest[1:], rest[0])


def _call(module: str, arguments: list[str], *kind: str) -> int:
    """Run a verb's `main` and turn whatever it raises into an exit code and at most one line."""
    _end_on_signals()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            import_module(module).main(*kind, arguments)
    except KeyboardInterrupt as stop:
        return _ended(130, f"stopped by Ctrl-C{_reason(stop)}")
    except SystemExit as stop:
        if isinstance(stop.code, str):
            return _ended(1, f"error: {stop.code}")
        if stop.code in _STOPS:
            return _ended(stop.code, f"stopped by {_STOPS[stop.code]}{_reason(stop)}")
        return stop.code or 0
    except BaseException as error:  # Libraries in other languages have classes of their own.
        return _failed(error)
    return 0


def _end_on_signals() -> None:
    """Let SIGTERM and a hang-up end the command in order; `nohup` keeps ignoring the latter."""
    numbers = [signal.SIGTERM]
    if sys.platform != "win32":
        numbers.append(signal.SIGHUP)
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)


_warned: set[str] = set()
"""Warnings shown in this process."""


def _warn_once(text: str) -> None:
    """Show a warning on stdout, where those of a run go, as one line and once."""
    line = terminal.one_line(text)
    if line not in _warned:
        _warned.add(line)
        terminal.say(f"polyfield: warning: {line}", sys.stdout)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a library's warning."""
    _warn_once(str(message))


class _Lines(logging.Handler):
    """Shows what libraries log where nobody asked for it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # Its arguments don't fit its text.
            text = str(record.msg)
        _warn_once(f"{record.name}: {text}")


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """Show what ended a thread of a library, which work goes on without."""
    if failed.exc_value is None or isinstance(failed.exc_value, SystemExit):
        return
    _debug(failed.exc_value)
    _warn_once(f"a thread in the background stopped: {_named(failed.exc_value)}")


def _ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Be silent about what fails while things are put away, unless asked."""
    if ignored.exc_value is not None:
        _debug(ignored.exc_value)


def _failed(error: BaseException) -> int:
    """Tell an error in one line: the user's by what is wrong, any other by its name."""
    text = str(error)
    if isinstance(error, OSError) and terminal.caused(sys.stdout, error):
        if isinstance(error, BrokenPipeError):
            return 1  # The reader of a pipe is gone, as in `polyfield info | head -1`.
        return _ended(1, f"error: {_unwritten(error)}")
    if _is(error, "polyfield.errors", "InputError"):
        return _ended(2, f"error: {text}")
    if _is(error, "polyfield.errors", "WriteError") or _is(
        error, "polyfield.training.loop", "FitError"
    ):
        return _ended(1, f"error: {text}")
    if isinstance(error, UnicodeEncodeError) and "surrogate" in error.reason:
        wanted = "names in UTF-8, here and on disk"
        hint = "rename it; if it is UTF-8, set PYTHONUTF8=1"
        return _ended(2, f"error: expected {wanted}; got {error.object!r}; {hint}")
    expected, got, hint = "the command to work", _named(error), "set POLYFIELD_DEBUG=1 to see where"
    if isinstance(error, MemoryError) or _is(error, "torch", "OutOfMemoryError"):
        expected, hint = "enough memory", "ask for less (--downscale, --size), or free some"
    elif isinstance(error, RuntimeError) and "can't allocate memory" in text:  # As torch says it.
        expected, hint = "enough memory", "ask for less (--downscale, --size), or free some"
    elif isinstance(error, RecursionError):
        expected, got = "input that is not nested so deep", "RecursionError"
    elif isinstance(error, OSError) and error.errno is not None:
        expected, got = "the system to do what it was asked", _refusal(error)
        hint = _HINTS.get(error.errno, hint)
        if error.errno in _EXPECTED:
            return _ended(2, f"error: expected {_EXPECTED[error.errno]}; got {got}; {hint}")
    return _ended(1, f"error: expected {expected}; got {got}; {hint}")


def _named(error: BaseException) -> str:
    """An error by its class and what it says."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _refusal(error: OSError) -> str:
    """What the system said, and of which file."""
    files = [
        os.fsdecode(f) for f in (error.filename, error.filename2) if isinstance(f, str | bytes)
    ]
    said = error.strerror or str(error)
    return f"{said}: {' and '.join(map(repr, files))}" if files else said


def _unwritten(error: OSError) -> str:
    said = error.strerror or str(error)
    return f"expected to write to stdout; got {said}; free some space, or write elsewhere"


def _settled(code: int) -> int:
    """The exit code once both streams are empty: a result that nobody can have read is none."""
    error = terminal.settle(sys.stdout)
    if error is not None and code == 0:
        code = 1 if isinstance(error, BrokenPipeError) else _ended(1, f"error: {_unwritten(error)}")
    terminal.settle(sys.stderr)
    return code


def _is(error: BaseException, module: str, name: str) -> bool:
    """Whether an error is of a class of ours.

    Its module costs a second to import, and may be what failed; if it is not loaded, no.
    """
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(error, getattr(loaded, name, ()))


def _ended(code: int, line: str) -> int:
    """Write the one line of an unhappy end, with the traceback where it is asked for."""
    error = sys.exception()
    if error is not None:
        _debug(error)
    terminal.say(f"polyfield: {terminal.one_line(line)}", sys.stderr)
    return code


def _debug(error: BaseException) -> None:
    """Print the traceback where it is asked for."""
    if os.environ.get("POLYFIELD_DEBUG") == "1":
        lines = "".join(traceback.format_exception(error))
        terminal.say(terminal.shown(lines).rstrip(), sys.stderr)


def _reason(stop: BaseException) -> str:
    """What a deferred stop says: where the run is saved."""
    notes = getattr(stop, "__notes__", [])
    return "".join(f"; {note}" for note in notes)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _unknown(word: str, names: Sequence[str], ask: str) -> int:
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {ask} {near[0]}?" if near else f"run `{ask} --help`"
    return _ended(2, f"error: expected one of {', '.join(names)}; got {word!r}; {hint}")


def _help(verb: str) -> str:
    if verb:
        rows = {f"{verb} {kind}": about for kind, (_, about) in KINDS.items()}
    else:
        rows = {
            f"{name} KIND" if name in OF_A_KIND else name: what for name, (_, what) in VERBS.items()
        }
    lines = [
        f"usage: polyfield {verb or 'VERB'}{' KIND' if verb else ''} ...",
        "",
        "Neural fields that install with pip, compile nothing and train in a minute on a CPU.",
        "",
        *(f"  {name:<15}{what}" for name, what in rows.items()),
        "",
        f"  KIND is one of {', '.join(KINDS)}",
        f"  polyfield {verb + ' KIND' if verb else 'VERB'} --help says more; polyfield --version",
        "",
        "Try: polyfield fit scene demo --out runs/demo",
    ]
    return "\n".join(lines)
