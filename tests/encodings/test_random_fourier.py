"""Random Fourier features: values by hand, the two laws of their frequencies."""

import math

import pytest
import torch

from polyfield.encodings.random_fourier import RandomFourier
from polyfield.errors import InputError


def test_values_by_hand() -> None:
    """Gaussian: x itself, all sines then all cosines. Sorted: 2x - 1, side by side."""
    x = torch.tensor([0.25, 0.5])
    frequencies = torch.tensor([[1.0, 3.0], [0.5, 0.0]])
    plain = RandomFourier(count=2).build(2)
    plain.frequencies.copy_(frequencies)
    angles = [2 * math.pi * 0.5, 2 * math.pi * 0.75]
    wanted = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    assert plain(x).tolist() == pytest.approx(wanted, abs=1e-6)
    ordered = RandomFourier(count=2, law="sorted").build(2)
    ordered.frequencies.copy_(frequencies)
    angles = [2 * math.pi * -0.5, 2 * math.pi * -1.5]
    wanted = [f(a) for a in angles for f in (math.sin, math.cos)]
    assert ordered(x).tolist() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_laws(dim: int) -> None:
    """Gaussian: each entry has spread sigma. Sorted: the length has, in every d, and ascends."""
    torch.manual_seed(0)
    plain = RandomFourier(count=20_000, sigma=5.0).build(dim).frequencies
    assert plain.std().item() == pytest.approx(5, rel=0.02)
    ordered = RandomFourier(count=20_000, sigma=5.0, law="sorted").build(dim).frequencies
    length = ordered.norm(dim=0)
    assert (length.diff() >= -1e-4).all()
    assert length.square().mean().sqrt().item() == pytest.approx(5, rel=0.02)
    # A half-normal's median; a vector of normal entries is longer where dim > 1.
    assert length.median().item() == pytest.approx(5 * 0.6745, rel=0.03)
    direction = ordered / length
    torch.testing.assert_close(
        direction @ direction.T / 20_000, torch.eye(dim) / dim, rtol=0, atol=0.02
    )


def test_frequencies_are_saved_and_not_trained() -> None:
    encoding = RandomFourier(count=8).build(3)
    assert list(encoding.state_dict()) == ["frequencies"] and not list(encoding.parameters())


@pytest.mark.parametrize("config", [RandomFourier(count=0), RandomFourier(sigma=0.0)])
def test_what_cannot_be_built_is_named(config: RandomFourier) -> None:
    with pytest.raises(InputError, match="count|sigma"):
        config.build(2)
