"""TensoRF's field by loops and by hand."""

import math
from collections.abc import Iterator

import pytest
import torch

from polyfield.backends import dispatch
from polyfield.encodings.domain import Box
from polyfield.encodings.factored import CP, FactorConfig, VectorMatrix
from polyfield.errors import InputError
from polyfield.fields.factored_radiance import FactoredRadiance, log_softplus, waves

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
VM = FactoredRadiance(VectorMatrix(2, 5), VectorMatrix(3, 5, "concat"), hidden=16)


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    """The reference: kernels are compared with it elsewhere, and each would have to be compiled."""
    with dispatch.force("reference"):
        yield


@pytest.mark.parametrize("density", [VectorMatrix(2, 5), CP(3, 5)])
def test_density_by_loops(density: FactorConfig) -> None:
    """softplus(sum of all components of all modes + shift), scaled, per box of edge 2."""
    field = FactoredRadiance(density, CP(2, 4), hidden=16, shift=-1.0).build(Box(CUBE))
    grids = field.density_factors.grids()  # type: ignore[operator]
    modes = field.density_factors.factors.modes
    # At vertices, so that no interpolation is needed: vertex c lies at c / (R - 1).
    for vertex in ((0, 0, 0), (1, 2, 3), (4, 0, 2)):
        total = 0.0
        for mode, along in zip(grids, modes, strict=True):
            for component in range(mode[0].shape[-1]):
                product = 1.0
                for grid, axes in zip(mode, along, strict=True):
                    place = tuple(vertex[axis] for axis in reversed(axes))
                    product *= grid[place][component].item()
                total += product
        wanted = 75 * math.log1p(math.exp(total - 1)) / 2
        x = torch.tensor([vertex]) / 4 * 2 - 1
        assert field.density(x).item() == pytest.approx(wanted, rel=1e-4)


def test_colour_by_hand() -> None:
    """27 features, view, sines and cosines of both, two hidden layers, sigmoid."""
    torch.manual_seed(0)
    field = VM.build(Box(CUBE))
    x = torch.rand(6, 3) * 2 - 1
    view = torch.nn.functional.normalize(torch.randn(6, 3), dim=-1)
    basis = field.basis.weights.view(27, 9)
    feature = field.color_factors(field.domain(x)) @ basis.T
    torch.testing.assert_close(field.geometry(x)[1], feature, rtol=1e-4, atol=1e-6)
    seen = torch.cat([feature, view, waves(feature, 2), waves(view, 2)], -1)
    assert seen.shape[-1] == 150 == field.network.in_dim
    h = seen
    for i, (matrix, bias) in enumerate(_layers(field.network.weights, [150, 16, 16, 3])):
        assert i < 2 or bias.abs().max() == 0
        h = h @ matrix.T + bias
        h = h.relu() if i < 2 else h.sigmoid()
    torch.testing.assert_close(field(x, view).rgb, h, rtol=1e-4, atol=1e-5)


def _layers(weights: torch.Tensor, widths: list[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    found, at = [], 0
    for i, o in zip(widths[:-1], widths[1:], strict=True):
        matrix = weights[at : at + i * o].view(o, i)
        found.append((matrix, weights[at + i * o : at + i * o + o]))
        at += i * o + o
    return found


def test_waves_have_no_pi() -> None:
    found = waves(torch.tensor([0.5, -1.0]), 2).tolist()
    angles = [0.5, 1.0, -1.0, -2.0]
    assert found == pytest.approx([f(a) for f in (math.sin, math.cos) for a in angles], abs=1e-6)
    assert waves(torch.zeros(4, 3), 0).shape == (4, 0)


def test_log_softplus_is_finite_everywhere() -> None:
    x = torch.tensor([-1e4, -100.0, -15.1, -14.9, -1.0, 0.0, 30.0, 1e4], requires_grad=True)
    y = log_softplus(x)
    wide = x.detach().double()
    wanted = torch.where(wide < -30, wide, torch.nn.functional.softplus(wide).log())
    torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-5)
    (g,) = torch.autograd.grad(y.sum(), x)
    assert g.isfinite().all() and g[0] == 1 and 0 < g[-1] < 1e-3


def test_space_starts_empty() -> None:
    torch.manual_seed(0)
    field = FactoredRadiance().build(Box(CUBE))
    assert field.density(torch.rand(500, 3) * 2 - 1).max() < 0.1


def test_impossible_numbers_are_named() -> None:
    with pytest.raises(InputError, match="scale above 0"):
        FactoredRadiance(scale=0).build(Box(CUBE))
    with pytest.raises(InputError, match="octaves between 0"):
        FactoredRadiance(octaves=-1).build(Box(CUBE))
