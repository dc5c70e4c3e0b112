"""Rows that are kept and come back."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from polyfield.renderers.memory import Memory

CPU = torch.device("cpu")


@given(st.integers(1, 20), st.lists(st.integers(0, 30), max_size=6))
def test_the_newest_rows_are_kept(capacity: int, batches: list[int]) -> None:
    memory, every = Memory(capacity, 2, CPU), torch.zeros(0, 2)
    for n in batches:
        rows = torch.arange(len(every), len(every) + n).float()[:, None].expand(n, 2)
        memory.store(rows)
        every = torch.cat([every, rows])
    assert len(memory) == min(capacity, len(every))
    kept = memory.rows[: len(memory)]
    wanted = every[len(every) - len(memory) :]
    assert torch.equal(kept[kept[:, 0].argsort()], wanted)
    drawn = memory.draw(7, torch.Generator().manual_seed(0))
    assert len(drawn) == (7 if len(memory) else 0)
    assert set(drawn[:, 0].tolist()) <= set(wanted[:, 0].tolist())


def test_its_state_goes_into_another() -> None:
    one, two = Memory(5, 1, CPU), Memory(5, 1, CPU)
    for n in (3, 4):
        one.store(torch.rand(n, 1))
    two.load_state(one.state())
    for memory in (one, two):
        memory.store(torch.full((2, 1), 7.0))
    assert torch.equal(one.rows, two.rows) and len(one) == len(two) == 5
    seeds = (torch.Generator().manual_seed(3) for _ in range(2))
    assert torch.equal(*(m.draw(9, g) for m, g in zip((one, two), seeds, strict=True)))
