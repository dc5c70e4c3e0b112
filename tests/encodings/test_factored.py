"""Planes, lines and their products against torch's grid_sample, loops and closed forms."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import grid_sample

from polyfield.backends import dispatch
from polyfield.encodings.factored import CP, FactoredEncoding, TriPlane, VectorMatrix
from polyfield.encodings.kernels.factored import Factors, factored
from polyfield.errors import InputError


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    """The reference: kernels are compared with it elsewhere, and each would have to be compiled."""
    with dispatch.force("reference"):
        yield


def _filled(encoding: FactoredEncoding, seed: int = 0) -> FactoredEncoding:
    """Values of size 1 that no symmetry hides."""
    with torch.no_grad():
        encoding.table.copy_(
            torch.randn(encoding.table.shape, generator=torch.Generator().manual_seed(seed))
        )
    return encoding


def _points(n: int, dim: int = 3) -> Tensor:
    return torch.rand(n, dim, generator=torch.Generator().manual_seed(3))


def _sampled(x: Tensor, grid: Tensor, align: bool) -> Tensor:
    """torch's grid_sample of a grid [R, ..., R, C] at x [n, k], its fastest axis first."""
    n, k = x.shape
    image = grid.movedim(-1, 0)[None]
    found = grid_sample(image, (x * 2 - 1).view(1, n, *[1] * (k - 1), k), align_corners=align)
    return found.reshape(grid.shape[-1], n).T


def test_planes_are_those_of_grid_sample() -> None:
    """XY, XZ, YZ; x is the last axis of a grid; zeros beyond the border, corners not aligned."""
    encoding = _filled(TriPlane(features=19, resolution=7, aggregate="concat").build(3))
    x = torch.cat([_points(200), torch.cartesian_prod(*[torch.tensor([0.0, 0.01, 1.0])] * 3)])
    for backend in ("numba", "reference"):
        with dispatch.force(backend):
            found = encoding(x).view(-1, 3, 19)
        for i, axes in enumerate([(0, 1), (0, 2), (1, 2)]):
            grid = encoding.grids()[i][0]
            wanted = _sampled(x[:, list(axes)], grid, align=False)
            torch.testing.assert_close(found[:, i], wanted, rtol=1e-4, atol=1e-5)


def test_voxels_are_those_of_grid_sample() -> None:
    factors = Factors((((0, 1, 2),),), 6, 4, True, False)
    table = torch.randn(sum(factors.sizes), generator=torch.Generator().manual_seed(0))
    x = _points(200)
    wanted = _sampled(x, factors.views(table)[0][0], align=True)
    torch.testing.assert_close(factored(x, table, factors), wanted, rtol=1e-4, atol=1e-5)


@given(st.lists(st.floats(-2, 2, width=32), min_size=4, max_size=4))
def test_planes_that_hold_linear_functions_give_a_linear_function(numbers: list[float]) -> None:
    """Vertex c of an axis lies at (c + 0.5) / R."""
    a, b, c, d = numbers
    r = 9
    encoding = TriPlane(features=1, resolution=r).build(3)
    at = (torch.arange(r) + 0.5) / r
    slow, fast = at[:, None, None], at[None, :, None]
    with torch.no_grad():
        # XY holds a x, XZ b z, YZ c y + d.
        for (grid,), values in zip(
            encoding.grids(), (a * fast, b * slow, c * fast + d), strict=True
        ):
            grid.copy_(values.expand(r, r, 1))
    x = _points(50) * (1 - 1 / r) + 0.5 / r
    wanted = a * x[:, 0] + b * x[:, 2] + c * x[:, 1] + d
    torch.testing.assert_close(encoding(x)[:, 0], wanted, rtol=1e-4, atol=1e-5)


def test_aggregates_of_the_same_planes() -> None:
    one = _filled(TriPlane(features=4, resolution=8, aggregate="concat").build(3))
    x = _points(30)
    planes = one(x).view(30, 3, 4)
    for aggregate, wanted in (
        ("sum", planes.sum(1)),
        ("mean", planes.mean(1)),
        ("product", planes.prod(1)),
    ):
        other = TriPlane(features=4, resolution=8, aggregate=aggregate).build(3)  # type: ignore[arg-type]
        other.load_state_dict(one.state_dict())
        torch.testing.assert_close(other(x), wanted, rtol=1e-4, atol=1e-5)


def test_the_released_layout_has_the_second_plane_twice() -> None:
    """XZ and ZX, no YZ: the value does not depend on y but through XY."""
    encoding = TriPlane(features=2, resolution=8, layout="xy-xz-zx").build(3)
    with torch.no_grad():
        xz = encoding.grids()[1][0].normal_()
        encoding.grids()[0][0].zero_()
        encoding.grids()[2][0].copy_(-xz.transpose(0, 1))
    assert encoding(_points(20)).abs().max() < 1e-6


def test_two_coordinates_are_one_plane() -> None:
    encoding = _filled(TriPlane(features=3, resolution=6).build(2))
    x = _points(40, 2)
    assert encoding.table.numel() == 3 * 36
    torch.testing.assert_close(
        encoding(x), _sampled(x, encoding.grids()[0][0], align=False), rtol=1e-4, atol=1e-5
    )


