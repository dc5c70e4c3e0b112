"""Every config there is: its numbers have ranges, its tree comes back, its defaults are allowed."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyfield.annotations import fields, hints, is_config, is_mapping, notes, options
from polyfield.apps.tasks.image_presets import image_presets
from polyfield.apps.tasks.scene_presets import scene_presets
from polyfield.config import TAGGED, from_tree, to_tree
from polyfield.encodings import EncodingConfig
from polyfield.errors import InputError
from polyfield.fields import RadianceFieldConfig, SignalFieldConfig
from polyfield.fields.networks import NetworkConfig
from polyfield.ranges import Count, Limit, OneOf, Range, check
from polyfield.renderers.radiance_model import SamplerConfig
from polyfield.scenes.sfm.config import Sfm
from polyfield.training.distillation.kilonerf import CellDistillation
from polyfield.training.distillation.pvd import PoseDistillation
from polyfield.training.distillation.values import SignalDistillation
from polyfield.training.loop import FitConfig
from polyfield.training.objectives.photometric import Photometric
from polyfield.training.objectives.regression import Regression

UNIONS = (EncodingConfig, SignalFieldConfig, RadianceFieldConfig, NetworkConfig, SamplerConfig)
ALONE = (
    FitConfig, Photometric, Regression, PoseDistillation, CellDistillation, SignalDistillation,
    Sfm,
)  # fmt: skip
CLASSES = [*(cls for union in UNIONS for cls in typing.get_args(union)), *ALONE]


def _configs(kind: Any) -> Iterator[type]:
    """The dataclasses that a place may hold, and those in them."""
    for option in options(kind):
        if is_config(option):
            yield option
            for field in fields(option):
                yield from _configs(hints(option)[field.name])
        else:
            for argument in typing.get_args(option):
                yield from _configs(argument)


EVERY = sorted({c for cls in CLASSES for c in _configs(cls)}, key=lambda c: c.__name__)


def _numbers(kind: Any, outer: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """What is noted of each number that a place may hold."""
    noted = (*outer, *notes(kind))
    for option in options(kind):
        if option in (int, float):
            yield noted
        elif not is_config(option) and typing.get_origin(option) is not Literal:
            for argument in typing.get_args(option):
                yield from _numbers(argument, noted)


@pytest.mark.parametrize("cls", EVERY, ids=lambda c: c.__name__)
def test_each_number_has_a_range(cls: type) -> None:
    for field in fields(cls):
        for noted in _numbers(hints(cls)[field.name]):
            assert any(isinstance(note, Limit) for note in noted), field.name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_defaults_are_allowed(cls: Any) -> None:
    check(cls())


@pytest.mark.parametrize("presets", [scene_presets(), image_presets()], ids=["scene", "image"])
def test_presets_are_allowed_and_come_back(presets: dict[str, Any]) -> None:
    for name, preset in presets.items():
        check(preset, name)
        tree = to_tree(preset)
        assert from_tree(type(preset), json.loads(json.dumps(tree)), name) == preset
        assert from_tree(type(preset), {}, name, preset) == preset


@functools.cache
def _trees(kind: Any, outer: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """The tree of anything that a place may hold."""
    noted = (*outer, *notes(kind))
    every = options(kind)
    if len(every) > 1:
        tagged = sum(map(is_config, every)) > 1
        inner = tuple(note for note in noted if note != TAGGED)
        found = [(option, _trees(option, inner)) for option in every]
        return st.one_of([_tagged(o, s) if tagged and is_config(o) else s for o, s in found])
    if TAGGED in noted:
        return _tagged(every[0], _trees(every[0]))
    kind = every[0]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if is_config(kind):
        return st.fixed_dictionaries({f.name: _trees(hints(kind)[f.name]) for f in fields(kind)})
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple and Ellipsis not in arguments:
        return st.tuples(*(_trees(argument, noted) for argument in arguments)).map(list)
    if origin is tuple:
        count = next((n for n in noted if isinstance(n, Count)), Count(0, 3))
        most = min(count.high, count.low + 2)
        inner = tuple(n for n in noted if isinstance(n, Limit))
        return st.lists(_trees(arguments[0], inner), min_size=count.low, max_size=most)
    assert not is_mapping(kind)
    if kind in (int, float):
        return _in_range(kind, next(n for n in noted if isinstance(n, Limit)))
    return {bool: st.booleans(), type(None): st.none()}[kind]


def _tagged(cls: Any, tree: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return tree.map(lambda values: {cls.__name__: values})


def _in_range(kind: type, limit: Limit) -> st.SearchStrategy[Any]:
    if isinstance(limit, OneOf):
        return st.sampled_from(limit.values)
    assert isinstance(limit, Range)
    if kind is int:
        found = st.integers(int(limit.low), int(limit.high))
        return found if limit.also is None else found | st.just(limit.also)
    ends = {"exclude_min": limit.above, "exclude_max": limit.below}
    return st.floats(float(limit.low), float(limit.high), **ends)


@pytest.mark.parametrize("union", UNIONS, ids=["encoding", "signal", "radiance", "net", "sampler"])
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_config_comes_back_from_its_tree(union: Any, data: st.DataObject) -> None:
    tree = data.draw(_trees(union))
    config = from_tree(union, tree, "x")
    again = to_tree(config, union)
    assert again == tree
    assert from_tree(union, json.loads(json.dumps(again)), "x") == config
    assert from_tree(union, yaml.safe_load(yaml.safe_dump(again)), "x") == config


@pytest.mark.parametrize("cls", EVERY, ids=lambda c: c.__name__)
def test_beyond_a_range_is_named(cls: Any) -> None:
    for field in fields(cls):
        limit = next((n for n in notes(hints(cls)[field.name]) if isinstance(n, Limit)), None)
        value = getattr(cls(), field.name)
        if limit is None or not isinstance(value, (int, float)):
            continue
        whole = isinstance(value, int)
        for wrong in (-(10**30), 10**30) if whole else (-1e300, 1e300, math.nan, math.inf):
            if limit.holds(wrong):
                continue
            try:
                config = dataclasses.replace(cls(), **{field.name: wrong})
                check(config, "field.x")
            except InputError as error:
                text = str(error)
                assert text.startswith(f"expected {field.name} ") and len(text) <= 300
            else:
                raise AssertionError(f"{field.name} took {wrong}")
