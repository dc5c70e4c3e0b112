"""tiny-cuda-nn's perceptron: its published layout read by hand, and the wrapper on a stand-in."""

import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor, nn

from polyfield.backends import optional
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.tcnn import from_tcnn as grid_from_tcnn
from polyfield.errors import InputError
from polyfield.fields.kernels import mlp as kernel
from polyfield.fields.networks.mlp import MLP
from polyfield.fields.networks.tcnn import TcnnPerceptron, from_tcnn, size, to_tcnn


def _up(n: int) -> int:
    return (n + 15) // 16 * 16


def _run_by_hand(
    params: np.ndarray, x: np.ndarray, widths: list[int], padding: float
) -> np.ndarray:
    """Outputs [n, out]: inputs padded, layer by layer, outputs cut."""
    sizes = [_up(widths[0]), *widths[1:-1], _up(widths[-1])]
    h = np.full((len(x), sizes[0]), padding)
    h[:, : widths[0]] = x
    begin = 0
    for layer in range(len(sizes) - 1):
        rows, columns = sizes[layer + 1], sizes[layer]
        new = np.zeros((len(x), rows))
        for row in range(rows):
            for column in range(columns):
                new[:, row] += float(params[begin + row * columns + column]) * h[:, column]
        begin += rows * columns
        h = new if layer == len(sizes) - 2 else np.maximum(new, 0)
    assert begin == len(params)
    return h[:, : widths[-1]]


CASES = [[3, 16, 5], [16, 16, 16], [32, 64, 64, 3], [20, 32, 32, 32, 17]]


def _vector(widths: list[int], dtype: type) -> np.ndarray:
    """Every value random, those that padding meets as well."""
    sizes = [_up(widths[0]), *widths[1:-1], _up(widths[-1])]
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=o * i) / np.sqrt(i) for i, o in zip(sizes, sizes[1:], strict=False)]
    return np.concatenate(parts).astype(dtype)


