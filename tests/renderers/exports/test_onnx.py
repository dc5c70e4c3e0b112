"""ONNX: checked by its own checker, run by ONNX Runtime, compared with the model's own numbers."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from polyfield.apps.tasks.image_presets import image_presets
from polyfield.apps.tasks.scene_presets import scene_presets
from polyfield.encodings.hash_grid import HashGrid
from polyfield.errors import InputError
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.deep_radiance import DeepRadiance
from polyfield.fields.radiance import Radiance
from polyfield.fields.voxels import Voxels
from polyfield.renderers.exports.onnx_graph import Onnx
from polyfield.renderers.exports.source import Source
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.signal_model import SignalInfo, SignalModel
from polyfield.scenes.similarity import Similarity

CLOSE = 1e-4
GLOBE = Similarity((500000.3, 4500000.7, 100.1), 0.5)
BOX = torch.tensor([[-1.0, -1.0, -0.5], [1.0, 1.0, 0.5]])


def _helper(name: str):
    path = Path(__file__).resolve().parents[2] / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


runs = _helper("small_runs")


def quiet(line: str) -> None:
    """Progress that nobody reads."""


def spread(model):
    """Values as a trained model may have, in place of the first ones near 0."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for values in model.field.groups().get("table", []):
            values.copy_(torch.randn(values.shape, generator=generator) * 0.3)
    return model.eval()


def written(model, path):
    said = Onnx().write(Source(model, "a", {}), path, quiet)
    assert "opset 18, ONNX Runtime within" in said
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def points_of(model, count, margin=0.1):
    generator = torch.Generator().manual_seed(5)
    low, high = model.bounds.double()
    place = torch.rand(count, 3, generator=generator, dtype=torch.float64) * (1 + 2 * margin)
    directions = torch.randn(count, 3, generator=generator)
    directions = torch.nn.functional.normalize(directions, dim=1)
    return low + (place - margin) * (high - low), directions


SMALL = HashGrid(levels=4, features=2, log2_size=12, base_resolution=8, finest_resolution=200)
FIELDS = {"hash": Radiance(SMALL), "voxels": Voxels(cells=8, levels=2)}
"""In place of those of presets whose graphs are large and take long to trace."""
IMAGES = {"hash": Coordinate(SMALL)}


def scene_of(name, **options):
    run = scene_presets()[name]
    field = FIELDS.get(name, run.field)
    info = SceneInfo(BOX, False, "srgb", (1.0, 1.0, 1.0))
    sampler = replace(run.sampler, resolution=8)
    torch.manual_seed(0)
    return spread(RadianceModel(field, sampler, replace(info, **options)))


def compare(model, session, count=3000):
    """The largest errors of density, relative where it is large, and of colour."""
    points, directions = points_of(model, count)
    given = {"points": points.numpy(), "directions": directions.numpy()}
    density, rgb, occupied = session.run(["density", "rgb", "occupied"], given)
    with torch.no_grad():
        wanted = model.ask(points, directions)  # by the fast kernels
    size = wanted.density.clamp(min=1).numpy()
    errors = np.abs(density - wanted.density.numpy()) / size, np.abs(rgb - wanted.rgb.numpy())
    return max(e.max() for e in errors), points, occupied


@pytest.mark.parametrize("name", ["hash", "triplane", "voxels", "mlp"])
def test_a_scene_is_the_same_in_onnx(tmp_path, name):
    model = scene_of(name)
    worst, points, occupied = compare(model, written(model, tmp_path / "a.onnx"))
    assert worst <= CLOSE
    inside = ((points >= model.bounds[0]) & (points <= model.bounds[1])).all(1)
    np.testing.assert_array_equal(occupied, inside.numpy())  # nobody has looked at its cells yet


