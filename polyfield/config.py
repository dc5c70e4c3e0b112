"""Configs to plain trees and back. Knows no class.

A tree is what YAML and JSON can say: dicts, lists, numbers, strings, booleans and null. A dataclass
is the dict of its fields. Where the annotation is a union of dataclasses, or carries `TAGGED`, the
class name comes first: `{"Radiance": {"position": {"HashGrid": {"levels": 8}}}}`. A class name
alone means its defaults.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from polyfield.annotations import bare, element, fields, hints, is_config, is_mapping, options
from polyfield.errors import InputError
from polyfield.ranges import check
from polyfield.wording import listed, short, shown

TAGGED = "tagged"
"""`Annotated[X, TAGGED]`: write the class name although X is no union (yet)."""

LONGEST = 4096
"""Values that a list of a tree may have."""


def to_tree(config: Any, annotation: Any = None) -> Any:
    """A config as a tree of dicts, lists and plain values.

    Args:
        config: A dataclass, or whatever its fields may hold.
        annotation: How the place that holds `config` is annotated; None for a plain value.
    """
    if dataclasses.is_dataclass(config):
        kinds = hints(type(config))
        tree = {f.name: to_tree(getattr(config, f.name), kinds[f.name]) for f in fields(config)}
        return {type(config).__name__: tree} if _is_tagged(annotation) else tree
    inner = element(annotation)
    if isinstance(config, Mapping):
        return {str(k): to_tree(v, inner) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return [to_tree(v, inner) for v in config]
    if isinstance(config, Path):
        return str(config)
    assert config is None or isinstance(config, (bool, int, float, str)), type(config)
    return config


def from_tree(annotation: Any, tree: Any, where: str = "field", base: Any = None) -> Any:
    """The config that `tree` describes, every number in its range.

    Args:
        annotation: A dataclass, a union of them, or a plain type.
        tree: What YAML or JSON said.
        where: The dotted path of `tree`, for messages.
        base: A config whose values stand for the keys `tree` leaves out; None for the defaults.

    Raises:
        InputError: an unknown key or class name, a missing key, a value of a wrong type or out of
            its range.
    """
    found = _read(annotation, tree, where, base)
    if dataclasses.is_dataclass(found):
        check(found, where)
    return found


def _read(annotation: Any, tree: Any, where: str, base: Any = None) -> Any:
    """As `from_tree`, numbers of any size."""
    annotation = bare(annotation)
    every = options(annotation)
    classes = [option for option in every if is_config(option)]
    if classes:
        if tree is None and type(None) in every:
            return None
        return _dataclass(classes, tree, where, base)
    if len(every) == 1:
        return _plain(annotation, tree, where, base)
    for option in every:
        try:
            return _read(option, tree, where)
        except InputError:
            continue
    if isinstance(tree, (list, tuple)):
        for option in every:
            if typing.get_origin(option) in (list, tuple):
                _read(option, tree, where)  # says which of its values is wrong
    raise _wrong(annotation, tree, where)


def _dataclass(classes: list[Any], tree: Any, where: str, base: Any) -> Any:
    """One of `classes` from a tagged dict, a class name, or (one class only) the plain dict."""
    names = {c.__name__: c for c in classes}
    if isinstance(tree, str):
        tree = {tree: {}}
    tagged = isinstance(tree, dict) and len(tree) == 1 and next(iter(tree)) in names
    if not tagged and len(classes) > 1:
        if not isinstance(tree, dict) or len(tree) != 1:
            raise InputError(
                f"one of {listed(names)} at {short(where)}, with its values below it",
                shown(tree),
                f"write {{{next(iter(names))}: {{...}}}}",
            )
        raise _unknown(str(next(iter(tree))), names, "one of", where)
    cls, values = (
        (names[next(iter(tree))], next(iter(tree.values()))) if tagged else (classes[0], tree)
    )
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise _wrong(cls, values, where)
    kinds = hints(cls)
    known = {f.name: f for f in fields(cls)}
    for key in values:
        if key not in known:
            raise _unknown(str(key), known, f"the keys of {cls.__name__},", where)
    same = base is not None and type(base) is cls
    found = {
        name: _read(
            kinds[name], values[name], f"{where}.{name}", getattr(base, name) if same else None
        )
        for name in values
    }
    if same:
        return dataclasses.replace(base, **found)
    for name, field in known.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in found:
            raise InputError(
                f"a value for {short(where)}.{name}", "none", f"add {name} to {cls.__name__}"
            )
    return cls(**found)


def _plain(annotation: Any, tree: Any, where: str, base: Any) -> Any:
    """A value that is no dataclass, checked against its annotation."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return tree
    if annotation in (None, type(None)) and tree is None:
        return None
    if origin is Literal and any(tree == a and type(tree) is type(a) for a in arguments):
        return tree
    if annotation is Path and isinstance(tree, str):
        return Path(tree)
    if annotation is float and isinstance(tree, (int, float, str)) and not isinstance(tree, bool):
        # YAML 1.1 reads 1e-3 as a string.
        try:
            return float(tree)
        except (ValueError, OverflowError):
            raise _wrong(annotation, tree, where) from None
    if annotation in (bool, int, str) and type(tree) is annotation:
        return tree
    if origin in (list, tuple) and isinstance(tree, (list, tuple)):
        fixed = origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis)
        if fixed and len(tree) != len(arguments):
            raise _wrong(annotation, tree, where)
        if len(tree) > LONGEST:
            raise InputError(
                f"at most {LONGEST} values for {short(where)}", str(len(tree)), "shorten the list"
            )
        kinds = arguments if fixed else (arguments[0],) * len(tree)
        return origin(
            _read(kind, v, f"{where}.{i}")
            for i, (kind, v) in enumerate(zip(kinds, tree, strict=True))
        )
    if is_mapping(annotation) and isinstance(tree, dict):
        found = {str(k): _read(arguments[1], v, f"{where}.{k}") for k, v in tree.items()}
        return {**(base or {}), **found}
    raise _wrong(annotation, tree, where)


