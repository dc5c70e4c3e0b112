import math

import pytest
import torch

from polyfield.encodings.frequency import Frequency
from polyfield.encodings.identity import Identity
from polyfield.errors import InputError


def test_values_by_hand() -> None:
    """x = 0.75 is p = 0.5: sin and cos of pi/2, pi, 2 pi, one octave after the other."""
    found = Frequency(octaves=3).build(1)(torch.tensor([0.75]))
    assert found.tolist() == pytest.approx([0.5, 1, 0, 0, -1, 0, 1], abs=1e-6)


def test_axes_lie_side_by_side() -> None:
    x = torch.tensor([[0.6, 0.1]])
    found = Frequency(octaves=2, identity=False).build(2)(x)[0]
    p = (x * 2 - 1)[0]
    wanted = [f(2**k * math.pi * v) for k in (0, 1) for f in (math.sin, math.cos) for v in p]
    assert found.tolist() == pytest.approx(wanted, abs=1e-5)


def test_one_octave_at_least() -> None:
    with pytest.raises(InputError, match="octaves"):
        Frequency(0).build(3)


def test_identity_is_the_input() -> None:
    x = torch.rand(4, 3)
    encoding = Identity().build(3)
    assert encoding(x) is x and encoding.out_dim == 3
