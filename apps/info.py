"""`polyfield info`: what a run is, or what this machine has."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from polyfield.apps import config_cli
from polyfield.apps.tasks import KINDS, task_class
from polyfield.backends import dispatch
from polyfield.errors import visible
from polyfield.files import as_json
from polyfield.machine import versions
from polyfield.training.run import Run, load


@dataclass(frozen=True)
class Flags:
    """Say what a run is; without RUN, what this machine has: versions, presets, backends."""

    run: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = None
    """Folder of a run, or a model.safetensors."""
    json: bool = False
    """Print JSON."""
    quiet: bool = False
    """Print nothing but what was asked for."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given = config_cli.parse(Flags, arguments, "info")
    found = machine() if given.run is None else about(given.run)
    if given.json:
        print(as_json(found))
        return
    for line in _lines(found):
        print(line)


def machine() -> dict[str, Any]:
    """Versions, threads, presets, and backends with the reason why one is off."""
    return {
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "presets": {kind: list(task_class(kind).presets()) for kind in KINDS},
        "backends": [asdict(row) for row in dispatch.report()],
    }


_SHOWN = ("color_space", "shape", "channels", "about", "unbounded")
"""Of a model's metadata."""


def about(path: Path) -> dict[str, Any]:
    """What a run was asked for, how far it came, and what was measured.

    Raises:
        InputError: no run and no model there.
    """
    model = load(path)
    size = model.size()
    found: dict[str, Any] = {
        "path": str(path),
        "kind": model.kind,
        "bounds": model.bounds.tolist(),
        **{key: value for key, value in model.describe().items() if key in _SHOWN},
        "parameters": size.trainable,
        "stored": size.stored,
    }
    if not path.is_dir():
        return found
    run = Run(path)
    config, meta = run.config(), run.state_meta()
    state = {key: meta[key] for key in ("step", "seconds", "samples", "spent") if key in meta}
    metrics = {key: value for key, value in run.metrics().items() if key != "per_view"}
    return {**found, "state": state, "config": config, "metrics": metrics}


def _lines(tree: Any, depth: int = 0) -> list[str]:
    """A tree as indented lines."""
    found = []
    for key, value in tree.items():
        name = f"{'  ' * depth}{visible(str(key))}"
        if isinstance(value, dict) and value:
            found += [name, *_lines(value, depth + 1)]
        elif isinstance(value, list) and value and all(map(_is_backend, value)):
            found += [name, *("  " * (depth + 1) + _row(row) for row in value)]
        else:
            found.append(f"{name:<24}{_word(value)}")
    return found


def _is_backend(row: Any) -> bool:
    return isinstance(row, dict) and {"name", "used", "reason"} <= row.keys()


def _row(row: dict[str, Any]) -> str:
    """A backend as a line."""
    used = "used" if row["used"] else "off"
    return f"{row['name']:<14}{used:<6}{row['reason']}"


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(_word(item) for item in value)
    return visible(str(value))
