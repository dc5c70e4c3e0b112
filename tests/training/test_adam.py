import pytest
import torch
from torch import nn

from polyfield.training.adam import Adam
from polyfield.training.kernels.adam import AdamNumbers


def _gradients(step: int, n: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(step)) * 10.0 ** (step % 5 - 2)


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_fifty_steps_are_torchs(decay: float) -> None:
    n, rate = 1003, 0.02
    begin = torch.randn(n, generator=torch.Generator().manual_seed(99))
    ours, theirs = nn.Parameter(begin.clone()), nn.Parameter(begin.clone())
    mine = Adam({"network": [ours]}, skip=())
    other = torch.optim.AdamW([theirs], lr=rate, betas=(0.9, 0.99), eps=1e-12, weight_decay=decay)
    for step in range(50):
        ours.grad, theirs.grad = _gradients(step, n), _gradients(step, n)
        mine.step({"network": AdamNumbers(rate, 0.9, 0.99, 1e-12, decay)})
        other.step()
        assert ours.grad is None
    # Fifty moves of at most about the rate, each rounded a dozen times.
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert (ours - begin).abs().max() > 5 * rate


def test_the_first_step_is_the_rate() -> None:
    p = nn.Parameter(torch.zeros(3))
    p.grad = torch.tensor([1e-6, -3.0, 1e4])
    Adam({"network": [p]}, skip=()).step({"network": AdamNumbers(0.5)})
    assert p.tolist() == pytest.approx([-0.5, 0.5, -0.5])


def test_untouched_entries_keep_every_bit_and_touched_ones_their_own_count() -> None:
    """An entry touched at steps 3, 6, 9 ends as one that took three steps in a row."""
    table = nn.Parameter(torch.randn(64, generator=torch.Generator().manual_seed(1)))
    begin = table.detach().clone()
    optimizer = Adam({"table": [table]}, skip=("table",))
    rare = torch.zeros(64, dtype=torch.bool)
    rare[5:9] = True
    never = torch.zeros(64, dtype=torch.bool)
    never[[0, 17, 63]] = True
    for step in range(9):
        grad = _gradients(step, 64)
        grad[rare] *= step % 3 == 2
        grad[never] = 0
        before = {name: t.clone() for name, t in optimizer.state().items()}
        last = table.detach().clone()
        table.grad = grad
        optimizer.step({"table": AdamNumbers(0.1)})
        still = grad == 0
        assert torch.equal(table.detach()[still], last[still])
        for name, tensor in optimizer.state().items():
            assert torch.equal(tensor[still], before[name][still])
        assert not (table.detach()[~still] == last[~still]).any()
    assert torch.equal(table.detach()[never], begin[never])
    alone = nn.Parameter(begin[rare].clone())
    other = Adam({"network": [alone]}, skip=())
    for step in (2, 5, 8):
        alone.grad = _gradients(step, 64)[rare]
        other.step({"network": AdamNumbers(0.1)})
    torch.testing.assert_close(table.detach()[rare], alone.detach(), rtol=1e-6, atol=1e-7)


def test_state_moves_to_another_optimiser() -> None:
    def begin() -> tuple[nn.Parameter, Adam]:
        p = nn.Parameter(torch.ones(40))
        return p, Adam({"table": [p]}, skip=("table",))

    one, first = begin()
    two, second = begin()
    for step in range(6):
        one.grad = _gradients(step, 40)
        first.step({"table": AdamNumbers(0.1)})
        if step == 2:
            two.data.copy_(one.data)
            second.load_state({name: t.clone() for name, t in first.state().items()})
        if step > 2:
            two.grad = _gradients(step, 40)
            second.step({"table": AdamNumbers(0.1)})
    assert torch.equal(one, two)
    assert set(first.state()) == {"table.0.first", "table.0.second", "table.0.count"}


def test_parameters_without_a_gradient_stay() -> None:
    p = nn.Parameter(torch.ones(3))
    Adam({"network": [p]}, skip=()).step({"network": AdamNumbers(0.1)})
    assert p.tolist() == [1, 1, 1]
