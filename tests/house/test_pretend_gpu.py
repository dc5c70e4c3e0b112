"""The pretend device itself: it finds what a GPU would, and lets pass what a GPU does."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils import backend_registration


def _helper(name: str) -> Any:
    """A module of tests/, which is no package; loaded once."""
    if name not in sys.modules:
        path = Path(__file__).parent.parent / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


if not callable(getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)):
    pytest.skip("this PyTorch has no devices written in Python", allow_module_level=True)
pretend = _helper("pretend_gpu")
THERE = pretend.DEVICE

MISTAKES: list[Any] = [
    lambda x: x + torch.zeros(3),
    lambda x: torch.zeros(3) * x.sum(),
    lambda x: torch.cat([x, torch.zeros(1)]),
    lambda x: x[torch.tensor([0, 1])],
    lambda x: x.index_add(0, torch.tensor([0]), torch.ones(1)),
    lambda x: torch.rand(3, device=THERE),
    lambda x: x.normal_(),
    lambda x: x.numpy(),
    lambda x: torch.nn.Linear(3, 2)(x),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_pretend_device_finds(mistake: Any) -> None:
    with pytest.raises((RuntimeError, TypeError)):
        mistake(torch.ones(3, device=THERE))


def test_it_allows_what_a_gpu_does() -> None:
    x = torch.arange(6.0, device=THERE).view(2, 3)
    assert (x + torch.tensor(1.0)).device == THERE and x.T.contiguous().view(-1)[1].item() == 3
    y = torch.zeros(2, 3)
    y[:] = x
    assert y.tolist() == x.tolist() == x.cpu().numpy().tolist()
    layer = torch.nn.Linear(3, 2).to(THERE)
    layer(x).sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.device == THERE
    x[x > 3] = 0
    assert x.sum() == 6


def test_what_makes_the_host_wait() -> None:
    x = torch.arange(6.0, device=THERE)
    with pretend.counted() as waits:
        x[x > 3] = 0
        y = (x + 1).exp().sum()
    assert waits.total() == 0
    with pretend.counted() as waits:
        y.item()
        x.nonzero()
        x[x > 1]
        x.cpu()
        torch.zeros(6).copy_(x)
        x.tolist()
    assert waits.total() == 6
