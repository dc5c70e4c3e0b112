"""Compositing: numbers worked by hand, and the laws of light."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.composite import weights
from polyfield.renderers.volume import RenderOutput, composite, points, transmittance
from polyfield.scenes.rays import Rays

LN2 = math.log(2)


def intervals(counts: list[int], start: Tensor, length: Tensor) -> Intervals:
    offsets = torch.tensor([0, *counts]).cumsum(0)
    return Intervals(offsets, start, start + length)


@pytest.fixture(params=["numba", "triton", "reference"])
def backend(request: pytest.FixtureRequest):  # noqa: ANN201
    with dispatch.force(request.param):
        yield request.param


def test_three_samples_by_hand(backend: str) -> None:
    """Each takes half of what is left: weights 1/2, 1/4, 1/8."""
    found = intervals([3], torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 2.0, 0.5]))
    density = LN2 / found.length
    pixels = composite(torch.eye(3), density, found)
    assert pixels.color[0].tolist() == pytest.approx([0.5, 0.25, 0.125])
    assert float(pixels.opacity) == pytest.approx(0.875)
    # Middles 1.5, 3, 4.25.
    assert float(pixels.depth) == pytest.approx((0.75 + 0.75 + 4.25 / 8) / 0.875)
    assert transmittance(density, found).tolist() == pytest.approx([1, 0.5, 0.25])
    assert weights(density, found.length, found.offsets)[0].tolist() == pytest.approx(
        [0.5, 0.25, 0.125]
    )


def test_an_opaque_sample_is_all_there_is(backend: str) -> None:
    found = intervals([3], torch.tensor([1.0, 2.0, 3.0]), torch.ones(3))
    pixels = composite(torch.eye(3), torch.tensor([0.0, 1e6, 1.0]), found)
    assert pixels.color[0].tolist() == [0, 1, 0]
    assert float(pixels.opacity) == 1 and float(pixels.depth) == 2.5


def test_rays_without_samples_show_the_background(backend: str) -> None:
    found = intervals([0, 1, 0], torch.tensor([2.0]), torch.tensor([1.0]))
    pixels = composite(torch.ones(1, 3), torch.tensor([LN2]), found)
    assert pixels.opacity.tolist() == pytest.approx([0, 0.5, 0])
    assert pixels.depth.tolist() == pytest.approx([0, 2.5, 0])
    over = pixels.over(torch.tensor([0.0, 0.4, 1.0]))
    assert over.tolist() == [
        pytest.approx([0, 0.4, 1]),
        pytest.approx([0.5, 0.7, 1]),
        pytest.approx([0, 0.4, 1]),
    ]


def test_no_rays_and_no_samples(backend: str) -> None:
    none = torch.zeros(0)
    for counts, rays in (([], 0), ([0, 0], 2)):
        pixels = composite(torch.zeros(0, 3), none, intervals(counts, none, none))
        assert pixels.color.shape == (rays, 3) and pixels.opacity.tolist() == [0] * rays


VALUES = st.floats(0, 1, width=32)
SAMPLES = st.lists(
    st.tuples(st.floats(0, 50, width=32), st.floats(0.001953125, 2, width=32), VALUES),
    max_size=12,
)
RAYS = st.lists(SAMPLES, min_size=1, max_size=4)
LAW = settings(max_examples=60)


def _build(rays: list) -> tuple[Tensor, Tensor, Intervals]:  # type: ignore[type-arg]
    flat = [sample for ray in rays for sample in ray]
    density, length, value = (
        torch.tensor([s[i] for s in flat], dtype=torch.float32) for i in range(3)
    )
    start = torch.cat(
        [torch.tensor([s[1] for s in ray], dtype=torch.float32).cumsum(0) for ray in rays]
    )
    rgb = torch.stack([value, 1 - value, value * value], -1)
    return rgb, density, intervals([len(ray) for ray in rays], start - length, length)


ROUNDED_UP = [
    (1.0, 1.7212222814559937, 0.0), (1.736328125, 0.15900743007659912, 0.0),
    (21.25, 0.23433220386505127, 0.0), (1.0, 0.9375, 0.0), (5.0, 2.0, 0.0),
]  # fmt: skip
"""Samples whose weights, added up, are a hair more than 1."""


@LAW
@example([ROUNDED_UP])
@given(RAYS)
def test_opacity_is_the_sum_of_weights_and_at_most_one(rays: list) -> None:  # type: ignore[type-arg]
    rgb, density, found = _build(rays)
    pixels = composite(rgb, density, found)
    weight, light = weights(density, found.length, found.offsets)
    assert ((pixels.opacity >= 0) & (pixels.opacity <= 1)).all()
    assert ((light >= 0) & (light <= 1)).all() and (weight >= 0).all()
    total = torch.zeros(len(rays)).index_add(0, found.ray, weight)
    torch.testing.assert_close(pixels.opacity, total, rtol=0, atol=2e-6)
    # 1 - exp(-sum of thicknesses), whatever the samples.
    thickness = torch.zeros(len(rays)).index_add(0, found.ray, density * found.length)
    torch.testing.assert_close(pixels.opacity, -torch.expm1(-thickness), rtol=0, atol=2e-6)
    # White light stays white.
    white = composite(torch.ones_like(rgb), density, found)
    torch.testing.assert_close(
        white.color, pixels.opacity[:, None].expand(-1, 3), rtol=0, atol=2e-6
    )


@LAW
@given(RAYS, st.floats(0.125, 0.875, width=32))
def test_cutting_an_interval_in_two_changes_nothing(rays: list, cut: float) -> None:  # type: ignore[type-arg]
    rgb, density, found = _build(rays)
    halves = [
        [part for d, h, v in ray for part in ((d, h * cut, v), (d, h * (1 - cut), v))]
        for ray in rays
    ]
    rgb2, density2, found2 = _build(halves)
    one, two = composite(rgb, density, found), composite(rgb2, density2, found2)
    torch.testing.assert_close(one.color, two.color, rtol=0, atol=5e-6)
    torch.testing.assert_close(one.opacity, two.opacity, rtol=0, atol=5e-6)


@LAW
@given(RAYS, st.floats(0.0078125, 128, width=32))
def test_units_cancel(rays: list, unit: float) -> None:  # type: ignore[type-arg]
    rgb, density, found = _build(rays)
    scaled = Intervals(found.offsets, found.start * unit, found.end * unit)
    one = composite(rgb, density, found)
    two = composite(rgb, density / unit, scaled)
    # The length of a short interval far away is a difference of two ends.
    torch.testing.assert_close(one.color, two.color, rtol=0, atol=5e-4)
    torch.testing.assert_close(one.depth * unit, two.depth, rtol=5e-3, atol=1e-3 * unit)


@LAW
@given(RAYS)
def test_rays_do_not_see_each_other(rays: list) -> None:  # type: ignore[type-arg]
    together = composite(*_build(rays))
    for i, ray in enumerate(rays):
        alone = composite(*_build([ray]))
        assert torch.equal(together.color[i], alone.color[0])
        assert torch.equal(together.opacity[i], alone.opacity[0])


def test_points_lie_in_the_middles() -> None:
    rays = Rays(
        torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]),
        torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]]),
        torch.zeros(2),
        torch.ones(2),
        torch.zeros(2, dtype=torch.int64),
    )
    found = intervals([1, 2], torch.tensor([1.0, 0.0, 4.0]), torch.tensor([2.0, 1.0, 2.0]))
    x, directions = points(rays, found)
    torch.testing.assert_close(x, torch.tensor([[2.0, 0.0, 0.0], [1.0, 1.3, 1.4], [1.0, 4.0, 5.0]]))
    assert torch.equal(directions, rays.directions[[0, 1, 1]])


def test_keep_drops_samples_and_no_rays() -> None:
    found = intervals([2, 0, 3, 1], torch.arange(6.0), torch.ones(6))
    kept = found.keep(torch.tensor([False, False, True, False, True, False]))
    assert kept.offsets.tolist() == [0, 0, 0, 2, 2]
    assert kept.start.tolist() == [2, 4] and kept.end.tolist() == [3, 5]
    assert kept.ray.tolist() == [2, 2] and kept.n_rays == 4 and len(kept) == 2
    nothing = found.keep(torch.zeros(6, dtype=torch.bool))
    assert nothing.offsets.tolist() == [0] * 5 and len(nothing) == 0
    everything = found.keep(torch.ones(6, dtype=torch.bool))
    assert torch.equal(everything.offsets, found.offsets)


def test_pixels_take_a_background_of_their_own() -> None:
    pixels = RenderOutput(torch.full((2, 2, 3), 0.25), torch.full((2, 2), 0.5), torch.zeros(2, 2))
    assert torch.equal(pixels.over(torch.ones(3)), torch.full((2, 2, 3), 0.75))
    behind = torch.rand(2, 2, 3)
    torch.testing.assert_close(pixels.over(behind), 0.25 + 0.5 * behind)
    assert pixels.reshape(4).color.shape == (4, 3)


def test_a_density_of_0_after_a_ray_of_next_to_nothing_has_its_gradient():
    from polyfield.renderers.kernels.composite import weights

    density = torch.tensor([1.2e-38, 0.0, 1.0], requires_grad=True)
    weight, _ = weights(density, torch.ones(3), torch.tensor([0, 1, 3]))
    (slope,) = torch.autograd.grad(weight[2], density)
    torch.testing.assert_close(slope, torch.tensor([0.0, math.exp(-1) - 1, math.exp(-1)]))
