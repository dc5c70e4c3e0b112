"""The flags of a command line, from dataclasses, and what can be wrong with their words.

What is told here is told in our words; what a type means that isn't known here is tyro's to say.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from polyfield.annotations import fields, hints, is_config, is_mapping, notes, options
from polyfield.apps.flag_values import counts, fits, is_number, spoken, wanted, whole
from polyfield.config import nearest
from polyfield.errors import InputError
from polyfield.wording import short

_ARG: Any = type(tyro.conf.arg())
_NUMBER = re.compile(r"-(\d|\.\d|(inf|infinity|nan)$)", re.IGNORECASE)


@dataclass(frozen=True)
class Flag:
    """A flag, or a positional word."""

    name: str
    """As typed, "--field.position.levels"; what stands for a positional word, "DATA"."""
    path: str
    """Of its field: "field.position.levels"."""
    kind: Any
    """The annotation of its field."""
    positional: bool
    required: bool
    switch: bool
    """Whether it stands alone, without a value."""
    metavar: str
    """What stands for its value in messages."""

    def renamed(self, name: str) -> Flag:
        """The same flag under another name."""
        return dataclasses.replace(self, name=name)


@dataclass(frozen=True)
class Line:
    """A command line, taken apart."""

    given: dict[str, list[str]]
    """The words after each flag, by its name; the last time counts."""
    words: list[str]
    """The words that belong to no flag."""


def flags_of(config: Any, default: Any = dataclasses.MISSING, path: str = "") -> list[Flag]:
    """The flags that change a config.

    Args:
        config: A dataclass.
        default: A config whose values are the defaults; MISSING for those of the class.
        path: Its dotted path, which its flags begin with.
    """
    found: list[Flag] = []
    for field in fields(config):
        kind = hints(config)[field.name]
        where = f"{path}.{field.name}" if path else field.name
        if default is not dataclasses.MISSING:
            value = getattr(default, field.name)
        else:
            factory: Any = field.default_factory
            value = field.default if factory is dataclasses.MISSING else factory()
        found += _flags_at(kind, value, where)
    return found


def _flags_at(kind: Any, value: Any, path: str) -> list[Flag]:
    """The flags of a field and of what it holds."""
    classes = [option for option in options(kind) if is_config(option)]
    if is_config(type(value)):
        return flags_of(type(value), value, path)
    if classes:
        return flags_of(classes[0], path=path) if value is dataclasses.MISSING else []
    if isinstance(value, Mapping) and value:
        inner = typing.get_args(next(o for o in options(kind) if is_mapping(o)))[1]
        return [f for k, v in value.items() for f in _flags_at(inner, v, f"{path}.{k}")]
    if isinstance(value, tuple) and any(is_config(type(v)) for v in value):
        return [f for i, v in enumerate(value) for f in _flags_at(type(v), v, f"{path}.{i}")]
    added = notes(kind)
    metavar = next((a.metavar for a in added if isinstance(a, _ARG) and a.metavar), "")
    required = value is dataclasses.MISSING
    if tyro.conf.Positional in added:
        name = metavar or path.rpartition(".")[2].upper()
        return [Flag(name, path, kind, True, required, False, "")]
    switch = options(kind) == [bool] and not required
    parent, dot, last = path.rpartition(".")
    name = f"--{parent}{dot}{'no-' if switch and value else ''}{last}"
    return [Flag(_dashed(name), path, kind, False, required, switch, metavar)]


def is_flag(word: str) -> bool:
    """Whether a word is a flag: it begins with "-" and is no number."""
    return len(word) > 1 and word[0] == "-" and not _NUMBER.match(word)


def take_apart(flags: Iterable[Flag], arguments: Sequence[str], verb: str | None) -> Line:
    """Which words belong to which flag.

    A flag takes as many words as its type has values, none that is a flag itself. All words after
    `--` belong to none.

    Args:
        flags: Those there are.
        arguments: The words after the verb.
        verb: As typed, for messages; None to let an unknown flag take one word, and the numbers
            that follow.

    Raises:
        InputError: an unknown flag, or one with too few values.
    """
    known = {flag.name: flag for flag in flags if not flag.positional}
    given: dict[str, list[str]] = {}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return Line(given, words + rest)
        if not is_flag(word):
            words.append(word)
            continue
        typed, equals, value = word.partition("=")
        flag = known.get(_dashed(typed))
        values = [value] if equals else []
        ahead = _until_flag(rest)
        if flag is not None:
            more = 0 if flag.switch else wanted(flag.kind, values + ahead) - len(values)
        elif verb is None:
            numbers = [w for w in ahead[not equals :] if is_number(w)]
            more = min(len(ahead), (not equals) + len(numbers))
        else:
            raise _unknown(typed, list(known), verb)
        values += ahead[: max(0, more)]
        rest = rest[max(0, more) :]
        if flag is not None:
            given[flag.name] = values
            if verb is not None:
                _check(flag, values, bool(equals), rest, verb)
    return Line(given, words)


def check_words(flags: Iterable[Flag], line: Line, verb: str) -> None:
    """Look at what belongs to no flag, and at what is missing.

    Raises:
        InputError: a word too many, a positional word or a flag that is missing.
    """
    flags = list(flags)
    ask = f"see `polyfield {verb} --help`"
    words = line.words
    for flag in flags:
        if flag.positional:
            count = wanted(flag.kind, words)
            if not words and flag.required:
                raise InputError(f"{flag.name} after polyfield {verb}", "none", ask)
            if words[:count]:
                _check_kind(flag, words[:count], verb)
            words = words[count:]
    if words:
        names = [flag.name for flag in flags if not flag.positional]
        hint = nearest(f"--{words[0]}", names, ask) if f"--{words[0]}" in names else ask
        raise InputError(f"no more words for polyfield {verb}", repr(short(words[0])), hint)
    for flag in flags:
        if flag.required and not flag.positional and flag.name not in line.given:
            value = flag.metavar or f"with {spoken(flag.kind)}"
            raise InputError(f"{flag.name} {value}", "none", ask)


def rewritten(flags: Iterable[Flag], line: Line) -> list[str]:
    """The same line in the one form that leaves no doubt, a leading ~/ expanded."""
    known = {flag.name: flag for flag in flags if not flag.positional}
    words: list[str] = []
    for name, values in line.given.items():
        found = [_expanded(value, known[name].kind) for value in values]
        words += [f"{name}={found[0]}", *found[1:]] if found else [name]
    return [*words, "--", *map(expanded, line.words)]


def expanded(word: str) -> str:
    """A word whose leading ~/ is the home folder, as a shell does it only after a blank."""
    return os.path.expanduser(word) if word == "~" or word.startswith("~/") else word


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _expanded(word: str, kind: Any) -> str:
    return expanded(word) if {Path, str} & set(options(kind)) else word


def _until_flag(words: Sequence[str]) -> list[str]:
    end = next((i for i, word in enumerate(words) if word == "--" or is_flag(word)), len(words))
    return list(words[:end])


def _check(flag: Flag, values: list[str], equals: bool, rest: Sequence[str], verb: str) -> None:
    """Raise unless a flag has its values.

    Raises:
        InputError: none, too few, or of a wrong type.
    """
    if flag.switch:
        if values:
            hint = f"write {flag.name} alone, or leave it out"
            raise InputError(f"no value for {flag.name}", short(values[0]) or "''", hint)
        return
    if not values and None not in counts(flag.kind):
        hint = f"add what is missing after {flag.name}"
        if rest and is_flag(rest[0]) and not rest[0].startswith("--"):
            hint = f"write {flag.name}={short(rest[0], 30)} if that is meant"
        value = "a value" if set(counts(flag.kind)) == {1} else spoken(flag.kind)
        raise InputError(f"{value} for {flag.name}", "none", hint)
    if values or not equals:
        _check_kind(flag, values, verb)


def _check_kind(flag: Flag, values: list[str], verb: str) -> None:
    if fits(flag.kind, values):
        return
    got = short(" ".join(values)) or "''"
    hint = f"see `polyfield {verb} --help`"
    number = whole(values[0]) if options(flag.kind)[0] is int and len(values) == 1 else None
    if number is not None:
        hint = f"write {number}"
    raise InputError(f"{spoken(flag.kind)} for {flag.name}", got, hint)


def _unknown(typed: str, names: list[str], verb: str) -> InputError:
    """The flag meant: the only one that ends so, else the one spelt most alike."""
    name = _dashed(typed.lstrip("-"))[:100]
    ends = [flag for flag in names if flag.endswith(f".{name}")]
    ask = f"see `polyfield {verb} --help`"
    hint = f"did you mean {ends[0]}?" if len(ends) == 1 else nearest(f"--{name}", names, ask)
    return InputError(f"a flag of polyfield {verb}", short(typed), hint)
