"""Voxels by hand: density, harmonics, the sum of grids."""

import math
from collections.abc import Iterator

import pytest
import torch

from polyfield.backends import dispatch
from polyfield.encodings.domain import Box
from polyfield.errors import InputError
from polyfield.fields.voxels import SCALE, VoxelField, Voxels, clip

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    """The reference: kernels are compared with it elsewhere, and each would have to be compiled."""
    with dispatch.force("reference"):
        yield


def _field(config: Voxels) -> VoxelField:
    return config.build(Box(CUBE))


def test_start() -> None:
    """The same thin grey everywhere."""
    field = _field(Voxels(cells=8))
    sample = field(torch.rand(50, 3) * 2 - 1, torch.eye(3)[torch.arange(50) % 3])
    torch.testing.assert_close(sample.density, torch.full((50,), 0.1 / 2))
    assert (sample.rgb == 0.5).all()


def test_colour_by_hand() -> None:
    """Constant, z and x of the first two bands; beyond [0, 1] it is cut."""
    field = _field(Voxels(cells=2, levels=1, bands=2))
    with torch.no_grad():
        vertices = field.color_grids[0].view(-1, 3, 4)
        vertices[:, 0, 0] = 0.4
        vertices[:, 1, 2] = 0.3
        vertices[:, 2, 3] = 3.0
    directions = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    rgb = field(torch.rand(3, 3), directions).rgb
    red, one = 0.5 + 0.4 * 0.5 / math.sqrt(math.pi), math.sqrt(3 / (4 * math.pi))
    wanted = [[red, 0.5 + 0.3 * one, 0.5], [red, 0.5, 0.0], [red, 0.5, 1.0]]
    torch.testing.assert_close(rgb, torch.tensor(wanted), rtol=1e-5, atol=1e-6)


def test_density_is_trilinear_in_x_y_z() -> None:
    """One vertex of eight is 1: the density is the product of the coordinates."""
    field = _field(Voxels(cells=1, levels=1))
    with torch.no_grad():
        field.density_grids[0].zero_()
        field.density_grids[0].view(2, 2, 2)[1, 0, 1] = 1  # z, y, x
    v = torch.rand(40, 3)
    wanted = v[:, 0] * (1 - v[:, 1]) * v[:, 2] * SCALE / 2
    torch.testing.assert_close(field.density(v * 2 - 1), wanted, rtol=1e-4, atol=1e-4)
    log_density, feature = field.geometry(v * 2 - 1)
    torch.testing.assert_close(log_density.exp() / 2, wanted, rtol=1e-4, atol=1e-4)
    assert feature is None


def test_empty_space_has_a_finite_logarithm_and_can_fill_again() -> None:
    field = _field(Voxels(cells=4))
    with torch.no_grad():
        field.density_grids[0].fill_(-0.5)
    x = torch.rand(30, 3)
    log_density = field.geometry(x)[0]
    assert (log_density == math.log(1e-6)).all() and (field.density(x) == 0).all()
    more, less = (
        torch.autograd.grad(sign * field.density(x).sum(), field.density_grids[0])[0]
        for sign in (-1, 1)
    )
    assert more.min() < 0 and (less == 0).all()


def test_clip_keeps_the_gradient_that_leads_back() -> None:
    x = torch.tensor([-1.0, -1.0, 0.5, 2.0, 2.0], requires_grad=True)
    y = clip(x, 0, 1)
    assert y.tolist() == [0, 0, 0.5, 1, 1]
    (g,) = torch.autograd.grad(y, x, torch.tensor([1.0, -1.0, 3.0, 1.0, -1.0]))
    assert g.tolist() == [0, -1, 3, 1, 0]


def test_progress_reveals_grids_without_a_jump() -> None:
    """Finer grids start at 0; parameters keep their shapes; unseen grids get no gradient."""
    field = _field(Voxels(cells=8, levels=3, grown=0.5))
    shapes = {name: t.shape for name, t in field.state_dict().items()}
    with torch.no_grad():
        field.density_grids[0].uniform_(0, 1)
    x = torch.rand(60, 3) * 2 - 1
    found = []
    for t, active in ((0.0, 1), (0.24, 1), (0.25, 2), (0.49, 2), (0.5, 3), (1.0, 3)):
        field.set_progress(t)
        density = field.density(x)
        grads = torch.autograd.grad(density.sum(), list(field.density_grids), allow_unused=True)
        assert [g is not None for g in grads] == [True] * active + [False] * (3 - active)
        found.append(density.detach())
    assert all(torch.equal(one, found[0]) for one in found)
    assert {name: t.shape for name, t in field.state_dict().items()} == shapes


def test_the_sum_is_a_trilinear_grid_of_the_finest() -> None:
    """Coarse vertices are fine ones: values at fine vertices say all."""
    field = _field(Voxels(cells=4, levels=3))
    with torch.no_grad():
        for grid in field.density_grids:
            grid.uniform_(0, 1)
    axis = torch.linspace(-1, 1, 5)
    vertices = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    one = _field(Voxels(cells=4, levels=1))
    with torch.no_grad():
        values = field.density(vertices) * 2 / SCALE
        one.density_grids[0].copy_(values.permute(2, 1, 0).reshape(-1))
    x = torch.rand(100, 3) * 2 - 1
    torch.testing.assert_close(one.density(x), field.density(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (Voxels(bands=5), "bands"),
        (Voxels(cells=30), "levels"),
        (Voxels(cells=2), "cells"),
        (Voxels(levels=0), "levels"),
        (Voxels(density=0), "density"),
        (Voxels(grown=1), "grown"),
        (Voxels(cells=512), "at most"),
    ],
)
def test_impossible_numbers_are_named(config: Voxels, word: str) -> None:
    with pytest.raises(InputError, match=word):
        config.build(Box(CUBE))
