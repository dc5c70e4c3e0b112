"""Numbers of parsed JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping

from polyfield.errors import InputError


def number(values: Mapping[str, object], key: str, where: str) -> float | None:
    """A number of a JSON object, or None where the key is absent.

    Raises:
        InputError: the value isn't a number.
    """
    value = values.get(key)
    return None if value is None else as_number(value, f"a number for {key} in {where}")


def as_number(value: object, expected: str) -> float:
    """A JSON value that has to be a number.

    Args:
        value: as parsed.
        expected: what it has to be, for the message.

    Raises:
        InputError: it isn't a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(expected, repr(value)[:40], "write it as a plain number")
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf
