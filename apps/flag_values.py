"""Words as values of a type: how many it takes, whether they are one, what it is called.

A type that isn't known here takes one word: what it means is tyro's to say.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from polyfield.annotations import is_mapping, options
from polyfield.wording import listed


def spoken(kind: Any) -> str:
    """What a value is, as a user would say it."""
    every = [option for option in options(kind) if option is not type(None)]
    return " or ".join(dict.fromkeys(_spoken(option) for option in every))


def counts(kind: Any) -> list[int | None]:
    """How many words its values may have; None for any number of them."""
    found: list[int | None] = []
    for option in options(kind):
        origin, arguments = typing.get_origin(option), typing.get_args(option)
        if origin is tuple and Ellipsis not in arguments:
            inner = [counts(argument) for argument in arguments]
            found.append(None if any(c != [1] for c in inner) else len(inner))
        elif origin in (list, tuple) or is_mapping(option):
            found.append(None)
        else:
            found.append(1)
    return found


def wanted(kind: Any, words: Sequence[str]) -> int:
    """How many of the words that follow are its values."""
    if type(None) in options(kind) and words[:1] == ["None"]:
        return 1
    found = [count for count in counts(kind) if count is not None]
    return len(words) if len(found) < len(counts(kind)) else min(len(words), max(found))


def fits(kind: Any, values: list[str]) -> bool:
    """Whether the words are a value of a type."""
    return any(_fits(option, values) for option in options(kind))


def is_number(word: str) -> bool:
    """Whether it is one, finite or not."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def whole(word: str) -> int | None:
    """The whole number that "1e3" or "16.0" is."""
    value = float(word) if is_number(word) else 0.5
    return int(value) if abs(value) < 1e15 and value == int(value) else None


def _spoken(option: Any) -> str:
    origin, arguments = typing.get_origin(option), typing.get_args(option)
    if origin is Literal:
        return f"one of {listed(map(str, arguments))}"
    if origin is tuple and Ellipsis not in arguments:
        words = {"a whole number": "whole numbers", "a number": "numbers"}
        return f"{len(arguments)} {words.get(spoken(arguments[0]), 'values')}"
    if origin in (list, tuple):
        return f"values, each {spoken(arguments[0])},"
    names = {bool: "True or False", int: "a whole number", float: "a number", str: "a word"}
    return (names | {Path: "a path"}).get(option, "a value")


def _fits(option: Any, values: list[str]) -> bool:
    """As `fits`, of no union."""
    origin, arguments = typing.get_origin(option), typing.get_args(option)
    if origin is tuple and Ellipsis not in arguments:
        if counts(option) == [None]:
            return True
        pairs = zip(arguments, values, strict=False)
        return len(arguments) == len(values) and all(fits(a, [v]) for a, v in pairs)
    if origin in (list, tuple):
        return all(counts(arguments[0]) != [1] or fits(arguments[0], [v]) for v in values)
    if is_mapping(option):
        return True
    if len(values) != 1:
        return False
    word = values[0]
    if origin is Literal:
        return word in map(str, arguments)
    if option is type(None):
        return word == "None"
    if option is bool:
        return word in ("True", "False")
    if option is Path:
        return word != ""
    if option is float:
        return is_number(word)
    if option is int:
        try:
            int(word)
        except ValueError:
            return False
    return True
