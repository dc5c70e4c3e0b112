"""Annotations of dataclass fields, taken apart. Knows no class of ours."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Union


def fields(config: Any) -> list[dataclasses.Field[Any]]:
    """The fields that a constructor takes."""
    return [f for f in dataclasses.fields(config) if f.init]


def hints(cls: Any) -> dict[str, Any]:
    """How the fields of a class are annotated."""
    return _hints(cls)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def is_config(annotation: Any) -> bool:
    """Whether it is a dataclass."""
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def is_mapping(annotation: Any) -> bool:
    """Whether it is Mapping[...] or dict[...]."""
    origin = typing.get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def bare(annotation: Any) -> Any:
    """What `Annotated` holds, or the annotation itself."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def notes(annotation: Any) -> tuple[Any, ...]:
    """What `Annotated` adds, also to a member of a union."""
    if typing.get_origin(annotation) is Annotated:
        inner, *added = typing.get_args(annotation)
        return (*added, *notes(inner))
    if is_union(annotation):
        return tuple(note for member in typing.get_args(annotation) for note in notes(member))
    return ()


def is_union(annotation: Any) -> bool:
    """Whether it is X | Y."""
    return typing.get_origin(annotation) in (Union, types.UnionType)


def options(annotation: Any) -> list[Any]:
    """The members of a union, nested unions and annotations opened; else the annotation alone."""
    annotation = bare(annotation)
    if not is_union(annotation):
        return [annotation]
    return [o for member in typing.get_args(annotation) for o in options(member)]


def element(annotation: Any, index: int = 0) -> Any:
    """The annotation of what a list, tuple or dict holds; None where it can't be told."""
    for option in options(annotation):
        arguments = typing.get_args(option)
        if is_mapping(option):
            return arguments[1]
        if typing.get_origin(option) in (list, tuple) and arguments:
            fixed = typing.get_origin(option) is tuple and Ellipsis not in arguments
            return arguments[min(index, len(arguments) - 1)] if fixed else arguments[0]
    return None
