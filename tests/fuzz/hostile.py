"""Values and mutations that no reader should have to expect, and every reader meets."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

DEEP: Any = 0
for _ in range(60):
    DEEP = [DEEP]

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 0.5, -0.0, 1e-30, 1e-320, 1e10, -1e10, 1e30, 1e38, 1e39, 1e300, 1e308,
    2**15, 2**31 - 1, 2**31, 2**32, 2**40, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30,
    10**400, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
TEXTS = (
    "", " ", "x", "0", "1e3", "nan", "inf", "true", "null", "a" * 300, "é", "e\u0301", "日本",
    "\x1b[31mred", "line\nbreak", "tab\t", "nul\x00", "\u202eback", "../x", "../../etc/passwd",
    "/etc/passwd", "/dev/zero", "C:\\x\\y", "~", "~root", "~nobody/x", "$HOME", "%s%n", "{}",
    "{0}", "{x.y}", "*", "?",
    "[a", "a/" * 150, ".", "..", "/", "demo", "-", "--out", "\ud800", "'", '"', "\\", "a;b",
    "<script>", "!!python/object", "2001-13-45", "1:2:3", "9" * 5000, "\ufeff", "CON", "train",
)  # fmt: skip
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [{}], {"": 0}, [0] * 1000, DEEP)

numbers = st.sampled_from(NUMBERS)
texts = st.sampled_from(TEXTS)
values: st.SearchStrategy[Any] = st.one_of(
    numbers,
    texts,
    st.sampled_from(OTHERS),
    st.integers(-(2**66), 2**66),
    st.floats(),
    st.text(max_size=12),
)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _places(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree[:6]):
            yield from _places(value, (*path, index))


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


@st.composite
def changed(
    draw: st.DrawFn, tree: Any, most: int = 2, extra: tuple[tuple[str, Any], ...] = ()
) -> Any:
    """A tree of dicts and lists with one or a few places changed.

    Args:
        draw: hypothesis's.
        tree: What JSON or YAML may say; it is copied.
        most: Most changes.
        extra: Keys that readers look for, to be put in with good or bad values.
    """
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, most))):
        tree = draw(_once(tree, extra))
    return tree


@st.composite
def _once(draw: st.DrawFn, tree: Any, extra: tuple[tuple[str, Any], ...]) -> Any:
    places = list(_places(tree))
    path = draw(st.sampled_from(places[1:] or places))
    if not path:
        return draw(values)
    holder, last = _at(tree, path[:-1]), path[-1]
    value = holder[last]
    how = draw(st.integers(0, 9))
    if how == 0:
        del holder[last]
    elif how == 1 and isinstance(holder, list):
        holder.insert(last, copy.deepcopy(value))
    elif how == 2 and isinstance(value, (list, dict)) and value:
        value.clear()
    elif how == 3:
        holder[last] = [value]
    elif how == 4:
        holder[last] = copy.deepcopy(_at(tree, draw(st.sampled_from(places))))
    elif how == 5 and isinstance(value, (int, float)):
        factor = draw(st.sampled_from((-1, 0, 10, 1e-3, 1e6, 1e12, 2)))
        holder[last] = value * factor
    elif how == 6 and isinstance(value, (int, float, str)):
        holder[last] = str(value)
    elif how == 7 and extra:
        key, good = draw(st.sampled_from(extra))
        target = holder if isinstance(holder, dict) else tree
        if isinstance(target, dict):
            target[key] = draw(st.one_of(st.just(good), values))
    elif how == 8 and isinstance(holder, dict) and isinstance(last, str):
        holder[draw(st.one_of(texts, st.just(last.upper())))] = holder.pop(last)
    else:
        holder[last] = draw(values)
    return tree


def as_json(tree: Any) -> bytes:
    """JSON as Python writes it, NaN and Infinity included; lone surrogates as escapes."""
    return json.dumps(tree).encode()


@st.composite
def json_bytes(draw: st.DrawFn, tree: Any) -> bytes:
    """A tree as text, now and then in a spelling that strict readers refuse."""
    try:
        content = as_json(tree)
    except ValueError:  # a number of thousands of digits can't be written by Python itself
        content = b'{"frames": ' + b"9" * 5000 + b"}"
    return draw(text_bytes(content))


@st.composite
def text_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A text file, mostly as it is, else in another coding, cut, or with bytes changed."""
    how = draw(st.integers(0, 19))
    if how == 0:
        return b"\xef\xbb\xbf" + content
    if how == 1:
        return content.decode().encode("utf-16")
    if how == 2:
        return content.replace(b",", b",\n // a comment\n", 1)
    if how == 3:
        return content.replace(b"}", b",}", 1)
    if how == 4:
        return content + content
    if how == 5:
        return b"[" * 5000 + content
    if how == 6:
        return content.replace(b"1", b"1" * 5000, 1)
    if how in (7, 8):
        return draw(damaged(content))
    return content


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A file that is cut, or has bytes overwritten, doubled, taken out or added."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        # More often near the beginning, where headers are.
        most = draw(st.sampled_from((16, 64, 256, len(data))))
        at = draw(st.integers(0, min(most, len(data))))
        how = draw(st.integers(0, 6))
        if how == 0:
            del data[at:]
        elif how == 1 and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == 2:
            word = draw(st.sampled_from(WORDS))
            data[at : at + len(word)] = word
        elif how == 3:
            data[at:at] = draw(st.sampled_from(WORDS))
        elif how == 4:
            data[at:at] = data[at : at + draw(st.integers(1, 64))]
        elif how == 5:
            del data[at : at + draw(st.integers(1, 64))]
        elif at < len(data):
            data[at] = draw(st.sampled_from((0, 1, 2, 3, 8, 16, 127, 128, 255)))
    return bytes(data)


WORDS = (
    b"\0\0", b"\xff\xff", b"\x7f\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff",
    b"\0\0\xff\xff", b"\xff\xff\0\0", b"\0\1\0\0", b"\0\0\1\0", b"\x80\0\0\0", b"\0\0\0\x80",
    b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff" * 8, b"\0" * 8, b"\n", b"{", b"\0" * 64,
)  # fmt: skip

Maker = Callable[[], bytes]
