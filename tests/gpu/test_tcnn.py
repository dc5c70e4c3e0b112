"""tiny-cuda-nn itself against our grid and perceptron with its weights.

With POLYFIELD_GPU_OUT a small case of each is written to tcnn.safetensors in that folder:
parameters, inputs and tiny-cuda-nn's outputs. In tests/golden, tests/fields/test_tcnn.py reads it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from polyfield.backends import dispatch, optional
from polyfield.encodings.domain import Box
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.tcnn import TcnnHashGrid, from_tcnn, to_tcnn
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.networks import tcnn as networks
from polyfield.fields.networks.mlp import MLP

REASON = optional.why_not(optional.TINYCUDANN)
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(REASON is not None, reason=f"tiny-cuda-nn: {REASON}"),
]
GRIDS = [
    (2, (16, 2, 15, 16, 2048, "linear")),
    (3, (16, 2, 19, 16, 2048, "linear")),
    (3, (8, 4, 14, 16, 2048, "smoothstep")),
    (3, (1, 8, 19, 16, 16, "linear")),
]


def _close(found: Tensor, wanted: Tensor, share: float) -> None:
    """Off by at most a share of the largest number."""
    assert found.shape == wanted.shape and found.isfinite().all()
    assert (found - wanted).abs().max() <= share * wanted.abs().max()


def _grids(dim: int, choices: Any) -> tuple[Any, Any]:
    """tiny-cuda-nn's grid with halves in [-1, 1], and ours with the same."""
    torch.manual_seed(0)
    theirs, ours = TcnnHashGrid(*choices).build(dim), HashGrid(*choices).build(dim).cuda()
    with torch.no_grad():
        theirs.native.params.uniform_(-1, 1)
        theirs.native.params.copy_(theirs.native.params.half())
        ours.table.copy_(from_tcnn(theirs.native.params, ours.levels, ours.features))
    return theirs, ours


@pytest.mark.parametrize(("dim", "choices"), GRIDS)
def test_grid(dim: int, choices: Any) -> None:
    theirs, ours = _grids(dim, choices)
    x = torch.rand(5000, dim, device="cuda")
    with dispatch.force("reference"):
        _close(theirs(x), ours(x), 0.01)
        y = ours(x)
        cotangent = torch.randn_like(y)
        (wanted,) = torch.autograd.grad(y, ours.table, cotangent)
    (found,) = torch.autograd.grad(theirs(x), theirs.native.params, cotangent)
    _close(found.float(), wanted, 0.02)
    params = to_tcnn(ours.table, ours.levels, ours.features)
    assert torch.equal(params, theirs.native.params.detach())


@pytest.mark.parametrize("in_dim", [16, 32, 27])
@pytest.mark.parametrize(("hidden", "layers", "out_dim"), [(64, 1, 16), (64, 2, 3), (128, 3, 20)])
def test_perceptron(in_dim: int, hidden: int, layers: int, out_dim: int) -> None:
    torch.manual_seed(0)
    theirs = networks.TcnnPerceptron(hidden, layers).build(in_dim, out_dim)
    ours = MLP(theirs.widths).cuda()
    with torch.no_grad():
        params = theirs.native.params.half()
        theirs.native.params.copy_(params)
        ours.weights.copy_(networks.from_tcnn(params, ours.widths, padding="zeros"))
    x = torch.randn(3000, in_dim, device="cuda").half().float()
    with dispatch.force("reference"):
        y = ours(x)
        _close(theirs(x), y, 0.01)
        cotangent = torch.randn_like(y)
        (wanted,) = torch.autograd.grad(y, ours.weights, cotangent)
    (found,) = torch.autograd.grad(theirs(x), theirs.native.params, cotangent)
    _close(networks.from_tcnn(found, ours.widths, padding="zeros"), wanted, 0.02)


def _padded_by_itself() -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """A tinycudann.Network of 3 inputs: (params, x, y, widths)."""
    widths = [3, 16, 16, 5]
    choices = {
        "otype": "FullyFusedMLP",
        "activation": "ReLU",
        "output_activation": "None",
        "n_neurons": 16,
        "n_hidden_layers": 2,
    }
    native = optional.load(optional.TINYCUDANN).Network(3, 5, choices, seed=1)
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).half().float().cuda()
    return native.params.detach().half(), x, native(x).detach().float(), widths


def test_a_network_of_its_own_pads_with_ones() -> None:
    params, x, y, widths = _padded_by_itself()
    assert len(params) == networks.size(widths)
    ours = MLP(widths, bias=True).cuda()
    with torch.no_grad(), dispatch.force("reference"):
        ours.weights.copy_(networks.from_tcnn(params, widths, bias=True))
        _close(ours(x), y, 0.01)


def test_shapes_seed_and_state() -> None:
    for build, in_dim in (
        (lambda: TcnnHashGrid(levels=4, log2_size=10).build(3), 3),
        (lambda: networks.TcnnPerceptron().build(5, 3), 5),
    ):
        modules = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            modules.append(build().cuda())
        one, two, three = modules
        x = torch.rand(4, 3, in_dim, device="cuda")
        y = one(x)
        assert y.shape == (4, 3, one.out_dim) and y.dtype == torch.float32
        assert torch.equal(y, two(x)) and not torch.equal(y, three(x))
        assert one(x[:0]).shape == (0, 3, one.out_dim) and one(x[0, 0]).shape == (one.out_dim,)
        three.load_state_dict(one.state_dict())
        assert torch.equal(y, three(x))


def test_a_field_of_both_learns() -> None:
    torch.manual_seed(0)
    config = Coordinate(TcnnHashGrid(levels=8, log2_size=12), networks.TcnnPerceptron())
    field = config.build(Box(torch.tensor([[0.0, 0.0], [1.0, 1.0]])), 1).cuda()
    x = torch.rand(4096, 2, device="cuda")
    wanted = (x[:, :1] * 20).sin() * (x[:, 1:] * 15).cos()
    optimizer = torch.optim.Adam(field.parameters(), 1e-2)
    losses = []
    for _ in range(200):
        loss = (field(x) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 20


def test_record() -> None:
    out = os.environ.get("POLYFIELD_GPU_OUT")
    if not out:
        pytest.skip("POLYFIELD_GPU_OUT names no folder to record in")
    choices = (3, 2, 8, 4, 32, "linear")
    theirs, _ = _grids(3, choices)
    x = torch.rand(64, 3, generator=torch.Generator().manual_seed(0)).cuda()
    params, inputs, outputs, widths = _padded_by_itself()
    found = {
        "grid_params": theirs.native.params.detach().half(),
        "grid_x": x,
        "grid_y": theirs(x).detach(),
        "network_params": params,
        "network_x": inputs,
        "network_y": outputs,
    }
    about = {"grid": choices, "widths": widths, "device": torch.cuda.get_device_name()}
    save_file(
        {name: tensor.cpu().contiguous() for name, tensor in found.items()},
        Path(out) / "tcnn.safetensors",
        {"about": json.dumps(about)},
    )