@pytest.mark.parametrize("widths", CASES)
@pytest.mark.parametrize("padding", ["ones", "zeros"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_an_imported_network_gives_what_the_published_layout_says(
    widths: list[int], padding: Any, dtype: type
) -> None:
    params = _vector(widths, dtype)
    assert size(widths) == len(params)
    x = np.random.default_rng(1).normal(size=(7, widths[0]))
    wanted = _run_by_hand(params, x, widths, 1.0 if padding == "ones" else 0.0)
    for bias in (True, False) if padding == "zeros" or widths[0] % 16 == 0 else (True,):
        network = MLP(widths, bias)
        with torch.no_grad():
            network.weights.copy_(from_tcnn(torch.from_numpy(params), widths, bias, padding))
        found = network(torch.from_numpy(x).float())
        torch.testing.assert_close(found, torch.from_numpy(wanted).float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("widths", CASES)
def test_an_exported_network_lies_as_published(widths: list[int]) -> None:
    torch.manual_seed(0)
    network = MLP(widths)
    params = to_tcnn(network.weights, widths).numpy()
    x = torch.randn(7, widths[0])
    for padding in (0.0, 1.0):
        found = torch.from_numpy(_run_by_hand(params, x.numpy(), widths, padding)).float()
        torch.testing.assert_close(found, network(x), rtol=1e-4, atol=1e-5)


WIDTHS = st.builds(
    lambda first, hidden, layers, last: [first, *[hidden] * layers, last],
    st.integers(1, 40),
    st.sampled_from([16, 32]),
    st.integers(1, 3),
    st.integers(1, 40),
)


@given(WIDTHS, st.integers(0, 2**31), st.sampled_from([torch.float16, torch.float32]))
def test_there_and_back_changes_nothing(widths: list[int], seed: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(kernel.size(widths, False), generator=generator).to(dtype).float()
    params = to_tcnn(weights, widths, dtype=dtype)
    assert params.dtype == dtype and len(params) == size(widths)
    assert torch.equal(from_tcnn(params, widths), weights)
    assert torch.equal(to_tcnn(from_tcnn(params, widths), widths, dtype=dtype), params)


@given(WIDTHS.filter(lambda widths: widths[0] % 16), st.integers(0, 2**31))
def test_a_bias_of_the_first_layer_goes_there_and_back(widths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    network = MLP(widths, bias=True)
    with torch.no_grad():
        stack = kernel.layers(network.weights, widths, True)
        assert stack[0][1] is not None
        stack[0][1].normal_()
    params = to_tcnn(network.weights, widths, bias=True)
    assert torch.equal(from_tcnn(params, widths, bias=True), network.weights.detach())
    with pytest.raises(InputError, match="with biases"):
        from_tcnn(params, widths)


@pytest.mark.parametrize(("widths", "layer"), [([3, 16, 2], 1), ([16, 16, 2], 0)])
def test_a_bias_without_a_place_is_told(widths: list[int], layer: int) -> None:
    weights = torch.zeros(kernel.size(widths, True))
    offset = kernel.layers(weights, widths, True)[layer][1]
    assert offset is not None
    offset[0] = 1
    with pytest.raises(InputError, match=f"some in layer {layer}"):
        to_tcnn(weights, widths, bias=True)


@pytest.mark.parametrize("shape", [(511,), (513,), (16 * 3 + 16 * 5,)])
def test_another_size_is_told(shape: tuple[int, ...]) -> None:
    """[3, 16, 5] is padded to [16, 16, 16]: 512 values."""
    with pytest.raises(InputError, match="512 values") as caught:
        from_tcnn(torch.zeros(shape), [3, 16, 5])
    assert "\n" not in str(caught.value) and str(list(shape)) in str(caught.value)
    with pytest.raises(InputError, match="128 values"):
        to_tcnn(torch.zeros(129), [3, 16, 5])


@pytest.mark.parametrize("widths", [[3, 5], [3, 20, 5], [3, 16, 32, 5], [3, 256, 5]])
def test_networks_that_cannot_be_fused_are_told(widths: list[int]) -> None:
    with pytest.raises(InputError, match="16, 32, 64 or 128"):
        from_tcnn(torch.zeros(1), widths)
    if len(set(widths[1:-1])) < 2:
        config = TcnnPerceptron(hidden=widths[1], layers=len(widths) - 2)
        with pytest.raises(InputError, match="16, 32, 64 or 128"):
            config.build(3, 5)


class _Native(nn.Module):
    """Stands in for tinycudann.Network: pads with ones, answers in fp16, takes rows alone."""

    def __init__(
        self,
        n_input_dims: int,
        n_output_dims: int,
        network_config: dict[str, Any],
        seed: int = 1337,
    ) -> None:
        super().__init__()
        c = network_config
        assert c["otype"] == "FullyFusedMLP"
        assert (c["activation"], c["output_activation"]) == ("ReLU", "None")
        hidden = [c["n_neurons"]] * c["n_hidden_layers"]
        self.sizes = [_up(n_input_dims), *hidden, _up(n_output_dims)]
        self.wanted = (n_input_dims, n_output_dims)
        generator = torch.Generator().manual_seed(seed)
        count = sum(o * i for i, o in zip(self.sizes, self.sizes[1:], strict=False))
        self.params = nn.Parameter(torch.randn(count, generator=generator) / 4)

    def forward(self, x: Tensor) -> Tensor:
        assert len(x) and x.shape[1] == self.wanted[0]
        h = nn.functional.pad(x, (0, self.sizes[0] - x.shape[1]), value=1.0)
        at = 0
        for i, o in zip(self.sizes, self.sizes[1:], strict=False):
            h = (h if at == 0 else h.relu()) @ self.params[at : at + o * i].view(o, i).T
            at += o * i
        return h[:, : self.wanted[1]].half()


@pytest.mark.parametrize("in_dim", [3, 16, 33])
def test_the_wrapper_is_our_perceptron_in_float32(
    in_dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = types.SimpleNamespace(Network=_Native)
    monkeypatch.setattr(optional, "load", lambda package: found)
    monkeypatch.setattr(optional, "on_cuda", lambda package, tensor: None)
    torch.manual_seed(0)
    theirs = TcnnPerceptron(hidden=32, layers=2).build(in_dim, 5)
    ours = MLP([in_dim, 32, 32, 5])
    assert (theirs.in_dim, theirs.out_dim) == (in_dim, 5) and theirs.widths == ours.widths
    with torch.no_grad():
        ours.weights.copy_(from_tcnn(theirs.native.params, ours.widths, padding="zeros"))
    x = torch.randn(4, 3, in_dim)
    y = theirs(x)
    assert y.dtype == torch.float32 and y.shape == (4, 3, 5)
    torch.testing.assert_close(y, ours(x), rtol=2e-3, atol=2e-3)
    assert theirs(x[:0]).shape == (0, 3, 5) and theirs(x[0, 0]).shape == (5,)
    torch.manual_seed(0)
    twin = TcnnPerceptron(hidden=32, layers=2).build(in_dim, 5)
    assert torch.equal(twin(x), y)


def test_what_tiny_cuda_nn_answered_on_a_gpu() -> None:
    """Recorded by tests/gpu/test_tcnn.py."""
    path = Path(__file__).parents[1] / "golden" / "tcnn.safetensors"
    if not path.is_file():
        pytest.skip(
            "not recorded yet: POLYFIELD_GPU_OUT=tests/golden pytest tests/gpu/test_tcnn.py"
        )
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["about"])
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    grid = HashGrid(*about["grid"]).build(found["grid_x"].shape[1])
    network = MLP(about["widths"], bias=True)
    with torch.no_grad():
        grid.table.copy_(grid_from_tcnn(found["grid_params"], grid.levels, grid.features))
        network.weights.copy_(from_tcnn(found["network_params"], network.widths, bias=True))
        for module, name in ((grid, "grid"), (network, "network")):
            wanted = found[f"{name}_y"]
            error = (module(found[f"{name}_x"]) - wanted).abs().max()
            assert error <= 0.01 * wanted.abs().max(), name
