"""The bank of tiny perceptrons: kernel against reference, and both against separate networks."""

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.fields.kernels.bank import bank, group, layers, reference, size
from polyfield.fields.networks.octaves import octaves

WIDTHS, EXTRA, OCTAVES = [3 * 7 + 5, 32, 32, 4], 5, 3


def _inputs(counts: list[int]) -> tuple[list[Tensor], Tensor]:
    """x, extra and weights, and the offsets of networks with so many rows."""
    generator = torch.Generator().manual_seed(0)
    n = sum(counts)
    x = torch.rand(n, 3, generator=generator) * 2 - 1
    extra = torch.randn(n, EXTRA, generator=generator)
    weights = torch.randn(len(counts), size(WIDTHS), generator=generator) * 0.2
    offsets = torch.tensor([0, *counts]).cumsum(0)
    return [x, extra, weights], offsets


def _outcome(
    backend: str, inputs: list[Tensor], offsets: Tensor, widths: list[int] = WIDTHS
) -> list[Tensor]:
    leaves = [t.clone().requires_grad_() for t in inputs]
    with dispatch.force(backend):
        y = bank(*leaves, offsets, widths, OCTAVES)
    cotangent = torch.randn(y.shape, generator=torch.Generator().manual_seed(9))
    return [y, *torch.autograd.grad(y, leaves, cotangent)]


@pytest.mark.parametrize(
    "counts", [[5], [0, 1, 0, 200, 0], [3, 17, 64, 65, 1], [1, 0, 2] * 500, [0, 0]]
)
def test_parity(counts: list[int]) -> None:
    inputs, offsets = _inputs(counts)
    wanted, found = _outcome("reference", inputs, offsets), _outcome("numba", inputs, offsets)
    for name, one, two in zip(("y", "dx", "dextra", "dw"), found, wanted, strict=True):
        torch.testing.assert_close(
            one, two, rtol=1e-4, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )
    idle = torch.tensor(counts) == 0
    assert (found[3][idle] == 0).all()


@pytest.mark.parametrize("widths", [[26, 3], [26, 7, 1], [26, 33, 16, 16, 5]])
def test_parity_of_other_depths(widths: list[int]) -> None:
    (x, extra, _), offsets = _inputs([3, 0, 90])
    weights = torch.randn(3, size(widths), generator=torch.Generator().manual_seed(2)) * 0.3
    inputs = [x, extra, weights]
    wanted, found = (_outcome(name, inputs, offsets, widths) for name in ("reference", "numba"))
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_what_is_not_a_number_stays_in_its_network() -> None:
    """A bad row shows, and spoils nobody else's values or gradients."""
    inputs, offsets = _inputs([40, 30, 20])
    inputs[0][45] = torch.nan
    y, dx, _, dw = _outcome("numba", inputs, offsets)
    assert y[45].isnan().all() and dw[1].isnan().any()
    assert y[:40].isfinite().all() and dw[[0, 2]].isfinite().all() and dx[70:].isfinite().all()


def test_threads_do_not_change_the_numbers() -> None:
    inputs, offsets = _inputs([200, 3, 0, 77] * 9)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = _outcome("numba", inputs, offsets)
    finally:
        torch.set_num_threads(threads)
    for alone, shared in zip(one, _outcome("numba", inputs, offsets), strict=True):
        assert torch.equal(alone, shared)


def test_the_op_keeps_its_promises() -> None:
    (x, extra, weights), offsets = _inputs([4, 0, 9])
    leaves = [t.requires_grad_() for t in (x, extra, weights)]
    torch.library.opcheck(torch.ops.polyfield.bank.default, (*leaves, offsets, WIDTHS, OCTAVES))


def test_stacked_is_separate_and_takes_the_same_step_of_adam() -> None:
    """Every network alone, in torch's own layers, with torch's Adam."""
    counts = [4, 0, 9]
    (x, extra, weights), offsets = _inputs(counts)
    stacked = weights.clone().requires_grad_()
    y = bank(x, extra, stacked, offsets, WIDTHS, OCTAVES)
    y.square().sum().backward()
    torch.optim.Adam([stacked], 1e-3).step()
    for g, count in enumerate(counts):
        rows = slice(int(offsets[g]), int(offsets[g]) + count)
        own = [t.clone().requires_grad_() for pair in layers(weights[g], WIDTHS) for t in pair]
        h = torch.cat([extra[rows], octaves(x[rows], OCTAVES)], -1)
        for i in range(0, len(own), 2):
            h = h @ own[i] + own[i + 1]
            h = h.relu() if i + 2 < len(own) else h
        torch.testing.assert_close(y[rows], h, rtol=1e-4, atol=1e-5)
        if count:
            h.square().sum().backward()
            torch.optim.Adam(own, 1e-3).step()
        after = torch.cat([t.detach().flatten() for t in own])
        # Adam divides a gradient by its own size: where it is all rounding, the sign may differ.
        apart = (stacked[g].detach() - after).abs()
        assert float((apart < 1e-5).float().mean()) > 0.999


@pytest.mark.parametrize("fast", [True, False])
def test_rows_are_sorted_by_network_and_stay_in_order(fast: bool) -> None:
    network = torch.randint(50, (3000,), generator=torch.Generator().manual_seed(0))
    order, offsets = group(network, 60, fast)
    assert torch.equal(network[order], network.sort(stable=True).values)
    assert torch.equal(order, network.argsort(stable=True))
    assert offsets.tolist() == [int((network < g).sum()) for g in range(61)]


def test_gradient_of_the_reference() -> None:
    inputs, offsets = _inputs([2, 0, 3])
    leaves = [t.double().requires_grad_() for t in inputs]
    assert torch.autograd.gradcheck(
        lambda *given: reference(*given, offsets, WIDTHS, OCTAVES), leaves, fast_mode=True
    )


def test_octaves_by_hand() -> None:
    found = octaves(torch.tensor([[0.5, -1.0]]), 2)[0]
    p = torch.tensor([0.5, -1.0])
    wanted = [torch.stack([v, v.cos(), (2 * v).cos(), v.sin(), (2 * v).sin()]) for v in p]
    torch.testing.assert_close(found, torch.cat(wanted))