@pytest.mark.parametrize("name", ["hash", "mlp", "siren"])
def test_an_image_is_the_same_in_onnx(tmp_path, name):
    torch.manual_seed(0)
    model = spread(SignalModel(IMAGES.get(name, image_presets()[name].field), runs.info(640, 480)))
    session = written(model, tmp_path / "a.onnx")
    for count in (1, 2500):
        x = torch.rand(count, 2, generator=torch.Generator().manual_seed(1)) * model.bounds[1]
        (found,) = session.run(None, {"coordinates": x.numpy()})
        with torch.no_grad():
            assert np.abs(found - model.field(x).numpy()).max() <= CLOSE
    meta = {p.key: p.value for p in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert meta["kind"] == "image" and meta["color_space"] == "srgb"
    assert json.loads(meta["bounds"]) == [[0, 0], [640, 480]]


def test_far_from_zero_nothing_blurs_and_the_file_says_where(tmp_path):
    model = scene_of("hash", frame=GLOBE, unbounded=True, color_space="linear")
    session = written(model, tmp_path / "a.onnx")
    worst, points, occupied = compare(model, session)
    assert worst <= CLOSE and occupied.all()
    assert {i.name: i.type for i in session.get_inputs()} == {
        "points": "tensor(double)",
        "directions": "tensor(float)",
    }
    meta = {p.key: p.value for p in onnx.load(tmp_path / "a.onnx").metadata_props}
    np.testing.assert_allclose(json.loads(meta["bounds"]), model.bounds)
    assert json.loads(meta["frame"]) == {"center": list(GLOBE.center), "scale": 0.5}
    assert (meta["kind"], meta["color_space"]) == ("scene", "linear")
    assert json.loads(meta["unbounded"]) and json.loads(meta["background"]) == [1, 1, 1]


def test_octaves_see_every_bit_of_a_frame_whose_scale_float32_has_not(tmp_path):
    torch.manual_seed(0)
    info = SceneInfo(BOX, False, "srgb", (1.0, 1.0, 1.0), Similarity((1.0, 2.0, 3.0), 0.3))
    field = DeepRadiance(octaves=16, trunk=16, layers=2, skip=1)
    model = RadianceModel(field, Uniform(8), info).eval()
    assert compare(model, written(model, tmp_path / "a.onnx"))[0] <= 2e-5


def test_what_is_empty_is_said(tmp_path):
    model = scene_of("hash")
    value = torch.zeros(8, 8, 8)
    value[:4] = 1000.0
    model.renderer.sampler.adopt(value)
    points, occupied = compare(model, written(model, tmp_path / "a.onnx"))[1:]
    inside = ((points >= model.bounds[0]) & (points <= model.bounds[1])).all(1)
    # Its box is half as high as wide, the cells are eighths of each edge.
    np.testing.assert_array_equal(occupied, (inside & (points[:, 0] < 0)).numpy())


def test_a_sound_and_values_that_are_scaled(tmp_path):
    torch.manual_seed(0)
    info = SignalInfo("sound", (4000,), (0.5,), 2, {"rate": 8000}, scale=0.25)
    model = spread(SignalModel(IMAGES["hash"], info))
    x = torch.rand(500, 1) * 0.5
    (found,) = written(model, tmp_path / "a.onnx").run(None, {"coordinates": x.numpy()})
    with torch.no_grad():
        assert np.abs(found - 0.25 * model.field(x).numpy()).max() <= CLOSE


def test_no_file_tells_where_it_was_made(tmp_path):
    written(scene_of("mlp"), tmp_path / "a.onnx")
    assert b".py" not in (tmp_path / "a.onnx").read_bytes()


def test_what_onnx_has_no_operation_for_is_one_line(tmp_path, capfd):
    model = scene_of("kilo")
    with pytest.raises(InputError, match="got KiloBank.*distil it") as caught:
        Onnx().write(Source(model, "a", {}), tmp_path / "a.onnx", quiet)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_another_sampler(tmp_path):
    torch.manual_seed(0)
    info = SceneInfo(BOX, False, "srgb", (1.0, 1.0, 1.0))
    model = RadianceModel(Voxels(cells=4), Uniform(8), info).eval()
    assert compare(model, written(model, tmp_path / "a.onnx"))[0] <= CLOSE


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"onnx for --to onnx.*polyfield\[onnx\]"):
        Onnx().write(Source(scene_of("mlp"), "a", {}), tmp_path / "a.onnx", quiet)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"onnxscript for --to onnx.*polyfield\[onnx\]"):
        Onnx().write(Source(scene_of("mlp"), "a", {}), tmp_path / "a.onnx", quiet)
    assert list(tmp_path.iterdir()) == []
