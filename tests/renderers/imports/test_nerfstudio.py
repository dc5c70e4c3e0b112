"""Trainings of nerfstudio: their numbers by a plain reference, their frame, what is refused."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.renderers.imports.models import read_model
from polyfield.renderers.model_files import load_model, save_model
from polyfield.scenes.rays import Rays

CLOSE = 1e-5


def _helper(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


by_hand = _helper("nerfstudio_by_hand")
Kind = by_hand.Kind
KINDS = [
    Kind(),
    Kind(form="torch"),
    Kind(form="older", mean=False, behind="white"),
    Kind(form="torch", linear=True, contracted=False, behind="black"),
    Kind(contracted=False, behind="last_sample", linear=True),
    Kind(model="ngp", behind="random"),
    Kind(model="ngp", behind="white", contracted=False),
]


def some(kind):
    return "-".join(str(v) for v in (kind.model, kind.form, kind.contracted, kind.behind))


def points_of(model, count=600, spread=1.0):
    generator = np.random.default_rng(1)
    low, high = model.bounds.double().numpy()
    middle = (low + high) / 2
    directions = generator.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return middle + (generator.random((count, 3)) - 0.5) * (high - low) * spread, directions


def worst(found, wanted):
    return float((np.abs(found - wanted) / np.maximum(1, np.abs(wanted))).max())


@pytest.mark.parametrize("kind", KINDS, ids=some)
def test_the_field_says_what_its_weights_say(tmp_path, kind):
    found = read_model(by_hand.write(tmp_path / "run", kind))
    assert found.steps == 30000 and found.program.startswith("nerfstudio ")
    save_model(tmp_path / "model.safetensors", found.model)
    transform, scale = by_hand.turned()
    for model in (found.model, load_model(tmp_path / "model.safetensors")):
        points, directions = points_of(model, spread=3.0 if kind.contracted else 1.2)
        wanted, inside = by_hand.unit(kind, by_hand.to_model(points))
        place, within = model.field.placed(model.frame.normalised(torch.from_numpy(points)).float())
        np.testing.assert_allclose(place.numpy(), wanted, atol=2e-6)
        assert (within.numpy() == inside).all() and inside.any()
        # At the very float32 places: a last bit of them is much of a fine cell.
        turned = directions.astype(np.float32).astype(np.float64) @ transform[:, :3].T
        density, rgb = by_hand.seen(kind, place.double().numpy(), inside, turned)
        with torch.no_grad():
            said = model.ask(torch.from_numpy(points), torch.from_numpy(directions).float())
        assert worst(said.density.numpy(), density * scale) <= CLOSE
        assert worst(said.rgb.numpy(), rgb) <= CLOSE


@pytest.mark.parametrize("kind", [k for k in KINDS if k.model == "nerfacto"], ids=some)
def test_its_pixels_are_those_of_its_own_sampling(tmp_path, kind):
    model = read_model(by_hand.write(tmp_path / "run", kind)).model
    targets, away = points_of(model, 40)
    edge = float((model.bounds[1] - model.bounds[0]).max())
    origins = targets - away * edge * 0.6
    wanted = by_hand.pixels(kind, origins, away)
    rays = Rays(
        model.frame.normalised(torch.from_numpy(origins)),
        torch.from_numpy(away),
        torch.zeros(40, dtype=torch.float64),
        torch.full((40,), torch.inf, dtype=torch.float64),
        torch.zeros(40, dtype=torch.int64),
    )
    seen = model.double().render_rays(rays)
    color = seen.color.numpy()
    assert color.std() > 0.02
    np.testing.assert_allclose(color, wanted, atol=CLOSE)
    if kind.behind == "last_sample":
        np.testing.assert_allclose(seen.opacity.numpy(), 1, atol=1e-6)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.model == "ngp"], ids=some)
def test_what_its_grid_found_empty_stays_empty(tmp_path, kind):
    model = read_model(by_hand.write(tmp_path / "run", kind)).model
    binaries = by_hand.state_of(kind)["_model.occupancy_grid.binaries"].numpy()
    points, _ = points_of(model, 4000, 2.0)
    y = by_hand.to_model(points)
    low, high = np.array(kind.aabb).reshape(2, 3)
    part = (y - (low + high) / 2) / ((high - low) / 2)
    level = np.where(np.abs(part).max(1) <= 1, 0, 1)
    cell = (part / (1 + level)[:, None] + 1) / 2 * 32
    there = (np.abs(cell - 16).max(1) < 16) & (np.abs(part).max(1) <= 2)
    index = np.clip(cell, 0, 31).astype(int)
    full = there & binaries[(level, *index.T)]
    if not kind.contracted:
        full &= (np.abs(part) < 1).all(1)
    said = model.renderer.sampler.is_occupied(
        model.frame.normalised(torch.from_numpy(points)).float()
    ).numpy()
    box = model.bounds.double().numpy()
    inner = ((points > box[0]) & (points < box[1])).all(1) if not kind.contracted else there
    assert full[inner].any() and said[full & inner].mean() > 0.98
    # Ours are larger or turned: they reach half a cell further.
    assert said[inner].mean() < 3 * full[inner].mean() + 0.1


def test_where_the_files_may_be(tmp_path):
    run = by_hand.write(tmp_path / "run", Kind())
    places = [run, run / "config.yml", run / "nerfstudio_models",
              run / "nerfstudio_models" / "step-000029999.ckpt"]  # fmt: skip
    tables = [read_model(place).model.field.position.table for place in places]
    assert all(torch.equal(table, tables[0]) for table in tables)
    (run / "config.yml").unlink()
    for place in places[2:]:
        with pytest.raises(InputError, match="config.yml beside"):
            read_model(place)


def test_what_is_left_out_is_said(tmp_path):
    more = {
        "field.mlp_pred_normals.layers.0.weight": torch.ones(2, 2),
        "camera_optimizer.pose_adjustment": torch.full((3, 6), 0.01),
    }
    run = by_hand.write(tmp_path / "run", Kind(), **more)
    said = read_model(run).warnings
    assert any("predicted normals" in line for line in said)
    assert any("camera optimiser" in line and "0.0173" in line for line in said)
    assert any("--data" in line for line in said)
    assert all(line.count("\n") == 0 for line in said)


def test_an_opaque_end_is_not_taught_and_that_is_said(tmp_path):
    for behind in ("last_sample", "black"):
        found = read_model(by_hand.write(tmp_path / behind, Kind(behind=behind)))
        told = any("last_sample" in line for line in found.warnings)
        assert told == found.model.renderer.sampler.opaque_end == (behind == "last_sample")


def test_data_that_only_its_config_names_stops_nothing(tmp_path):
    """An applied_transform that is none: an error where the user gave the data."""
    data = tmp_path / "data"
    data.mkdir()
    wrong = {"applied_transform": [[9.0, 0.0, 0.0, 0.0]] * 3, "frames": []}
    (data / "transforms.json").write_text(json.dumps(wrong))
    run = by_hand.write(tmp_path / "run", Kind(), str(data))
    found = read_model(run)
    assert found.capture is None and found.data is None
    assert any("no cameras" in line and "a rotation" in line for line in found.warnings)
    with pytest.raises(InputError, match="a rotation"):
        read_model(run, data=data)


def test_what_is_not_expressed_is_refused(tmp_path):
    more = {"field.mlp_semantics.layers.0.weight": torch.ones(2, 2)}
    with pytest.raises(InputError, match="semantics"):
        read_model(by_hand.write(tmp_path / "a", Kind(), **more))
    run = by_hand.write(tmp_path / "b", Kind())
    config = (run / "config.yml").read_text()
    for old, new, said in (
        ("NerfactoModel", "SplatfactoModel", "SplatfactoModel"),
        ("background_color: last_sample", "background_color: mauve", "mauve"),
        ("max_res: 40", "max_res: 90", "parameters"),
        ("hidden_dim: 16", "hidden_dim: true", "whole number"),
        ("num_nerf_samples_per_ray: 12", "num_nerf_samples_per_ray: 1000000", "whole number"),
        ("pipeline:", "pipe:", "config.yml of nerfstudio"),
        ("average_init_density: 0.5", "average_init_density: .nan", "finite"),
    ):
        (run / "config.yml").write_text(config.replace(old, new, 1))
        with pytest.raises(InputError, match=said):
            read_model(run)
    (run / "config.yml").write_text(config)
    parsed = json.loads((run / "dataparser_transforms.json").read_text())
    parsed["transform"][0] = [9.0, 0.0, 0.0, 0.0]
    (run / "dataparser_transforms.json").write_text(json.dumps(parsed))
    with pytest.raises(InputError):
        read_model(run)


def test_a_network_that_is_not_finite(tmp_path):
    values = by_hand.state_of(Kind())["_model.field.mlp_base.model.params"].clone()
    values[3] = torch.nan
    run = by_hand.write(tmp_path / "run", Kind(), **{"field.mlp_base.model.params": values})
    with pytest.raises(InputError, match="finite numbers for field.mlp_base"):
        read_model(run)
