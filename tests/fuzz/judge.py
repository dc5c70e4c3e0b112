"""What of a command's behaviour is a fault."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from case import Case
from driver import Result

MOST_MEMORY = 2 << 30
"""Bytes above the idle process."""
COPIES = 12
"""Of its values, while a model is trained: gradients, moments, the last good state, packed ones."""
LONGEST_LINE = 320
"""Characters of an error."""
PREFIX = "polyfield: error: "
HEADLINES = ("psnr", "snr", "iou")
"""Scores that every measurement has; SSIM has none of images smaller than its window."""
EXACT = 1e-9
"""Largest mean squared error at which a score without a bound is a perfect one."""
FLOAT_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


@dataclass(frozen=True)
class Fault:
    """Something a command may not do."""

    name: str
    """Which rule was broken."""
    detail: str
    """The line that shows it."""

    @property
    def key(self) -> str:
        """The same for faults of one kind: digits, quoted words and paths are left out."""
        text = re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", self.detail)
        text = re.sub(r"(?<!\w)[\w.~+-]*/[^\s:;,)]*", "PATH", text)
        return f"{self.name}: {re.sub(r'[-+]?[0-9][0-9.e+-]*', '#', text)[:160]}"


def faults(case: Case, result: Result, folder: Path) -> Iterator[Fault]:
    """Everything that is wrong with what came of a case.

    Args:
        case: What was run.
        result: What came.
        folder: Where its files lie.
    """
    stdout, stderr = (text.decode("utf-8", "replace") for text in (result.stdout, result.stderr))
    lines = stderr.splitlines()
    last = lines[-1] if lines else ""
    if result.end:
        yield Fault(result.end.split(":")[0], f"{result.end} {last}".strip())
        return
    if result.memory > MOST_MEMORY + _own(result, folder):
        yield Fault("memory", f"{result.memory / 1e9:.1f} GB, exit {result.code}; {last}")
    if "Traceback (most recent call last)" in stdout + stderr:
        yield Fault("traceback", last)
    yield from _streams(result, stdout, lines)
    if strays := _strays(case, result):
        yield Fault("strays", ", ".join(strays))
    if result.code == 0:
        yield from _done(case, result, folder)
    elif result.code == 1:
        allowed = ("expected to write ", "expected finite training")
        if not last.startswith(tuple(PREFIX + word for word in allowed)):
            yield Fault("exit 1", last)
    elif result.code != 2:
        yield Fault("exit code", f"{result.code}; {last}")
    if result.code == 2 and result.before != result.after:
        paths = {*result.before.items()} ^ {*result.after.items()}
        names = ", ".join(sorted({path for path, _ in paths})[:6])
        yield Fault("half written", f"{last} | {names}")


def _own(result: Result, folder: Path) -> int:
    """Bytes that training what was asked for takes: of a changed config that may be a large model.

    What a file says of itself is no reason, only what a fit that worked says it has trained.
    """
    changed = [path for path, digest in result.after.items() if result.before.get(path) != digest]
    runs = [folder / path for path in changed if Path(path).name == "metrics.json"]
    sizes = [0]
    for path in runs if result.code == 0 else []:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            values = json.loads(path.read_text(encoding="utf-8")).get("parameters")
            sizes.append(values if isinstance(values, int) else 0)
    return COPIES * 4 * max(sizes)


def _strays(case: Case, result: Result) -> list[str]:
    """Files where none were asked for: `--out ~` asks for them in the home, which is empty here."""
    asked = any(word.removeprefix("--out=").startswith("~") for word in case.arguments)
    return [name for name in result.left if not (asked and name.startswith("home/"))]


def _streams(result: Result, stdout: str, lines: list[str]) -> Iterator[Fault]:
    """One line of ours on stderr where it failed, none where it worked; nothing but text."""
    last = lines[-1] if lines else ""
    if result.code == 0 and lines:
        yield Fault("stderr of a success", last)
    if result.code != 0:
        if not last.startswith(PREFIX):
            yield Fault("no error line", f"exit {result.code}; {last}")
        if len(lines) > 1:
            yield Fault("more than a line", lines[0])
        if len(last) > LONGEST_LINE:
            yield Fault("long line", f"{len(last)} characters; {last[:120]}")
        if last.startswith(PREFIX) and last.count("; ") < 2:
            yield Fault("no mend", last)
    for text in (stdout, "\n".join(lines)):
        if found := re.search(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e]", text):
            yield Fault("control character", repr(text[max(0, found.start() - 60) :][:80]))
    if "�" in stdout + last:
        yield Fault("not text", last[:120])
    if len(stdout) > 100_000:
        yield Fault("flood", f"{len(stdout)} characters on stdout")


def _done(case: Case, result: Result, folder: Path) -> Iterator[Fault]:
    """What a command that says it worked has written."""
    changed = {path for path, digest in result.after.items() if result.before.get(path) != digest}
    if any(Path(path).name.startswith(".part-") for path in changed):
        yield Fault("half written", "a temporary file after exit 0")
    for path in sorted(changed):
        name = Path(path).name
        if name == "metrics.json":
            if b"the sound is silent" not in result.stdout:
                yield from _metrics(folder / path)
        elif name == "model.safetensors" and (wrong := not_finite(folder / path)):
            yield Fault("not finite", f"{wrong} in a model, exit 0")
    verb = case.arguments[0] if case.arguments else ""
    helped = {"-h", "--help", "--version"} & {*case.arguments}
    if verb == "fit" and not helped:
        runs = {str(Path(p).parent) for p in result.after if Path(p).name == "config.yaml"}
        for run in runs:
            for name in ("model.safetensors", "metrics.json", "preview.png"):
                if f"{run}/config.yaml" in changed and f"{run}/{name}" not in result.after:
                    yield Fault("not whole", f"exit 0 without {name}")
        if (
            not changed
            and b"nothing to do" not in result.stdout
            # `--out ~USER`: the home of another user, not looked at here.
            and b"written to /" not in result.stdout
            and "--quiet" not in case.arguments
        ):
            yield Fault("not whole", "exit 0 of a fit that wrote nothing")


def _metrics(path: Path) -> Iterator[Fault]:
    """Scores that are no numbers."""
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        yield Fault("metrics", f"metrics.json after exit 0: {error}")
        return
    views = metrics.get("per_view")
    for where in (metrics, *(views if isinstance(views, list) else [])):
        for name in HEADLINES:
            if name in where and not _finite(where[name]) and not _perfect(where):
                yield Fault("score", f"{name} {where[name]} after exit 0")


def _perfect(scores: dict[str, object]) -> bool:
    """Whether a fit is exact, so that a decibel has no number."""
    return any(_finite(scores.get(n)) and scores[n] > 1 - EXACT for n in ("ssim",)) or any(  # type: ignore[operator]
        _finite(scores.get(n)) and abs(scores[n]) < EXACT
        for n in ("mse", "lsd")  # type: ignore[arg-type]
    )


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def not_finite(path: Path) -> str:
    """The first tensor of a safetensors file that has NaN or infinity; empty if none has.

    Infinity is what an occupancy grid says of cells that nobody has looked at.
    """
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    for name, about in json.loads(content[8 : 8 + length]).items():
        if name == "__metadata__" or about["dtype"] not in FLOAT_TYPES:
            continue
        begin, end = (8 + length + offset for offset in about["data_offsets"])
        numbers = np.frombuffer(content[begin:end], FLOAT_TYPES[about["dtype"]])
        wrong = np.isnan(numbers) if name.endswith("sampler.value") else ~np.isfinite(numbers)
        if wrong.any():
            return str(name)
    return ""
