"""The nearest centres against every distance, to the bit: also ties, faces and far queries."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.encodings.kernels.nearest import nearest, reference


def _by_hand(x: Tensor, centres: Tensor, k: int) -> Tensor:
    """Sort all (distance, index)."""
    rows = []
    for point in x.tolist():
        keys = []
        for i, centre in enumerate(centres.tolist()):
            steps = torch.tensor(point) - torch.tensor(centre)
            distance = torch.tensor(0.0)
            for step in steps:
                distance = distance + step * step
            keys.append((float(distance), i))
        rows.append([i for _, i in sorted(keys)[:k]])
    return torch.tensor(rows).reshape(len(x), k)


def _both(x: Tensor, centres: Tensor, k: int) -> Tensor:
    with dispatch.force("numba"):
        found = nearest(x, centres, k)
    assert torch.equal(found, reference(x, centres, k))
    return found


@given(
    st.sampled_from([2, 3]),
    st.integers(1, 60),
    st.sampled_from([1, 3, 4]),
    st.sampled_from([1, 4, 1000]),
    st.integers(0, 2**20),
)
def test_it_is_every_distance_sorted(dim: int, m: int, k: int, steps: int, seed: int) -> None:
    """Few steps put centres and queries on the same lattice: ties and coincident centres."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randint(steps + 1, (m, dim), generator=generator) / steps
    x = torch.randint(-steps, 2 * steps + 1, (5, dim), generator=generator) / steps
    k = min(k, m)
    assert torch.equal(_both(x, centres, k), _by_hand(x, centres, k))


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("k", [1, 4, 8])
@pytest.mark.parametrize("layout", ["even", "clustered", "flat", "one", "tiny", "far apart"])
def test_many_centres(layout: str, k: int, dim: int) -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(3000, dim, generator=generator)
    if layout == "clustered":
        centres = centres**5
    elif layout == "flat":
        centres[:, 1] = 0.25
    elif layout == "one":
        centres = torch.full_like(centres, 0.3)
    elif layout == "tiny":
        centres = 0.5 + centres * 1e-6
    elif layout == "far apart":
        centres[::2] *= 1e-4
    x = torch.rand(900, dim, generator=generator) * 1.5 - 0.25
    _both(torch.cat([x, centres[:50], torch.tensor([[1e4] * dim, [-1e4] * dim])]), centres, k)


def test_queries_that_are_no_numbers_get_valid_indices() -> None:
    centres = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([[math.nan, 0.5], [math.inf, 0.5], [0.5, -math.inf], [0.5, 0.5]])
    for backend in ("numba", "reference"):
        with dispatch.force(backend):
            found = nearest(x, centres, 4)
        assert ((found >= 0) & (found < 100)).all()
        assert torch.equal(found[3], nearest(x[3:], centres, 4)[0])


def test_no_queries() -> None:
    for backend in ("numba", "reference"):
        with dispatch.force(backend):
            assert nearest(torch.empty(0, 3), torch.rand(5, 3), 2).shape == (0, 2)


def test_the_number_of_threads_changes_nothing() -> None:
    centres = torch.rand(500, 3, generator=torch.Generator().manual_seed(0))
    x = torch.rand(5000, 3, generator=torch.Generator().manual_seed(1))
    before, found = torch.get_num_threads(), []
    for count in (1, 3):
        torch.set_num_threads(count)
        with dispatch.force("numba"):
            found.append(nearest(x, centres, 5))
    torch.set_num_threads(before)
    assert torch.equal(*found)
