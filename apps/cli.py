"""The `polyfield` command: finds the verb, imports its module alone, turns errors into lines.

Exit codes: 0 done, 2 wrong input, 130 Ctrl-C, 143 SIGTERM, 1 anything else. `POLYFIELD_DEBUG=1`
adds the traceback.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module, metadata
from types import FrameType
from typing import NoReturn, TextIO

from polyfield.apps.tasks import KINDS

VERBS = {
    "fit": ("polyfield.apps.fit", "train a field"),
    "compare": ("polyfield.apps.compare", "fit the same data with several presets"),
    "distill": ("polyfield.apps.distill", "turn a run into another architecture"),
    "evaluate": ("polyfield.apps.evaluate", "measure a run on what it never saw"),
    "render": ("polyfield.apps.render", "draw a run: along a camera path, at another size"),
    "info": ("polyfield.apps.info", "say what a run is, or what this machine has"),
    "bench": ("polyfield.apps.bench", "time the kernels"),
}
"""Word on the command line -> (module with `main`, what it does)."""
OF_A_KIND = ("fit", "compare")
"""Verbs that are followed by a kind of data: `main(kind, arguments)`; else `main(arguments)`."""


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


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
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            import_module(module).main(*kind, arguments)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        return _ended(130, f"stopped by Ctrl-C{_reason(stop)}")
    except SystemExit as stop:
        if stop.code == 143:
            return _ended(143, f"stopped by SIGTERM{_reason(stop)}")
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BrokenPipeError:
        # The reader of a pipe is gone, as in `polyfield info | head -1`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _failed(error)
    return 0


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a library's warning as one line on stdout, where those of a run go."""
    print(f"polyfield: warning: {' '.join(str(message).split())}", flush=True)


def _failed(error: Exception) -> int:
    """Tell an error in one line: the user's by what is wrong, any other by its name."""
    text = " ".join(str(error).split())
    if _is(error, "polyfield.errors", "InputError"):
        return _ended(2, f"error: {text}")
    if _is(error, "polyfield.training.loop", "FitError"):
        return _ended(1, f"error: {text}")
    got = f"{type(error).__name__}: {text}"
    mend = "set POLYFIELD_DEBUG=1 to see where"
    return _ended(1, f"error: expected the command to work; got {got}; {mend}")


def _is(error: Exception, module: str, name: str) -> bool:
    """Whether an error is of a class of ours.

    Its module costs a second to import, and may be what failed; if it is not loaded, no.
    """
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(error, getattr(loaded, name, ()))


def _ended(code: int, line: str) -> int:
    """Write the one line of an unhappy end, with the traceback where it is asked for."""
    if os.environ.get("POLYFIELD_DEBUG") == "1":
        traceback.print_exc()
    print(f"polyfield: {line}", file=sys.stderr)
    return code


def _reason(stop: BaseException) -> str:
    """What a deferred stop says: where the run is saved."""
    notes = getattr(stop, "__notes__", [])
    return "".join(f"; {note}" for note in notes)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(143)


def _unknown(word: str, names: Sequence[str], ask: str) -> int:
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    mend = f"did you mean {ask} {near[0]}?" if near else f"run `{ask} --help`"
    return _ended(2, f"error: expected one of {', '.join(names)}; got {word!r}; {mend}")


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
