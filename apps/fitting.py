"""What `fit scene` and `fit image` share: flags, presets, budget and seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

from polyfield.apps import config_cli
from polyfield.apps.jobs import Way
from polyfield.config import from_tree, nearest
from polyfield.errors import InputError
from polyfield.files import read_yaml
from polyfield.training.loop import FitConfig

DEFAULT_SECONDS = 60.0
"""Training time where neither seconds nor steps are given."""

Flags = TypeVar("Flags")
Tree = TypeVar("Tree")

# What a run's config.yaml says besides the tree of configs; as a --config file it is passed over.
_FACTS = (
    "polyfield", "kind", "data", "preset", "seed", "threads", "read", "background", "fingerprint",
    "distilled",
)  # fmt: skip


@dataclass(frozen=True)
class FitFlags:
    """The flags of every fit."""

    out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """Folder of the run; must be new, or give --resume or --overwrite."""
    seconds: float | None = None
    """Training time; compiling, checkpoints, evaluation and pictures don't count. Default 60."""
    steps: int | None = None
    """Number of training steps, instead of --seconds."""
    preset: str = "hash"
    """Architecture and numbers to start from, see `polyfield info`; else FILE's, else hash."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE.yaml")] = None
    """Changes to the preset, read before the flags; a run's config.yaml will do."""
    seed: int = 0
    """Seed of everything random."""
    threads: int | None = None
    """CPU threads; default as PyTorch chooses, one per core."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one. A run may go on elsewhere."""
    resume: bool = False
    """Go on with RUN where it stopped; begin it where there is none."""
    overwrite: bool = False
    """Begin anew, whatever run is in RUN."""
    checkpoint_every: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 30.0
    """Wall time between two checkpoints."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def read_flags(
    kind: type[Flags], presets: Mapping[str, Tree], arguments: Sequence[str], verb: str
) -> tuple[Flags, Tree]:
    """Read a command line in the order preset, --config, flags.

    Args:
        kind: A dataclass of the verb's plain flags.
        presets: By name; dataclasses of configs.
        arguments: The words after the verb.
        verb: As typed.

    Returns:
        The plain flags, and the preset with all changes made.

    Raises:
        InputError: an unknown preset, key or flag, or a bad value.
    """
    preset, file = (config_cli.value_of(name, arguments) for name in ("--preset", "--config"))
    preset = preset or (preset_of(Path(file)) if file else "hash")
    base = configured(presets, preset, Path(file) if file else None)
    names = list(base.__dataclass_fields__)  # type: ignore[attr-defined]
    trees = {name: getattr(base, name) for name in names}
    plain, changed = config_cli.parse_with_trees(kind, trees, arguments, verb)
    fit = replace(plain.fit, preset=preset)  # type: ignore[attr-defined]
    plain = replace(plain, fit=fit)  # type: ignore[type-var]
    return plain, replace(base, **changed)  # type: ignore[type-var]


def preset_of(file: Path) -> str:
    """The preset that a YAML file is a change of; hash where it doesn't say."""
    tree = read_yaml(file)
    return str(tree.get("preset", "hash")) if isinstance(tree, dict) else "hash"


def configured(presets: Mapping[str, Tree], preset: str, file: Path | None = None) -> Tree:
    """A preset, with the changes of a YAML file.

    Raises:
        InputError: no such preset, or the file has unknown keys or bad values.
    """
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
    tree = {key: value for key, value in tree.items() if key not in _FACTS}
    found: Tree = from_tree(type(base), tree, str(file), base)
    return found


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


def check_seed(seed: int) -> None:
    """Raise unless PyTorch takes the seed.

    Raises:
        InputError: negative or too large.
    """
    if not 0 <= seed < 2**63:
        raise InputError("a seed between 0 and 2^63 - 1", str(seed), "change --seed")


def way_of(given: FitFlags) -> Way:
    """How the job is to be done.

    Raises:
        InputError: no time between two checkpoints.
    """
    if not given.checkpoint_every > 0:
        raise InputError(
            "checkpoint-every above 0", f"{given.checkpoint_every:g}", "give for instance 30"
        )
    return Way(given.resume, given.overwrite, given.checkpoint_every)
