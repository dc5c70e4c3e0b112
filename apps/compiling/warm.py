"""`polyfield warm` and `polyfield.warm`: compile kernels before they are wanted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import tyro

from polyfield.apps import config_cli
from polyfield.apps.choices import DEFAULT_PRESET, configured, kind_named
from polyfield.apps.tasks import KINDS
from polyfield.backends import dispatch, kernel_cache
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.training.watchers.console import Reporter

ALL = "all"
"""Every preset."""


@dataclass(frozen=True)
class Flags:
    """Compile the CPU kernels of presets, so that the first fit with one begins at once."""

    kinds: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="KIND")] = ()
    """Kinds of data; all of them if none given."""
    preset: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME")] = (DEFAULT_PRESET,)
    """Presets, or all."""
    threads: int | None = None
    """CPU threads, as for fits; so many presets are compiled at once."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given = config_cli.parse(Flags, arguments, "warm")
    with Reporter(given.quiet) as reporter:
        warm(given.kinds, given.preset, threads=given.threads, reporter=reporter)


def warm(
    kinds: Sequence[str] = (),
    presets: Sequence[str] = (DEFAULT_PRESET,),
    *,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> dict[str, float]:
    """Compile the CPU kernels of presets: each takes one step on built-in data in a process.

    Args:
        kinds: Of data; all of them if none are given.
        presets: By name; "all" for those of each kind. One that a kind lacks is left out there.
        threads: As for fits; so many processes run at once. None for PyTorch's own choice.
        reporter: What is printed; None prints nothing.

    Returns:
        Seconds each took, by "KIND PRESET".

    Raises:
        InputError: no such kind or preset, no numba, or no place to keep kernels.
    """
    reporter = reporter or Reporter(quiet=True)
    if off := dispatch.why_no_numba():
        raise InputError("numba's compiler for CPU kernels", *off)
    if kernel_cache.place() is None:
        hint = "set NUMBA_CACHE_DIR to a folder that can be written to"
        raise InputError("a place to keep compiled kernels", "none", hint)
    wanted = _wanted(kinds or tuple(KINDS), presets)
    count = use_threads(threads)

    def one(kind: str, preset: str) -> tuple[str, float]:
        began = time.perf_counter()
        words = json.dumps([kind, preset, count])
        code = "from polyfield.apps.compiling.warm import step; step()"
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], input=words, text=True, capture_output=True
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise RuntimeError(f"{kind} {preset}: {last}")
        return f"{kind} {preset}", time.perf_counter() - began

    found = {}
    with ThreadPoolExecutor(count) as pool:
        for name, seconds in pool.map(lambda pair: one(*pair), wanted):
            reporter.say(f"{name}: {seconds:.1f} s")
            found[name] = seconds
    reporter.say(f"kernels are in {kernel_cache.place()}")
    return found


def _wanted(kinds: Sequence[str], presets: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of kind and preset."""
    found = []
    for kind in dict.fromkeys(kinds):
        theirs = kind_named(kind).presets()
        found += [(kind, name) for name in theirs if name in presets or ALL in presets]
    known = {name for _, name in found}
    for name in presets:
        if name != ALL and name not in known:
            configured(kind_named(kinds[0]), name)  # Says what there is.
    return found


def step() -> None:
    """What a process does: one step, kept nowhere, and what drawing needs."""
    from polyfield.apps.fit import fit

    kind, preset, threads = json.load(sys.stdin)
    model = fit(kind, "demo", preset=preset, steps=1, threads=threads)
    for piece in model.rehearsals():
        piece()
