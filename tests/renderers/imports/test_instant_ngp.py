"""Snapshots of instant-ngp: their numbers by a plain reference, their cells, cameras, mistakes."""

import copy
import importlib.util
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.renderers.imports.models import read_model
from polyfield.renderers.imports.ngp_cells import CELLS, STEP
from polyfield.renderers.model_files import load_model, save_model

CLOSE = 1e-5


def _helper(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


hand = _helper("hand_written")


def worst(found, wanted):
    return float((np.abs(found - wanted) / np.maximum(1, np.abs(wanted))).max())


def points_of(model, count=2000):
    generator = np.random.default_rng(1)
    low, high = model.bounds.double().numpy()
    directions = generator.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return low + generator.random((count, 3)) * (high - low), directions


@pytest.mark.parametrize(("cubes", "name"), [(1, "a.msgpack"), (1, "a.ingp"), (4, "a.ingp")])
def test_a_scene_says_what_its_own_weights_say(tmp_path, cubes, name):
    tree = hand.scene_tree(cubes)
    found = read_model(hand.write(tmp_path / name, tree))
    params = np.frombuffer(tree["snapshot"]["params_binary"], "<f2")
    points, directions = points_of(found.model)
    field = found.model.field
    unit = field.domain(found.model.frame.normalised(torch.from_numpy(points)).float())
    place = unit.numpy()[:, [1, 2, 0]]
    np.testing.assert_allclose(place, hand.place_of(points, cubes), atol=3e-7)
    # At the very float32 places: a last bit of them is much of a cell of 1/8192.
    density, rgb = hand.seen(place, directions, params, cubes)
    save_model(tmp_path / "model.safetensors", found.model)
    for model in (found.model, load_model(tmp_path / "model.safetensors")):
        with torch.no_grad():
            said = model.ask(torch.from_numpy(points), torch.from_numpy(directions).float())
        assert worst(said.density.numpy(), density) <= CLOSE
        assert worst(said.rgb.numpy(), rgb) <= CLOSE
    assert np.ptp(density) > 0.1 and np.ptp(rgb) > 0.1  # or nothing would have been shown


def test_it_is_where_the_data_is(tmp_path):
    found = read_model(hand.write(tmp_path / "a.msgpack", hand.scene_tree(2)))
    low, high = (np.array([v] * 3) for v in (-0.5, 1.5))
    wanted = [(v - np.array(hand.OFFSET)) / hand.SCALE for v in (low, high)]
    np.testing.assert_allclose(found.model.bounds, wanted, rtol=1e-6)
    assert found.steps == 35000 and found.program == "instant-ngp"
    np.testing.assert_allclose(found.model.background, [1.0, 0.5, 0.25])
    first, second = found.cameras
    np.testing.assert_allclose(first.pose, hand.pose(), atol=1e-12)
    assert (first.width, first.height, first.fl_x, first.fl_y) == (40, 30, 50.0, 51.0)
    assert (first.cx, first.cy) == (20.0, 12.0)
    assert second.lens.k1 == 0.1 and list(found.names) == ["images/a.png", "images/b.png"]


def test_cells_come_to_their_places(tmp_path):
    cells = np.full((2, CELLS**3), -1.0)
    cells[1, hand.morton(3, 50, 120)] = 2.0  # of the outer cascade
    cells[0, hand.morton(0, 1, 127)] = 0.5  # of the inner one, within its (32, 32, 95)
    found = read_model(hand.write(tmp_path / "a.msgpack", hand.scene_tree(2, cells)))
    value = found.model.renderer.sampler.value
    assert {tuple(c) for c in value.nonzero().tolist()} == {(120, 3, 50), (95, 32, 32)}
    # Per unit cube, of which there are two along a box that is two long.
    assert float(value[120, 3, 50]) == pytest.approx(2 / STEP, rel=1e-3)
    assert float(value[95, 32, 32]) == pytest.approx(0.5 / STEP, rel=1e-3)
    assert found.model.renderer.sampler.occupied.sum() == 2


def test_a_crop_empties_what_is_outside(tmp_path):
    tree = hand.scene_tree()
    tree["snapshot"]["render_aabb"] = {"min": [0.0, 0.0, 0.25], "max": [1.0, 1.0, 1.0]}
    found = read_model(hand.write(tmp_path / "a.msgpack", tree))
    occupied = found.model.renderer.sampler.occupied
    assert not occupied[:32].any() and occupied[32:].all()  # its z is our x
    assert found.warnings == ["cells outside of its crop box are left empty"]


def test_a_last_bit_of_the_factor_is_found_by_the_number_of_values(tmp_path):
    tree, near = hand.scene_tree(), np.nextafter(np.float32(2), np.float32(3))
    params = hand.random_params(hand.scene_widths(), float(near), 3, log2=16)
    tree["encoding"] |= {"log2_hashmap_size": 16, "per_level_scale": 2.0}
    tree["snapshot"]["params_binary"] = params.tobytes()
    found = read_model(hand.write(tmp_path / "a.msgpack", tree))
    assert found.model.configs[0].position.growth == float(near)


def test_an_image_says_what_its_own_weights_say(tmp_path):
    tree = hand.image_tree()
    found = read_model(hand.write(tmp_path / "a.ingp", tree), hand.SIZE)
    params = np.frombuffer(tree["snapshot"]["params_binary"], "<f2").astype(np.float64)
    place = np.random.default_rng(2).random((2000, 2)).astype(np.float32)
    widths = [32, hand.WIDTH, hand.WIDTH, 3]
    begin = 32 * hand.WIDTH + hand.WIDTH**2 + hand.WIDTH * 16
    x = torch.from_numpy(place) * found.model.bounds[1]
    unit = found.model.field.domain(x).numpy()
    features = hand.grid_of(unit, params[begin:], hand.image_growth(), **hand.IMAGE)
    wanted, _ = hand.network_of(features, params[:begin], widths)
    with torch.no_grad():
        assert worst(found.model.field(x).numpy(), wanted) <= CLOSE
    assert tuple(found.model.render().shape) == (200, 300, 3)


def test_an_image_needs_its_size_and_a_scene_none(tmp_path):
    image = hand.write(tmp_path / "a.ingp", hand.image_tree())
    with pytest.raises(InputError, match="--size WIDTH HEIGHT"):
        read_model(image)
    with pytest.raises(InputError, match="a size|--size from 1"):
        read_model(image, (0, 5))
    with pytest.raises(InputError, match="no --size for a scene"):
        read_model(hand.write(tmp_path / "b.ingp", hand.scene_tree()), (4, 4))


MISTAKES = {
    "hdr": (("snapshot", "nerf", "dataset", "is_hdr"), True, "8-bit images"),
    "latents": (("snapshot", "nerf", "dataset", "n_extra_learnable_dims"), 8, "latent vectors"),
    "sdf": (("snapshot", "mode"), "sdf", "a scene or an image"),
    "dense": (("encoding", "otype"), "DenseGrid", "a HashGrid"),
    "frequency": (("dir_encoding",), {"otype": "Frequency"}, "SphericalHarmonics"),
    "sine": (("network", "activation"), "Sine", "ReLU"),
    "few": (("snapshot", "params_binary"), b"\0" * 64, "got 32; only the default"),
    "odd": (("snapshot", "params_binary"), b"\0" * 65, "whole numbers"),
    "nan": (("snapshot", "params_binary"), b"\xff" * 64, "finite numbers"),
    "double": (
        ("snapshot", "params_type"),
        "double",
        "numbers of __half or float.*; save it again",
    ),
    "cells": (("snapshot", "density_grid_binary"), b"\0" * 64, "density_grid_binary"),
    "box": (("snapshot", "aabb"), {"min": [0, 0, 0], "max": [0, 1, 1]}, "a box"),
    "flat": (("snapshot", "aabb"), {"min": [0, 0, 0], "max": [1, 1, 2]}, "a power of 2"),
    "scale": (("snapshot", "nerf", "dataset", "scale"), 0.0, "a scale above 0"),
    "offset": (("snapshot", "nerf", "dataset", "offset"), [1, 2], "3 finite numbers"),
    "poses": (("snapshot", "nerf", "dataset", "xforms"), [{"start": [[1]] * 3}] * 2, "4 finite"),
    "lenses": (("snapshot", "nerf", "dataset", "metadata"), [], "as many lenses"),
    "levels": (("encoding", "n_levels"), 3000, "n_levels"),
    "growth": (("encoding", "per_level_scale"), 1e9, "a factor"),
    "nothing": (("snapshot", "nerf"), 5, "a map"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_can_not_be_is_one_line(tmp_path, name):
    (*way, last), value, word = MISTAKES[name]
    tree = copy.deepcopy(hand.scene_tree())
    part = tree
    for key in way:
        part = part[key]
    part[last] = value
    with pytest.raises(InputError, match=word) as caught:
        read_model(hand.write(tmp_path / "a.msgpack", tree))
    assert "\n" not in str(caught.value)


def test_damaged_files_are_one_line(tmp_path):
    whole = hand.write(tmp_path / "a.ingp", hand.scene_tree()).read_bytes()
    plain = zlib.decompress(whole, wbits=31)
    for content in (whole[:-100], whole[:20], plain[:-5], plain[:3], plain + b"\0", b"\x80"):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_model(tmp_path / "b")
        assert "\n" not in str(caught.value)
    for content in (b"", b"PK\3\4", b"words"):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(InputError, match="a model of instant-ngp"):
            read_model(tmp_path / "b")


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    path = hand.write(tmp_path / "a.msgpack", hand.image_tree())
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(InputError, match=r"msgpack for instant-ngp.*polyfield\[import\]"):
        read_model(path, hand.SIZE)
