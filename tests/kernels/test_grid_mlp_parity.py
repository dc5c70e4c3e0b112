"""A grid and a perceptron as one op, against the two ops."""

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.encodings.domain import domain
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.kernels import grid_mlp_numba
from polyfield.fields.kernels.grid_mlp import (
    _grid_mlp,
    _grid_mlp_backward,
    grid_mlp,
    reference,
)
from polyfield.fields.networks.mlp import MLP, Perceptron


def parts(dim: int, smooth: bool, bias: bool, out: int):  # type: ignore[no-untyped-def]
    torch.manual_seed(2)
    grid = HashGrid(levels=5, features=4, log2_size=9, base_resolution=4, finest_resolution=70)
    encoding = grid.build(dim)
    encoding.smooth = smooth
    network = MLP([encoding.out_dim, 24, 24, out], bias)
    with torch.no_grad():
        encoding.table.normal_()
        network.weights.normal_(std=0.2)
    return encoding, network


@pytest.mark.parametrize("n", [0, 1, 19, 900, 2100])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize(("smooth", "bias", "out"), [(False, False, 3), (True, True, 16)])
def test_values_and_gradients(n: int, dim: int, smooth: bool, bias: bool, out: int) -> None:
    """float32 sums of some hundred terms, in another order."""
    encoding, network = parts(dim, smooth, bias, out)
    x = torch.rand(n, dim, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.1
    along = torch.randn(n, out, generator=torch.Generator().manual_seed(3))

    def outcome(op) -> list[Tensor]:  # type: ignore[no-untyped-def]
        y = op(x, encoding.grid_table(), network.perceptron())
        return [y, *torch.autograd.grad(y, [encoding.table, network.weights], along)]

    for ours, theirs in zip(outcome(grid_mlp), outcome(reference), strict=True):
        scale = float(theirs.detach().abs().max()) if theirs.numel() else 1.0
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-5 * scale)


@pytest.mark.parametrize("n", [0, 30])
@pytest.mark.parametrize("frozen", ["table", "weights"])
def test_what_is_frozen_has_no_gradient(
    frozen: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a frozen table's is not even computed; the other's is the same."""
    encoding, network = parts(2, False, False, 3)
    x = torch.rand(n, 2)
    learned = {"table": encoding.table, "weights": network.weights}
    y = grid_mlp(x, encoding.grid_table(), network.perceptron())
    every = dict(zip(learned, torch.autograd.grad(y.sum(), list(learned.values())), strict=True))
    if frozen == "table":
        monkeypatch.setattr(grid_mlp_numba, "backward_table", None)
    learned[frozen].requires_grad_(False)
    grid_mlp(x, encoding.grid_table(), network.perceptron()).sum().backward()
    for name, parameter in learned.items():
        if name == frozen:
            assert parameter.grad is None
        else:
            assert parameter.grad is not None and torch.equal(parameter.grad, every[name])


def test_points_have_gradients() -> None:
    encoding, network = parts(2, False, False, 3)
    x = torch.rand(30, 2, requires_grad=True)
    y = grid_mlp(x, encoding.grid_table(), network.perceptron())
    assert bool((torch.autograd.grad(y.sum(), x)[0] != 0).any())


@pytest.mark.parametrize("need_table", [True, False])
def test_torch_sees_one_op(need_table: bool) -> None:
    encoding, network = parts(3, False, True, 4)
    levels, x = encoding.levels, torch.rand(40, 3)
    shape = (list(levels.scales), list(levels.resolutions), list(levels.sizes), 4, False)
    learned = encoding.table.detach(), network.weights.detach()
    torch.library.opcheck(_grid_mlp, (x, *learned, *shape, network.widths, True))
    encoded = encoding(x).detach()
    given = (torch.rand(40, 4), x, *learned, encoded, *shape, network.widths, True, need_table)
    torch.library.opcheck(_grid_mlp_backward, given)
    assert bool(_grid_mlp_backward(*given)[0].numel()) == need_table


def test_a_field_is_the_same_in_any_backend() -> None:
    torch.manual_seed(0)
    grid = HashGrid(levels=4, log2_size=10, base_resolution=8, finest_resolution=60)
    box = domain(torch.tensor([[0.0, 0.0], [30.0, 20.0]]), False)
    field = Coordinate(grid, Perceptron(hidden=16), output="sigmoid").build(box, 3)
    x = torch.rand(5, 40, 2) * torch.tensor([30.0, 20.0])
    found = field(x)
    assert found.shape == (5, 40, 3)
    with torch.no_grad():
        torch.testing.assert_close(field(x), found.detach(), rtol=1e-5, atol=1e-6)
    with dispatch.force("reference"):
        torch.testing.assert_close(field(x), found, rtol=1e-4, atol=1e-5)
