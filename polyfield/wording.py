"""How the values of others are told in a line: short, in one line, control characters escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

ROOM = 60
"""Characters a value gets in a message."""


def shown(value: Any, room: int = ROOM) -> str:
    """A value as JSON has it, cut short; whatever it is, and however deep or large."""
    return short(_json(value, 4), room)


def short(text: str, room: int = ROOM) -> str:
    """At most `room` printable characters of a text, beginning and end."""
    half = (room - 3) // 2
    cut = text if len(text) <= room else text[:half] + "..." + text[-half:]
    if cut.isprintable():
        return cut
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
    return escaped if len(escaped) <= room else escaped[: room - 3] + "..."


def listed(names: Iterable[str], room: int = 110) -> str:
    """Names with commas between, as many as there is room for."""
    every = list(names)
    text = ", ".join(every)
    while len(text) > room and len(every) > 1:
        every = every[:-1]
        text = ", ".join([*every, "..."])
    return short(text, room)


def _json(value: Any, depth: int) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        opened, closed = "{}" if isinstance(value, Mapping) else "[]"
        if depth == 0 and value:
            return f"{opened}...{closed}"
        return opened + ", ".join(_items(value, depth)) + closed
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int) and value.bit_length() > 200:
        # Python refuses to write very long ones.
        return f"a number of about {round(value.bit_length() * 0.30103)} digits"
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(str(value)[:400])


def _items(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> list[str]:
    few = 8
    if isinstance(value, Mapping):
        pairs = [pair for pair, _ in zip(value.items(), range(few), strict=False)]
        found = [f"{_json(str(key), 0)}: {_json(v, depth - 1)}" for key, v in pairs]
    else:
        found = [_json(v, depth - 1) for v in value[:few]]
    return found if len(value) <= few else [*found, "..."]
