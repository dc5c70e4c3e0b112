import os
from pathlib import Path

import pytest
import torch
from torch import nn

from polyfield import allocation
from polyfield.allocation import within_memory
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.sape import Sape
from polyfield.errors import InputError
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.networks.relu import Relu
from polyfield.fields.networks.siren import Siren


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "total_memory", lambda: 10**6)


@pytest.mark.parametrize(
    "build",
    [
        lambda: torch.empty(500, 1000),
        lambda: torch.zeros((500, 1000)),
        lambda: torch.full([500, 1000], 1.0),
        lambda: torch.ones(10**6, dtype=torch.float64),
        lambda: torch.arange(10**6),
        lambda: nn.Linear(1000, 500),
        lambda: [torch.rand(100, 1000) for _ in range(3)],
        lambda: HashGrid().build(3),
        lambda: Perceptron(2048, 2).build(3, 3),
        lambda: Relu(2048, 2).build(3, 3),
        lambda: Siren(2048, 2).build(3, 3),
        lambda: Sape().build(2),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_made(build: object) -> None:
    with pytest.raises(InputError) as caught, within_memory("the field"):
        build()  # type: ignore[operator]
    assert "the field to need at most" in str(caught.value)
    assert len(str(caught.value)) <= 300 and "\n" not in str(caught.value)


def test_nothing_that_large_is_made() -> None:
    with pytest.raises(InputError, match="GB"), within_memory("the table"):
        torch.randn(1 << 20, 1 << 20, 1 << 20)


def test_what_fits_is_made_with_the_same_numbers() -> None:
    torch.manual_seed(0)
    wanted = HashGrid(levels=2, log2_size=8).build(3).state_dict()
    torch.manual_seed(0)
    with within_memory("the field", copies=4):
        found = HashGrid(levels=2, log2_size=8).build(3).state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_copies_count() -> None:
    with within_memory("x"):
        torch.empty(200_000)
    with pytest.raises(InputError), within_memory("x", copies=4):
        torch.empty(200_000)


def test_the_limit_is_the_machines_or_the_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    none, some = tmp_path / "none", tmp_path / "some"
    none.write_text("max\n")
    some.write_text("1048576\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allocation, "_LIMITS", (none, tmp_path / "missing"))
        assert allocation.total_memory() == physical
        patch.setattr(allocation, "_LIMITS", (none, some))
        assert allocation.total_memory() == 1048576
