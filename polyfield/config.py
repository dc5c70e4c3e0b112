"""Configs to plain trees and back. Knows no class.

A tree is what YAML and JSON can say: dicts, lists, numbers, strings, booleans and null. A dataclass
is the dict of its fields. Where the annotation is a union of dataclasses, or carries `TAGGED`, the
class name comes first: `{"Radiance": {"position": {"HashGrid": {"levels": 8}}}}`. A class name
alone means its defaults.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from polyfield.errors import InputError

TAGGED = "tagged"
"""`Annotated[X, TAGGED]`: write the class name although X is no union (yet)."""


def to_tree(config: Any, annotation: Any = None) -> Any:
    """A config as a tree of dicts, lists and plain values.

    Args:
        config: A dataclass, or whatever its fields may hold.
        annotation: How the place that holds `config` is annotated; None for a plain value.
    """
    if dataclasses.is_dataclass(config):
        hints = _hints(type(config))
        tree = {f.name: to_tree(getattr(config, f.name), hints[f.name]) for f in _fields(config)}
        return {type(config).__name__: tree} if _is_tagged(annotation) else tree
    inner = _element(annotation)
    if isinstance(config, Mapping):
        return {str(k): to_tree(v, inner) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return [to_tree(v, inner) for v in config]
    if isinstance(config, Path):
        return str(config)
    assert config is None or isinstance(config, (bool, int, float, str)), type(config)
    return config


def from_tree(annotation: Any, tree: Any, where: str = "field", base: Any = None) -> Any:
    """The config that `tree` describes.

    Args:
        annotation: A dataclass, a union of them, or a plain type.
        tree: What YAML or JSON said.
        where: The dotted path of `tree`, for messages.
        base: A config whose values stand for the keys `tree` leaves out; None for the defaults.

    Raises:
        InputError: an unknown key or class name, a missing key or a value of a wrong type.
    """
    annotation = _bare(annotation)
    options = _options(annotation)
    if any(dataclasses.is_dataclass(option) for option in options):
        if tree is None and type(None) in options:
            return None
        return _dataclass([o for o in options if dataclasses.is_dataclass(o)], tree, where, base)
    if len(options) > 1:
        for option in options:
            try:
                return from_tree(option, tree, where)
            except InputError:
                continue
        raise _wrong(annotation, tree, where)
    return _plain(annotation, tree, where, base)


def _dataclass(classes: list[Any], tree: Any, where: str, base: Any) -> Any:
    """One of `classes` from a tagged dict, a class name, or (one class only) the plain dict."""
    names = {c.__name__: c for c in classes}
    if isinstance(tree, str):
        tree = {tree: {}}
    tagged = isinstance(tree, dict) and len(tree) == 1 and next(iter(tree)) in names
    if not tagged and len(classes) > 1:
        if not isinstance(tree, dict) or len(tree) != 1:
            raise InputError(
                f"one of {', '.join(names)} at {where}, with its values below it",
                _shown(tree),
                f"write {{{next(iter(names))}: {{...}}}}",
            )
        raise _unknown(str(next(iter(tree))), names, "one of", where)
    cls, values = (
        (names[next(iter(tree))], next(iter(tree.values()))) if tagged else (classes[0], tree)
    )
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise _wrong(cls, values, where)
    hints = _hints(cls)
    known = {f.name: f for f in _fields(cls)}
    for key in values:
        if key not in known:
            raise _unknown(str(key), known, f"the keys of {cls.__name__},", where)
    same = base is not None and type(base) is cls
    found = {
        name: from_tree(
            hints[name], values[name], f"{where}.{name}", getattr(base, name) if same else None
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
            raise InputError(f"a value for {where}.{name}", "none", f"add {name} to {cls.__name__}")
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
    if annotation is float and not isinstance(tree, bool):
        # YAML 1.1 reads 1e-3 as a string.
        try:
            return float(tree)
        except (TypeError, ValueError):
            raise _wrong(annotation, tree, where) from None
    if annotation in (bool, int, str) and type(tree) is annotation:
        return tree
    if origin in (list, tuple) and isinstance(tree, (list, tuple)):
        fixed = origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis)
        if fixed and len(tree) != len(arguments):
            raise _wrong(annotation, tree, where)
        kinds = arguments if fixed else (arguments[0],) * len(tree)
        return origin(
            from_tree(kind, v, f"{where}.{i}")
            for i, (kind, v) in enumerate(zip(kinds, tree, strict=True))
        )
    if _is_mapping(annotation) and isinstance(tree, dict):
        found = {str(k): from_tree(arguments[1], v, f"{where}.{k}") for k, v in tree.items()}
        return {**(base or {}), **found}
    raise _wrong(annotation, tree, where)


def _fields(config: Any) -> list[dataclasses.Field[Any]]:
    return [f for f in dataclasses.fields(config) if f.init]


def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _bare(annotation: Any) -> Any:
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _options(annotation: Any) -> list[Any]:
    """The members of a union, nested unions and annotations opened; else the annotation alone."""
    annotation = _bare(annotation)
    if typing.get_origin(annotation) not in (Union, types.UnionType):
        return [annotation]
    return [o for member in typing.get_args(annotation) for o in _options(member)]


def _is_tagged(annotation: Any) -> bool:
    if TAGGED in getattr(annotation, "__metadata__", ()):
        return True
    return sum(dataclasses.is_dataclass(o) for o in _options(annotation)) > 1


def _is_mapping(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _element(annotation: Any) -> Any:
    """The annotation of what a list, tuple or dict holds; None where it can't be told."""
    for option in _options(annotation):
        arguments = typing.get_args(option)
        if _is_mapping(option):
            return arguments[1]
        if typing.get_origin(option) in (list, tuple) and arguments:
            return arguments[0]
    return None


def _named(annotation: Any) -> str:
    """An annotation as a user would say it."""
    options = _options(annotation)
    if len(options) > 1:
        return " or ".join(_named(option) for option in options)
    origin, arguments = typing.get_origin(options[0]), typing.get_args(options[0])
    if origin is Literal:
        return "one of " + ", ".join(str(a) for a in arguments)
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)} values"
    if origin in (list, tuple):
        return f"a list, each {_named(arguments[0])}"
    if _is_mapping(options[0]):
        return f"keys, each with {_named(arguments[1])}"
    if isinstance(options[0], type) and dataclasses.is_dataclass(options[0]):
        return f"the keys of {options[0].__name__}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    names |= {type(None): "null", Path: "a path"}
    return names.get(options[0], str(options[0]))


def _shown(tree: Any) -> str:
    text = " ".join(json.dumps(tree, default=str).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _wrong(annotation: Any, tree: Any, where: str) -> InputError:
    return InputError(f"{_named(annotation)} for {where}", _shown(tree), f"change {where}")


def _unknown(name: str, valid: Iterable[str], kind: str, where: str) -> InputError:
    names = list(valid)
    return InputError(
        f"{kind} {', '.join(names)} at {where}",
        repr(name),
        nearest(name, names, "change or drop it"),
    )


def nearest(name: str, valid: Iterable[str], otherwise: str) -> str:
    """How to mend a misspelt name: "did you mean X?", or `otherwise` where nothing is near."""
    folded = {v.lower(): v for v in valid}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return f"did you mean {folded[near[0]]}?" if near else otherwise