def _line(values: np.ndarray, x: float) -> np.ndarray:
    """Linear interpolation, vertices at c / (R - 1)."""
    position = x * (len(values) - 1)
    low = min(int(position), len(values) - 2)
    return values[low] * (1 - position + low) + values[low + 1] * (position - low)


@pytest.mark.parametrize("combine", ["sum", "concat"])
def test_vm_by_loops(combine: str) -> None:
    encoding = _filled(VectorMatrix(3, 5, combine).build(3))  # type: ignore[arg-type]
    assert encoding.table.numel() == 3 * 3 * (5 * 5 + 5)
    x = _points(20)
    grids = [[g.detach().numpy() for g in mode] for mode in encoding.grids()]
    for point, found in zip(x.tolist(), encoding(x).tolist(), strict=True):
        products = []
        for (fast, slow), across, (plane, line) in zip(
            [(0, 1), (0, 2), (1, 2)], [2, 1, 0], grids, strict=True
        ):
            row = np.stack([_line(plane[i], point[fast]) for i in range(5)])
            products.append(_line(row, point[slow]) * _line(line, point[across]))
        wanted = sum(products) if combine == "sum" else np.concatenate(products)
        assert found == pytest.approx(wanted.tolist(), abs=1e-5)  # type: ignore[union-attr]


@pytest.mark.parametrize("dim", [2, 3])
def test_cp_by_loops(dim: int) -> None:
    encoding = _filled(CP(4, 6).build(dim))
    x = _points(20, dim)
    lines = [line.detach().numpy() for line in encoding.grids()[0]]
    for point, found in zip(x.tolist(), encoding(x).tolist(), strict=True):
        wanted = math.prod(_line(line, v) for line, v in zip(lines, point, strict=True))
        assert found == pytest.approx(wanted.tolist(), abs=1e-5)  # type: ignore[union-attr]


def test_initial_values() -> None:
    torch.manual_seed(0)
    for config, std in (
        (TriPlane(resolution=64), 1e-3),
        (VectorMatrix(16, 64), 0.1),
        (CP(96, 300), 0.2),
    ):
        table = config.build(3).table.detach()
        assert table.std().item() == pytest.approx(std, rel=0.02) and abs(table.mean()) < std / 50
    table = TriPlane(aggregate="product").build(3).table
    assert 0.1 <= table.min() < 0.11 and 0.49 < table.max() <= 0.5


@pytest.mark.parametrize(
    "config", [TriPlane(aggregate="product"), VectorMatrix(resolution=16), CP(resolution=16)]
)
def test_products_start_with_a_gradient(config: TriPlane | VectorMatrix | CP) -> None:
    """Small values would multiply to none: 1e-3 squared is 1e-6."""
    torch.manual_seed(0)
    encoding = config.build(3)
    x = _points(500)
    (g,) = torch.autograd.grad(encoding(x).sum(), encoding.table)
    assert g[g != 0].abs().mean() > 5e-3


def test_released_sizes() -> None:
    """49,152 values of Cardace et al.; 17.3 M of TensoRF's VM-192 at 300^3."""
    assert TriPlane().build(3).table.numel() == 49_152
    with torch.device("meta"):
        vm = [VectorMatrix(c, 300).build(3).table.numel() for c in (16, 48)]
        cp = [CP(c, 500).build(3).table.numel() for c in (96, 288)]
    assert sum(vm) == 64 * 3 * (300**2 + 300) and sum(cp) == 576_000


@pytest.mark.parametrize(
    ("config", "dim", "word"),
    [
        (TriPlane(), 1, "2 or 3"),
        (VectorMatrix(), 2, "3 coordinates"),
        (CP(), 4, "2 or 3"),
        (CP(resolution=1), 3, "resolution"),
        (TriPlane(features=0), 3, "features between 1 and 256"),
        (TriPlane(resolution=10_000), 3, "at most"),
    ],
)
def test_impossible_grids_are_named(
    config: TriPlane | VectorMatrix | CP, dim: int, word: str
) -> None:
    with pytest.raises(InputError, match=word) as caught:
        config.build(dim)
    assert "\n" not in str(caught.value)


def test_axes_are_not_mixed_up() -> None:
    """A function of one coordinate is constant along the others, whatever the factor."""
    for axis, config in itertools.product(range(3), (VectorMatrix(1, 8), CP(1, 8))):
        encoding = config.build(3)
        with torch.no_grad():
            encoding.table.fill_(1)
            for mode, along in zip(encoding.grids(), encoding.factors.modes, strict=True):
                for grid, axes in zip(mode, along, strict=True):
                    if axis in axes:
                        shape = [1] * len(axes) + [1]
                        # The first axis is the fastest: the last but the channels.
                        shape[len(axes) - 1 - axes.index(axis)] = 8
                        grid.copy_(torch.linspace(0, 1, 8).view(shape).expand(grid.shape))
        x = _points(20)
        modes = len(encoding.factors.modes)
        torch.testing.assert_close(encoding(x)[:, 0], modes * x[:, axis], rtol=1e-4, atol=1e-5)