def _is_tagged(annotation: Any) -> bool:
    if TAGGED in getattr(annotation, "__metadata__", ()):
        return True
    return sum(is_config(option) for option in options(annotation)) > 1


def _named(annotation: Any) -> str:
    """An annotation as a user would say it."""
    every = options(annotation)
    if len(every) > 1:
        return " or ".join(_named(option) for option in every)
    origin, arguments = typing.get_origin(every[0]), typing.get_args(every[0])
    if origin is Literal:
        return "one of " + listed(str(a) for a in arguments)
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)} values"
    if origin in (list, tuple):
        return f"a list, each {_named(arguments[0])}"
    if is_mapping(every[0]):
        return f"keys, each with {_named(arguments[1])}"
    if is_config(every[0]):
        return f"the keys of {every[0].__name__}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    names |= {type(None): "null", Path: "a path"}
    return names.get(every[0], str(every[0]))


def _wrong(annotation: Any, tree: Any, where: str) -> InputError:
    return InputError(
        f"{_named(annotation)} for {short(where)}", shown(tree), f"change {short(where)}"
    )


def _unknown(name: str, valid: Iterable[str], kind: str, where: str) -> InputError:
    names = list(valid)
    return InputError(
        f"{kind} {listed(names)} at {short(where)}",
        repr(short(name, 40)),
        nearest(name, names, "change or drop it"),
    )


def nearest(name: str, valid: Iterable[str], otherwise: str) -> str:
    """How to mend a misspelt name: "did you mean X?", or `otherwise` where nothing is near."""
    folded = {v.lower(): v for v in valid}
    near = difflib.get_close_matches(name[:100].lower(), folded, n=1, cutoff=0.5)
    return f"did you mean {folded[near[0]]}?" if near else otherwise
