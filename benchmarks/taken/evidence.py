"""The commands that rows give, the runs they share, and how one finds files of the tests."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

OURS = str(Path(sys.executable).with_name("polyfield"))
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0
"""Seconds that a server may take to say its address, compiling included."""

Found = dict[str, Any]
"""What a row measured; "must" and "strive" say whether its bars are met."""


@dataclass(frozen=True)
class Teacher:
    """A run that several rows share."""

    data: str
    """Below DATA; or demo."""
    flags: tuple[str, ...]


TEACHERS = {
    "lego": Teacher("nerf_synthetic/lego", ("--steps", "3000", "--background", "white")),
    "demo": Teacher("demo", ("--steps", "1500")),
    "fox": Teacher("nerf/fox", ("--steps", "3000")),
}


class Evidence:
    """Where data lies and results go.

    Args:
        data: Holds nerf/fox, nerf_synthetic/lego and image/kodak.
        out: Runs, exports and rows.json; made.
        threads: Of every command.
    """

    def __init__(self, data: Path, out: Path, threads: int) -> None:
        self.data, self.out, self.threads = data, out, threads
        out.mkdir(parents=True, exist_ok=True)

    def place(self, data: str) -> str:
        """Data of a teacher, as commands take it."""
        return data if data == "demo" else str(self.data / data)

    def call(self, *words: object, threaded: bool = True) -> float:
        """A command of polyfield; its seconds, start and end included.

        Args:
            words: Of the command line.
            threaded: Whether it is told how many threads to use.

        Raises:
            CalledProcessError: it failed.
        """
        began = time.perf_counter()
        threads = ["--threads", str(self.threads)] if threaded else []
        subprocess.run([OURS, *map(str, words), *threads], check=True)
        return time.perf_counter() - began

    def fitted(self, kind: str, name: str, data: str, *flags: object) -> Path:
        """A run of `polyfield fit`, done where it isn't there yet."""
        run = self.out / "runs" / name
        if "psnr" not in metrics(run):
            self.call("fit", kind, data, "--out", run, "--overwrite", "--quiet", *flags)
        return run

    def teacher(self, name: str) -> Path:
        """The run of one of `TEACHERS`."""
        about = TEACHERS[name]
        return self.fitted("scene", name, self.place(about.data), *about.flags)

    def exported(self, run: Path, to: str, file: str, *flags: object) -> tuple[Path, float]:
        """A file of `polyfield export`, and the seconds that the command took."""
        path = self.out / "exports" / file
        told = path.with_name(f"{file}.seconds")
        if not (path.exists() and told.exists()):
            path.parent.mkdir(parents=True, exist_ok=True)
            words = ["--to", to, "--out", path, "--overwrite", "--quiet"]
            told.write_text(repr(self.call("export", run, *words, *flags)))
        return path, float(told.read_text())

    def samples_per_second(self) -> float:
        """How fast this machine trains a scene, everything counted: `polyfield bench`."""
        file = self.out / "machine.json"
        if not file.exists():
            self.call("bench", "scene-step", "--json", file, "--quiet")
        rows = json.loads(file.read_text())["rows"]
        return max(float(row["per_second"]) for row in rows if row["op"] == "scene-step")

    @contextmanager
    def serving(self, *words: object) -> Iterator[int]:
        """The port of a command that shows a run, stopped by Ctrl-C at the end."""
        command = [OURS, *map(str, words), "--threads", str(self.threads)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield _port(process)
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()


def metrics(run: Path) -> Found:
    """What a run says of itself; nothing where there is none."""
    file = run / "metrics.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def decibels(found: np.ndarray, wanted: np.ndarray) -> float:
    """PSNR of values in [0, 1], dB; infinite where they are equal."""
    error = float(np.square(found.astype(np.float64) - wanted).mean())
    return -10 * math.log10(error) if error > 0 else math.inf


def middle(values: Sequence[float]) -> float:
    """Their median; NaN where there is none."""
    return float(np.median(values)) if len(values) else math.nan


def of_tests(path: str) -> ModuleType:
    """A file of tests/, which is no package: oracles that tests and rows share."""
    file = ROOT / "tests" / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def emptied(folder: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _port(process: subprocess.Popen[str]) -> int:
    """Read what it prints until the address."""
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"open http://127\.0\.0\.1:(\d+) ", line)
        if found is not None:
            return int(found[1])
    raise RuntimeError("it ended before it told an address")
