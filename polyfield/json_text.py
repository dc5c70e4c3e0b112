"""JSON as people write it: comments and trailing commas are passed over, all else is plain JSON.

Numbers of other precision than JSON's own (`NaN`, `Infinity`) are read: who uses them checks them.
"""

from __future__ import annotations

import json
import re
from typing import Any

from polyfield.errors import InputError, shown

DEEPEST = 100
"""Most lists and objects inside each other."""
DIGITS = 309
"""Most digits of a whole number: what a double can hold."""

# A string or a comment without an end takes all the rest: else each next one were searched for too.
_STRING = r'"(?:[^"\\]++|\\.)*+"?'
_COMMENT = re.compile(rf"({_STRING})|//[^\n]*+|/\*.*?(?:(\*/)|\Z)", re.DOTALL)
_COMMA = re.compile(rf'({_STRING}|[^"\s\[{{,:])(\s*+),(?=\s*+[\]}}])|({_STRING})', re.DOTALL)
_TOKEN = re.compile(rf"({_STRING})(\s*+:)?|[{{}}]", re.DOTALL)


class _Refused(Exception):
    """Something a hook of the parser found."""


def parse_json(text: str, path: str) -> Any:
    """What a text of JSON says.

    Args:
        text: decoded, without a byte order mark.
        path: its file, for messages.

    Raises:
        InputError: not JSON, nested deeper than `DEEPEST`, a whole number of more than `DIGITS`
            digits, or a key that stands twice with two values; the message names the line.
    """
    if not text.strip():
        raise InputError("JSON", f"{shown(path)}, an empty file", "write or copy it again")
    try:
        tree = _loads(text, text, path)
    except json.JSONDecodeError:
        plain = _COMMA.sub(_without_comma, _COMMENT.sub(_blank, text))
        try:
            tree = _loads(plain, text, path)
        except json.JSONDecodeError as error:
            what = f"{shown(path)}, line {error.lineno}: {error.msg}"
            raise InputError("JSON", what, "mend that line") from None
    _check_depth(tree, path)
    return tree


def _loads(text: str, source: str, path: str) -> Any:
    long: list[str] = []

    def integer(digits: str) -> int:
        if len(digits) > DIGITS:
            long.append(digits)
            raise _Refused
        return int(digits)

    try:
        return json.loads(text, parse_int=integer, object_pairs_hook=_object)
    except RecursionError:
        raise _deep(path) from None
    except _Refused as refused:
        if long:
            line = source.count("\n", 0, source.find(long[0])) + 1
            got = f"{shown(path)}, line {line}: one of {len(long[0])}"
            expected = f"numbers of at most {DIGITS} digits"
            raise InputError(expected, got, "mend that line") from None
        key = str(refused)
        got = f"{shown(path)}{_line_of_second(text)}: {json.dumps(key)[:60]} twice"
        raise InputError("each key of a JSON object once", got, "drop one of them") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; a key that stands twice would lose one of its values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen and seen[key] != value:
                raise _Refused(key)
            seen[key] = value
    return found


def _line_of_second(text: str) -> str:
    """Where the first key stands that its object has already: ", line N", or nothing."""
    keys: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        if token[0] == "{":
            keys.append(set())
        elif token[0] == "}" and keys:
            keys.pop()
        elif token[2] is not None and keys:
            if token[1] in keys[-1]:
                line = text.count("\n", 0, token.start()) + 1
                return f", line {line}"
            keys[-1].add(token[1])
    return ""


def _blank(found: re.Match[str]) -> str:
    """A whole comment as blanks, so that lines keep their numbers; a string as it is."""
    if found[1] or (found[0].startswith("/*") and not found[2]):
        return found[0]
    return re.sub(r"[^\n]", " ", found[0])


def _without_comma(found: re.Match[str]) -> str:
    return found[3] or f"{found[1]}{found[2]} "


def _check_depth(tree: Any, path: str) -> None:
    """Whoever walks the tree may then do so by recursion."""
    level = [tree]
    for _ in range(DEEPEST + 1):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += [v for v in value.values() if isinstance(v, (dict, list))]
            elif isinstance(value, list):
                inner += [v for v in value if isinstance(v, (dict, list))]
        if not inner:
            return
        level = inner
    raise _deep(path)


def _deep(path: str) -> InputError:
    got = f"{shown(path)}, which is nested deeper"
    return InputError(f"JSON of at most {DEEPEST} levels", got, "check how it was written")
