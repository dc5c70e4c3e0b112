"""What every encoding must do: one parametrised test for each member of the union."""

import typing
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Box
from polyfield.errors import InputError, MissingBackend

CONFIGS = [c() for c in typing.get_args(EncodingConfig)]


def _cases() -> list[Any]:
    """Every config, in 1, 2 and 3 dimensions where it takes them."""
    found = []
    for config in CONFIGS:
        took = []
        for dim in (1, 2, 3):
            try:
                config.build(dim)
            except MissingBackend:
                pass  # Its tests are skipped with the reason when they run.
            except InputError:
                continue
            took.append(dim)
        assert took, f"{config} takes neither 1 nor 2 nor 3 dimensions"
        found += [pytest.param(config, d, id=f"{type(config).__name__}-{d}") for d in took]
    return found


pytestmark = pytest.mark.parametrize(("config", "dim"), _cases())


def _points(n: int, dim: int, seed: int = 0) -> Tensor:
    """Points well inside [0,1]^d, for which 2x - 1 has unit length (directions want that).

    On a line there are only two of them: there, any.
    """
    if dim == 1:
        return torch.rand(n, 1, generator=torch.Generator().manual_seed(seed)) * 0.98 + 0.01
    v = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.normalize(v, dim=-1) * 0.98 + 1) / 2


def _built(config: Any, dim: int) -> Encoding:
    """Built from seed 0, told where detail is and that training is over."""
    torch.manual_seed(0)
    encoding = config.build(dim)
    if encoding.takes_points:
        encoding.init_from_points(_points(2000, dim, 5), torch.ones(2000))
    encoding.set_progress(1.0)
    return encoding


def test_shape_and_dtype(config: Any, dim: int) -> None:
    encoding = _built(config, dim)
    assert (encoding.in_dim, encoding.training) == (dim, True)
    for batch in ((7,), (2, 3), (), (0,), (3, 0, 2)):
        x = _points(int(torch.tensor(batch).prod()) if batch else 1, dim).reshape(*batch, dim)
        y = encoding(x)
        assert y.shape == (*batch, encoding.out_dim)
        assert y.dtype == torch.float32 and y.isfinite().all()


def test_batch_dimensions_change_no_value(config: Any, dim: int) -> None:
    encoding, x = _built(config, dim), _points(12, dim)
    whole = encoding(x)
    torch.testing.assert_close(encoding(x.view(3, 4, dim)).reshape(12, -1), whole)
    torch.testing.assert_close(encoding(x[5]), whole[5])


def test_a_seed_says_all(config: Any, dim: int) -> None:
    one, two = _built(config, dim), _built(config, dim)
    x = _points(9, dim)
    assert torch.equal(one(x), two(x))


def test_a_state_says_all(config: Any, dim: int) -> None:
    one = _built(config, dim)
    torch.manual_seed(1)
    two = config.build(dim)
    two.load_state_dict(one.state_dict())
    x = _points(9, dim)
    torch.testing.assert_close(one(x), two(x), rtol=1e-5, atol=1e-6)


def test_tables_are_parameters(config: Any, dim: int) -> None:
    encoding = _built(config, dim)
    held = {id(p) for p in encoding.parameters()}
    assert all(id(p) in held for p in encoding.tables())


def test_gradient(config: Any, dim: int) -> None:
    """In float64, the derivative along a random direction against finite differences."""
    encoding = _built(config, dim).double()
    names = [n for n, p in encoding.named_parameters() if p.requires_grad]
    values = [dict(encoding.named_parameters())[n].detach().clone() for n in names]
    x = _points(20, dim).double()

    def of_parameters(*given: Tensor) -> Tensor:
        return torch.func.functional_call(encoding, dict(zip(names, given, strict=True)), (x,))

    if names:
        leaves = [v.requires_grad_() for v in values]
        assert torch.autograd.gradcheck(of_parameters, leaves, fast_mode=True, atol=1e-5)
    if encoding.exact_gradient == "both":
        assert torch.autograd.gradcheck(
            encoding, x.clone().requires_grad_(), fast_mode=True, atol=1e-4, rtol=1e-3
        )


def test_outside_is_the_border(config: Any, dim: int) -> None:
    encoding = _built(config, dim)
    box = Box(torch.tensor([[0.0] * dim, [1.0] * dim]))
    far = torch.tensor([[3.0] * dim, [-2.0] * dim, [0.4] * (dim - 1) + [7.0]])
    y = encoding(box(far))
    assert torch.equal(y, encoding(far.clamp(0, 1))) and y.isfinite().all()


def test_training_calls_are_taken(config: Any, dim: int) -> None:
    encoding, x = _built(config, dim), _points(30, dim)
    for t in (0.0, 0.5, 1.0):
        encoding.set_progress(t)
        assert encoding(x).isfinite().all()
        encoding.update_error(x, torch.rand(30))
