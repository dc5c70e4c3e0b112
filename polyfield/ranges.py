"""The range of a number, declared beside it, and the one function that looks whether it is kept.

    levels: Annotated[int, Range(1, 32)] = 16

On a tuple or a mapping a range holds for each number in it. A number without a range must be
finite and a whole one have 64 bits, no more; ranges keep one number alone from filling the memory
or hanging the machine.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, get_origin

from polyfield.annotations import element, fields, hints, notes, options
from polyfield.errors import InputError
from polyfield.wording import short, shown


class Limit(ABC):
    """What a number must be."""

    @abstractmethod
    def holds(self, value: float) -> bool:
        """Whether it is."""


@dataclass(frozen=True)
class Range(Limit):
    """Numbers from low to high, both included."""

    low: float
    high: float
    above: bool = False
    """`low` itself is not allowed."""
    below: bool = False
    """`high` itself is not allowed."""
    also: float | None = None
    """A number outside that has a meaning of its own."""

    def holds(self, value: float) -> bool:
        """Whether a number lies there; nothing that is no number does."""
        if self.also is not None and value == self.also:
            return True
        low = self.low < value if self.above else self.low <= value
        return low and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        if self.above or self.below:
            low = f"{'above' if self.above else 'at least'} {_plain(self.low)}"
            text = f"{low} and {'below' if self.below else 'at most'} {_plain(self.high)}"
        else:
            text = f"between {_plain(self.low)} and {_plain(self.high)}"
        return text if self.also is None else f"{_plain(self.also)}, or {text}"


@dataclass(frozen=True)
class OneOf(Limit):
    """A few numbers."""

    values: tuple[float, ...]

    def holds(self, value: float) -> bool:
        """Whether it is one of them."""
        return value in self.values

    def __str__(self) -> str:
        *some, last = map(_plain, self.values)
        return f"of {', '.join(some)} or {last}"


@dataclass(frozen=True)
class Count:
    """How many values a tuple, list or mapping may hold."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low} to {self.high} values"


_WHOLE = Range(-(2**63), 2**63 - 1)

USUAL = Count(0, 1024)
"""Of what has no `Count`."""


def check(config: Any, where: str = "", names: Mapping[str, str] | None = None) -> None:
    """Raise unless each number of a config, and of the configs in it, keeps its range.

    Args:
        config: A dataclass.
        where: Its dotted path, for messages.
        names: What a dotted path is called, where it is called otherwise.

    Raises:
        InputError: the first that doesn't.
    """
    fault = next(_of_config(config, where), None)
    if fault is None:
        return
    parents = [fault.path, fault.path.rpartition(".")[0]]  # of an element of a tuple
    called = next((names[path] for path in parents if names and path in names), fault.path)
    name = fault.field.name
    place = "" if called == name else f" at {short(called, 80)}"
    default = fault.field.default
    usable = isinstance(default, (int, float)) and not isinstance(default, bool)
    hint = f"for instance {default}" if usable else f"change {short(called, 80)}"
    raise InputError(f"{name} {fault.wanted}{place}", fault.got, hint)


@dataclass(frozen=True)
class _Fault:
    """A value that doesn't keep its range."""

    field: dataclasses.Field[Any]
    path: str
    wanted: str
    got: str


def _of_config(config: Any, where: str) -> Iterator[_Fault]:
    for field in fields(config):
        path = f"{where}.{field.name}" if where else field.name
        yield from _of_value(
            getattr(config, field.name), hints(type(config))[field.name], path, field, ()
        )


def _of_value(
    value: Any, annotation: Any, path: str, field: dataclasses.Field[Any], outer: tuple[Any, ...]
) -> Iterator[_Fault]:
    """What is wrong with a value and all in it; `outer` holds for each of its numbers."""
    limits = (*outer, *notes(annotation))
    if dataclasses.is_dataclass(value):
        yield from _of_config(value, path)
    elif isinstance(value, (Mapping, list, tuple)):
        count = next((note for note in limits if isinstance(note, Count)), USUAL)
        if not count.low <= len(value) <= count.high:
            yield _Fault(field, path, f"of {count}", str(len(value)))
        inner = tuple(note for note in limits if isinstance(note, Limit))
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for index, (key, v) in enumerate(pairs):
            yield from _of_value(v, element(annotation, index), f"{path}.{key}", field, inner)
    elif wanted := _wanted(value, annotation, [n for n in limits if isinstance(n, Limit)]):
        yield _Fault(field, path, wanted, shown(value))


def _wanted(value: Any, annotation: Any, limits: list[Limit]) -> str | None:
    """What should stand in a value's place; None if it may stay."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return str(limits[0]) if limits and not _is_word(value, annotation) else None
    broken = next((limit for limit in limits if not limit.holds(cast(float, value))), None)
    if broken is not None:
        return str(broken)
    if limits:
        return None
    if isinstance(value, numbers.Integral):
        return None if _WHOLE.holds(int(value)) else str(_WHOLE)
    return None if math.isfinite(value) else "that is finite"


def _is_word(value: Any, annotation: Any) -> bool:
    """Whether a value that is no number may stand there all the same: null, "auto"."""
    every = options(annotation)
    words = [a for option in every if get_origin(option) is Literal for a in get_args(option)]
    return (value is None and type(None) in every) or value in words


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
