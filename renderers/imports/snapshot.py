"""The container of instant-ngp's snapshots: MessagePack, in `.ingp` compressed.

Its top is the configuration of the networks, with `snapshot` beside them. Whatever is asked of the
tree is looked at first: nothing in it is believed, nothing in it can run.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyfield import extras
from polyfield.errors import InputError
from polyfield.files import read_bytes

MOST = 4 << 30
"""Bytes of a file, and of what it unpacks to."""
PIECE = 1 << 24
"""Bytes unpacked at once."""
SAVE = "save the snapshot again with instant-ngp"
_GZIP, _ZLIB = b"\x1f\x8b", b"\x78"


def looks_like_one(start: bytes) -> bool:
    """Whether a file begins as compressed data or as a map of MessagePack."""
    head = start[0] if start else 0
    return start[:2] == _GZIP or start[:1] == _ZLIB or 0x80 <= head <= 0x8F or head in (0xDE, 0xDF)


@dataclass(frozen=True)
class Tree:
    """A part of a snapshot, by its place in it."""

    values: Mapping[str, Any]
    place: str

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def part(self, key: str) -> Tree:
        """The map of that name."""
        return Tree(self._of(key, dict), f"{self.place}.{key}")

    def text(self, key: str, default: str | None = None) -> str:
        """A word."""
        if default is not None and key not in self.values:
            return default
        return str(self._of(key, str))

    def data(self, key: str) -> bytes:
        """A binary."""
        return bytes(self._of(key, bytes))

    def items(self, key: str) -> list[Any]:
        """A list; empty where there is none."""
        return list(self._of(key, list)) if key in self.values else []

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from low to high."""
        value = self.values.get(key, default)
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(key, f"a whole number from {low} to {high}", value)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self.values.get(key, default)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self._wrong(key, "a finite number", value)
        return float(value)

    def numbers(self, key: str, count: int) -> list[float]:
        """So many finite numbers."""
        return self.checked(self.values.get(key), count, key)

    def checked(self, value: Any, count: int, key: str) -> list[float]:
        """A value as so many finite numbers."""
        whole = isinstance(value, list) and len(value) == count
        if not whole or not all(type(v) in (int, float) and math.isfinite(v) for v in value):
            raise self._wrong(key, f"{count} finite numbers", value)
        return [float(v) for v in value]

    def _of(self, key: str, kind: type) -> Any:
        value = self.values.get(key)
        if type(value) is not kind:
            names: dict[type, str] = {
                dict: "a map",
                str: "a word",
                bytes: "binary data",
                list: "a list",
            }
            raise self._wrong(key, names[kind], value)
        return value

    def _wrong(self, key: str, wanted: str, value: Any) -> InputError:
        got = "none" if value is None else repr(value)[:40]
        return InputError(f"{wanted} for {self.place}.{key}", got, SAVE)


def read_snapshot(path: Path) -> Tree:
    """Read a file.

    Raises:
        InputError: no such file, damaged, too large, or no map.
        MissingBackend: msgpack is not installed.
    """
    msgpack = extras.load("msgpack", "msgpack", "instant-ngp's snapshots", "import")
    content = read_bytes(path, "a snapshot", MOST)
    if content[:2] == _GZIP or content[:1] == _ZLIB:
        content = _unpacked(content, path)
    try:
        tree = msgpack.unpackb(content, raw=False, strict_map_key=True, max_ext_len=0)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise _damaged(path, " ".join(str(error).split())[:60] or type(error).__name__) from None
    if not isinstance(tree, dict) or not isinstance(tree.get("snapshot"), dict):
        raise InputError(f"a snapshot of instant-ngp in {path}", "another file", SAVE)
    return Tree(tree, path.name)


def _unpacked(content: bytes, path: Path) -> bytes:
    """Inflate gzip or zlib, piece by piece, so that a bomb is seen before it fills the memory."""
    engine, parts, size, rest = zlib.decompressobj(wbits=47), [], 0, content
    try:
        while rest and not engine.eof:
            parts.append(engine.decompress(rest, PIECE))
            size, rest = size + len(parts[-1]), engine.unconsumed_tail
            if size > MOST:
                raise InputError(
                    f"at most {MOST >> 30} GiB in {path}", "more", "check where it comes from"
                )
    except zlib.error as error:
        raise _damaged(path, str(error)[:60]) from None
    if not engine.eof:
        raise _damaged(path, "its end is missing")
    return b"".join(parts)


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"a whole snapshot of instant-ngp in {path}", why, SAVE)
