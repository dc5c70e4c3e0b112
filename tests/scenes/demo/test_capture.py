"""The built-in scene: its solids against their equations, its images against brute force."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import Camera
from polyfield.scenes.demo import scene
from polyfield.scenes.demo.capture import Analytic, look_at
from polyfield.scenes.demo.scene import THINGS, render
from polyfield.scenes.demo.solids import Box, Cone, Ellipsoid, dot, unit

OPTIONS = ReadOptions()
SOLIDS = [
    Ellipsoid((0.1, -0.2, 0.3), (0.5, 0.3, 0.8)),
    Box((-0.2, 0.1, 0.0), (0.4, 0.2, 0.6), 0.7),
    Cone((0.2, 0.0, -0.5), 1.0, (0.6, 0.2)),
    Cone((0.0, 0.1, -0.3), 0.4, (0.5, 0.5)),
    Cone((0.0, 0.0, -0.4), 0.5, (0.2, 0.7)),
]


def inside(solid, points):
    """How deep points are in a solid, by its equation: positive inside."""
    local = solid.local(points).astype(np.float64)
    if isinstance(solid, Ellipsoid):
        return 1 - np.linalg.norm(local, axis=1)
    if isinstance(solid, Box):
        return (np.array(solid.half) - np.abs(local)).min(1)
    z = local[:, 2]
    radius = solid.radii[0] + (solid.radii[1] - solid.radii[0]) * z / solid.height
    return np.minimum.reduce([radius - np.hypot(local[:, 0], local[:, 1]), z, solid.height - z])


def rays(seed: int, n: int = 400):
    """Rays from a sphere of radius 3 to points near the middle."""
    generator = np.random.default_rng(seed)
    origins = 3 * unit(generator.normal(size=(n, 3)).astype(np.float32))
    targets = generator.uniform(-0.9, 0.9, (n, 3)).astype(np.float32)
    return origins, unit(targets - origins)


@pytest.mark.parametrize("solid", SOLIDS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_hits_lie_on_the_surface_first_and_face_the_ray(solid, seed):
    origins, directions = rays(seed)
    t = solid.hit(origins, directions)
    met = np.isfinite(t)
    points = origins[met] + t[met, None] * directions[met]
    assert np.abs(inside(solid, points)).max() < 2e-4
    normal = solid.normal(points)
    np.testing.assert_allclose(dot(normal, normal), 1, atol=1e-5)
    # Outward: a little along the normal is outside. At edges two faces meet; leave those out.
    clear = inside(solid, points + 1e-2 * normal) < 0
    assert clear.mean() > 0.98
    assert (dot(normal, directions[met]) < 1e-2).mean() > 0.98
    # Nothing before the hit is inside, and where nothing is hit nothing is inside at all.
    for fraction in np.linspace(0, 1, 60):
        length = np.where(met, t - 2e-3, 6.0) * fraction
        assert inside(solid, origins + length[:, None] * directions).max() < 1e-4


@pytest.mark.parametrize("solid", SOLIDS)
def test_solids_fit_their_ball(solid):
    center, radius = solid.ball()
    origins, directions = rays(1, 3000)
    t = solid.hit(origins, directions)
    met = np.isfinite(t)
    points = origins[met] + t[met, None] * directions[met]
    assert np.linalg.norm(points - np.array(center), axis=1).max() <= radius + 1e-4


@pytest.mark.parametrize("solid", SOLIDS)
def test_rays_along_the_axes_divide_by_zero_quietly(solid):
    directions = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    origins = np.array(solid.ball()[0], np.float32) - 3 * directions
    assert np.isfinite(solid.hit(origins, directions)).all()


def small(angle: float = 0.4, size: int = 48) -> Camera:
    return Camera(look_at(angle, 0.5, 3.9), size, size, size * 1.3, size * 1.3, size / 2, size / 2)


def test_leaving_things_out_early_changes_nothing(monkeypatch):
    fast = render(small())
    everything = np.ones((len(THINGS), 1), bool)
    for name in ("_near_cone", "_near_column"):
        monkeypatch.setattr(
            scene, name, lambda *args: everything.repeat(max(map(len, args)), axis=1)
        )
    np.testing.assert_array_equal(render(small()), fast)


def test_coverage_is_what_the_solids_cover():
    camera = small(size=24)
    fine = camera.resized(24 * 8, 24 * 8).rays().flatten()
    hit = np.zeros(len(fine), bool)
    for thing in THINGS:
        hit |= np.isfinite(thing.solid.hit(fine.origins.numpy(), fine.directions.numpy()))
    share = hit.reshape(24, 8, 24, 8).mean((1, 3))
    alpha = render(camera)[..., 3]
    assert np.abs(alpha - share).max() < 0.4  # four samples against 64
    assert np.abs(alpha - share).mean() < 0.015
    assert 0 < ((alpha > 0) & (alpha < 1)).mean() < 0.2


def test_pictures_are_antialiased_colours_in_range():
    picture = render(small())
    assert picture.dtype == np.float32 and picture.shape == (48, 48, 4)
    assert picture.min() == 0 and picture.max() <= 1
    assert (picture[picture[..., 3] == 0][:, :3] == 0).all()
    assert picture[picture[..., 3] == 1][:, :3].std() > 0.15


def test_gloss_depends_on_the_eye():
    """The same point of the red ball has another colour from elsewhere."""
    point = np.array([[-0.10, 0.12 - 0.46, 0.46]], np.float32)
    colors = []
    for eye in ([0.5, -4.0, 0.5], [2.0, -3.0, 2.4]):
        towards = unit(point - np.array([eye], np.float32))
        hit, color = scene._trace(np.array(eye, np.float32), towards, scene.LAMP[0])
        assert len(hit) == 1
        colors.append(color[0])
    assert np.abs(colors[0] - colors[1]).max() > 0.02


def test_a_data_set_like_any_other():
    config = Analytic(size=20, train=3, val=1, test=2)
    capture = config.open("demo", OPTIONS)
    assert capture.splits == ("train", "val", "test") and capture.name == "demo"
    assert [len(capture.cameras(s)) for s in capture.splits] == [3, 1, 2]
    scene = capture.scene("test")
    assert scene.has_alpha and not scene.unbounded and scene.color_space == "srgb"
    assert scene.view_name(1) == "test/001"
    again = config.open("demo", OPTIONS).scene("test")
    assert torch.equal(scene.view(1)[1], again.view(1)[1])


def test_rays_and_pictures_agree():
    """Rays of the data set that meet the solids are those whose pixel is covered."""
    scene = Analytic(size=40, train=1, val=1, test=1).open("demo", OPTIONS).scene("train")
    grid, rgba = scene.view(0)
    flat = grid.flatten()
    hit = np.zeros(len(flat), bool)
    for thing in THINGS:
        hit |= np.isfinite(thing.solid.hit(flat.origins.numpy(), flat.directions.numpy()))
    alpha = rgba[..., 3].reshape(-1).numpy()
    assert hit[alpha == 1].all() and not hit[alpha == 0].any()


def test_everything_is_inside_the_bounds_and_the_cameras_outside():
    capture = Analytic().open("demo", OPTIONS)
    low, high = capture.bounds.numpy()
    for thing in THINGS:
        origins, directions = rays(2, 4000)
        t = thing.solid.hit(origins, directions)
        points = origins[np.isfinite(t)] + t[np.isfinite(t), None] * directions[np.isfinite(t)]
        assert (points > low).all() and (points < high).all()
    assert np.ptp(high - low) < 1e-6  # a cube
    for split in capture.splits:
        positions = capture.cameras(split).poses[:, :3, 3].numpy()
        assert ((positions < low) | (positions > high)).any(1).all()


def test_test_views_are_not_training_views():
    capture = Analytic().open("demo", OPTIONS)
    train, test = (capture.cameras(s).poses[:, :3, 3] for s in ("train", "test"))
    assert torch.cdist(train, test).min() > 0.05


def test_downscale_and_bounds_apply():
    options = ReadOptions(downscale=2, bounds=(-1.0, -1.0, -1.0, 1.0, 1.0, 2.0))
    capture = Analytic(size=20, train=1, val=1, test=1).open("demo", options)
    assert capture.scene("train").view(0)[1].shape == (10, 10, 4)
    assert capture.bounds[1].tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    "values", [{"train": 0}, {"test": -1}, {"size": 0}, {"distance": 1.0}, {"distance": math.inf}]
)
def test_configs_that_make_no_sense(values):
    with pytest.raises(InputError):
        Analytic(**values).open("demo", OPTIONS)


def test_a_folder_is_not_the_built_in_scene(tmp_path):
    with pytest.raises(InputError, match="the word demo"):
        Analytic().open(tmp_path, OPTIONS)
