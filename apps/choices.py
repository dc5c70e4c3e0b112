"""From words to a task: kinds, presets, YAML files, budgets, seeds, folders."""

from __future__ import annotations

import math
import os
import re
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

from polyfield.apps.tasks import KINDS, task_class
from polyfield.config import from_tree, nearest
from polyfield.errors import InputError
from polyfield.files import read_yaml
from polyfield.ranges import Range
from polyfield.training.fit import DEMO
from polyfield.training.loop import FitConfig
from polyfield.training.run import Run
from polyfield.training.task import TREES, Task

Seconds = Annotated[float, Range(0, 1e8, above=True)]
"""A budget of time."""
Steps = Annotated[int, Range(1, 10**9)]
"""A budget of steps."""
Seed = Annotated[int, Range(0, 2**63 - 1)]
"""What PyTorch takes."""
DEFAULT_SECONDS = 60.0
"""Training time where neither seconds nor steps are given."""
DEFAULT_PRESET = "hash"

# What a run's config.yaml says besides its task; as a --config file it is passed over.
_FACTS = (
    "polyfield", "kind", "data", "preset", "seed", "threads", "fingerprint", "distilled",
)  # fmt: skip
# Options of reading that the first edition kept for every kind alike.
_ONCE_SHARED = ("downscale", "strict", "test_every", "bounds", "holdout")


def kind_named(name: str) -> type[Task[Any, Any]]:
    """The task of a kind.

    Raises:
        InputError: there is no such kind.
    """
    if name not in KINDS:
        raise InputError(
            f"a kind: {', '.join(KINDS)}", repr(name), nearest(name, KINDS, "pick one of them")
        )
    found: type[Task[Any, Any]] = task_class(name)
    return found


def task_of(run: Run) -> Task[Any, Any]:
    """What a run was asked for, as its config.yaml keeps it.

    Raises:
        InputError: no run, or its config.yaml is of another shape.
    """
    tree = run.config()
    kind = kind_named(tree["kind"])
    return _changed(kind, None, tree, str(run.file("config.yaml")))


def preset_of(file: Path) -> str:
    """The preset that a YAML file is a change of; hash where it doesn't say."""
    tree = read_yaml(file)
    return str(tree.get("preset", DEFAULT_PRESET)) if isinstance(tree, dict) else DEFAULT_PRESET


def configured(kind: type[Task[Any, Any]], preset: str, file: Path | None = None) -> Task[Any, Any]:
    """A preset of a kind, with the changes of a YAML file.

    Raises:
        InputError: no such preset, or the file has unknown keys or bad values.
    """
    presets = kind.presets()
    if preset not in presets:
        raise InputError(
            f"a preset: {', '.join(presets)}",
            repr(preset),
            nearest(preset, presets, "pick one of them"),
        )
    base = presets[preset]
    if file is None:
        return base
    tree = read_yaml(file)
    if not isinstance(tree, dict):
        raise InputError(
            f"keys with values in {file}", type(tree).__name__, "write for instance `fit: {...}`"
        )
    return _changed(kind, base, tree, str(file))


def changed(task: Task[Any, Any], changes: Mapping[str, Any]) -> Task[Any, Any]:
    """A task with values changed by dotted names, as the flags have them.

    Args:
        task: What is changed.
        changes: For instance {"field.position.levels": 4, "read.downscale": 2}.

    Raises:
        InputError: an unknown name, or a bad value.
    """
    tree: dict[str, Any] = {}
    for name, value in changes.items():
        place = tree
        *path, last = name.split(".")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return _changed(type(task), task, tree, "changes")


def _changed(kind: type[Task[Any, Any]], base: Any, tree: Mapping[str, Any], where: str) -> Any:
    tree = {key: value for key, value in tree.items() if key not in _FACTS}
    read = tree.get("read")
    if isinstance(read, dict):
        hints = typing.get_type_hints(kind)
        own = {f.name for f in fields(hints["read"])}
        foreign = [key for key in read if key in _ONCE_SHARED and key not in own]
        tree["read"] = {key: value for key, value in read.items() if key not in foreign}
    return from_tree(kind, tree, where, base)


def reading(task: Task[Any, Any]) -> dict[str, Any]:
    """The values of a task that say how data is read and shown, by name."""
    names = [f.name for f in fields(task)]  # type: ignore[arg-type]
    return {name: getattr(task, name) for name in names if name not in TREES}


def with_budget(config: FitConfig, seconds: float | None, steps: int | None) -> FitConfig:
    """The config with the budget asked for, else its own, else a minute.

    Raises:
        InputError: both, or one that is not above zero.
    """
    if seconds is not None and steps is not None:
        raise InputError("--seconds or --steps", "both", "drop one of them")
    if seconds is None and steps is None:
        seconds, steps = config.seconds, config.steps
    if seconds is None and steps is None:
        seconds = DEFAULT_SECONDS
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise InputError("seconds above 0", f"{seconds:g}", "give for instance --seconds 60")
    if steps is not None and steps <= 0:
        raise InputError("steps above 0", str(steps), "give for instance --steps 1000")
    return replace(config, seconds=seconds, steps=steps)


def budgeted(task: Task[Any, Any], seconds: float | None, steps: int | None) -> Task[Any, Any]:
    """A task with a budget, as `with_budget`."""
    found: Task[Any, Any] = replace(task, fit=with_budget(task.fit, seconds, steps))  # type: ignore[type-var]
    return found


def check_seed(seed: int) -> None:
    """Raise unless PyTorch takes the seed.

    Raises:
        InputError: negative or too large.
    """
    if not 0 <= seed < 2**63:
        raise InputError("a seed between 0 and 2^63 - 1", str(seed), "change --seed")


def default_out(data: str | os.PathLike[str], preset: str) -> Path:
    """runs/NAME-PRESET, of the data's name and the preset's."""
    text = os.fspath(data)
    name = DEMO if text == DEMO else Path(os.path.abspath(text)).stem
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    return Path("runs") / f"{plain}-{preset}"
