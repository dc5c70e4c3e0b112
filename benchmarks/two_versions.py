"""Two versions of polyfield side by side: fits that both do at once, children that take turns.

A version is its `polyfield` command; the `python` beside it runs scripts of this folder that use
only what both have.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

OURS = str(Path(sys.executable).with_name("polyfield"))
HERE = Path(__file__).parent

Found = dict[str, Any]


class Versions:
    """Our command and that of the version before, and the runs that they share.

    Args:
        out: Runs go below it.
        before: None for ours alone: rows then have no differences and ratios.
    """

    def __init__(self, out: Path, before: str | None) -> None:
        self.out = out
        self.commands = {"ours": OURS}
        if before is not None:
            self.commands["before"] = str(Path(before).expanduser().absolute())

    def run(self, name: str, version: str) -> Path:
        """The folder of a version's fit."""
        return self.out / "runs" / f"{name}-{version}"

    def fit(
        self, name: str, words: Mapping[str, Sequence[object]], threads: int
    ) -> dict[str, Found]:
        """Fits of one or more versions at once; what each says of itself, by version.

        One that was stopped goes on, and one that is there is not done again.

        Args:
            name: Of their runs.
            words: What follows `polyfield fit`, by version.
            threads: Of each.

        Raises:
            CalledProcessError: one of them failed.
        """
        commands = {}
        for version, given in words.items():
            command = [self.commands[version], "fit", *map(str, given)]
            command += ["--out", str(self.run(name, version)), "--resume", "--quiet"]
            commands[version] = [*command, "--threads", str(threads)]
        sys.stdout.write("".join(_at_once(commands, threads).values()))
        files = {version: self.run(name, version) / "metrics.json" for version in words}
        return {version: json.loads(file.read_text()) for version, file in files.items()}

    def told(self, script: str, words: Mapping[str, Sequence[object]], threads: int) -> Found:
        """What a script of this folder prints as JSON, run by versions at once."""
        commands = {
            version: [*self._python(version, script), *map(str, given), str(threads)]
            for version, given in words.items()
        }
        said = _at_once(commands, threads)
        return {version: json.loads(lines.splitlines()[-1]) for version, lines in said.items()}

    def in_turns(
        self, script: str, words: Mapping[str, Sequence[object]], pairs: int, threads: int
    ) -> dict[str, list[Found]]:
        """The same in so many turns, never two at once; who begins alternates."""
        found: dict[str, list[Found]] = {version: [] for version in words}
        for turn in range(pairs):
            for version in sorted(words, reverse=turn % 2 == 0):
                alone = self.told(script, {version: words[version]}, threads)
                found[version].append(alone[version])
        return found

    def _python(self, version: str, script: str) -> list[str]:
        python = Path(self.commands[version]).with_name("python")
        return [str(python), "-P", str(HERE / script)]


def compared(found: Mapping[str, Sequence[Found]], key: str) -> Found:
    """A number of each turn, by version, and the median of ours divided by the one before."""
    values = {version: [float(turn[key]) for turn in turns] for version, turns in found.items()}
    if "before" not in values:
        return dict(values)
    pairs = zip(values["ours"], values["before"], strict=True)
    return {**values, "ratio": statistics.median(ours / before for ours, before in pairs)}


def _at_once(commands: Mapping[str, Sequence[str]], threads: int) -> dict[str, str]:
    """Run commands side by side; what each printed.

    Raises:
        CalledProcessError: one of them failed; the others are waited for.
    """
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    started = {
        name: subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        for name, command in commands.items()
    }
    said = {name: process.communicate()[0] for name, process in started.items()}
    for name, process in started.items():
        if process.returncode:
            sys.stderr.write(said[name])
            raise subprocess.CalledProcessError(process.returncode, commands[name])
    return said
