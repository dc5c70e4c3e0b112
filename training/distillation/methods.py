"""How a student learns: THE list of methods, each with its own options alone.

The options of a method are its flags on the command line, and what config.yaml keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, cast

from polyfield.config import TAGGED
from polyfield.errors import InputError
from polyfield.training.distillation.points import Form
from polyfield.training.distillation.pvd import LEVELS, Level


@dataclass(frozen=True)
class Pvd:
    """Along the rays of random poses: features first, then points, then pixels (PVD)."""

    name: ClassVar[str] = "pvd"
    loss: Form = "norm"
    """Size of a difference: its norm, as released, or its mean square."""
    clamp: bool = True
    """Clamp log-densities."""
    stages: bool = True
    """One term after the other; else all from the beginning."""
    inherit: bool = True
    """Take grid and heads from the teacher; else the grid is made anew of its density."""
    heads: bool = False
    """Give the student auxiliary heads while it learns."""
    all_samples: bool = False
    """Ask the student at every sample, also where the teacher says that little is to be seen."""


@dataclass(frozen=True)
class PvdActive:
    """The same, coming back to hard poses, rays and points (PVD-AL)."""

    name: ClassVar[str] = "pvd-al"
    loss: Form = "norm"
    """Size of a difference: its norm, as released, or its mean square."""
    clamp: bool = True
    """Clamp log-densities."""
    stages: bool = True
    """One term after the other; else all from the beginning."""
    inherit: bool = True
    """Take grid and heads from the teacher; else the grid is made anew of its density."""
    heads: bool = False
    """Give the student auxiliary heads while it learns."""
    all_samples: bool = False
    """Ask the student at every sample, also where the teacher says that little is to be seen."""
    al: str = ",".join(LEVELS)
    """Levels in use: poses, rays, points, with commas between."""

    def __post_init__(self) -> None:
        names = [name.strip() for name in self.al.split(",") if name.strip()]
        if not names or any(name not in LEVELS for name in names):
            raise InputError(f"--al with some of {','.join(LEVELS)}", repr(self.al), "change it")

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels in use."""
        return tuple(cast(Level, name.strip()) for name in self.al.split(",") if name.strip())


@dataclass(frozen=True)
class KiloNerf:
    """At points of space, cell by cell, then along the teacher's rays (KiloNeRF)."""

    name: ClassVar[str] = "kilonerf"
    loss: Form = "norm"
    """Size of a difference along rays: its norm, or its mean square."""
    clamp: bool = True
    """Clamp log-densities along rays."""
    stages: bool = True
    """Points of cells, then rays; else points to the end, as published."""
    inherit: bool = True
    """Take grid and heads from the teacher; else the grid is made anew of its density."""
    all_samples: bool = False
    """Ask the student at every sample of a ray."""


@dataclass(frozen=True)
class Values:
    """Values of a signal at random points, between its samples too."""

    name: ClassVar[str] = "values"
    loss: Form = "norm"
    """Size of a difference: its norm, or its mean square."""
    slopes: float = 0.0
    """Weight of the slopes beside the values."""


MethodConfig = Pvd | PvdActive | KiloNerf | Values
"""THE list of methods."""
METHODS: Mapping[str, type] = {kind.name: kind for kind in (Pvd, PvdActive, KiloNerf, Values)}
"""By the name on the command line."""

TaggedMethod = Annotated[MethodConfig, TAGGED]


@dataclass(frozen=True)
class DistillConfig:
    """How to distil, as config.yaml keeps it."""

    teacher: str
    """Path of the teacher's run."""
    method: TaggedMethod = field(default_factory=Pvd)
    """How the student learns."""
    finetune: str | None = None
    """Data for as much training again, when the student has learned."""


def method_named(name: str) -> type:
    """The class of a method.

    Raises:
        InputError: no such name.
    """
    if name not in METHODS:
        raise InputError(f"--method {', '.join(METHODS)}", repr(name), "pick one of them")
    return METHODS[name]


def as_method(given: str | MethodConfig | None, default: MethodConfig) -> MethodConfig:
    """A method by name or as it is; the default for None.

    Raises:
        InputError: no such name.
    """
    if given is None:
        return default
    return cast(MethodConfig, method_named(given)()) if isinstance(given, str) else given


Which = Literal["pvd", "pvd-al", "kilonerf", "values"]
"""Names of the methods, for Python."""
