import math

import numpy as np
import pytest
import torch
from torch import Tensor

from polyfield.encodings.kernels.spherical_harmonics import reference
from polyfield.encodings.spherical_harmonics import SphericalHarmonics
from polyfield.errors import InputError


def _sphere() -> tuple[Tensor, Tensor]:
    """Directions and weights of a quadrature that is exact up to degree 15."""
    height, weight = np.polynomial.legendre.leggauss(8)
    angle = np.arange(16) * (2 * math.pi / 16)
    z, phi = (a.reshape(-1) for a in np.meshgrid(height, angle, indexing="ij"))
    ring = np.sqrt(1 - z * z)
    d = np.stack([ring * np.cos(phi), ring * np.sin(phi), z], -1)
    return torch.from_numpy(d), torch.from_numpy(np.repeat(weight, 16) * (2 * math.pi / 16))


def test_orthonormal_on_the_sphere() -> None:
    d, weight = _sphere()
    values = reference(d, 4)
    gram = (weight[:, None] * values).T @ values
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-12)


def test_a_band_is_closed_under_rotation() -> None:
    """The sum of squares of band l is (2l + 1) / 4 pi in every direction (Unsoeld's theorem)."""
    d, _ = _sphere()
    values = reference(d, 4)
    for band in range(4):
        power = values[:, band**2 : (band + 1) ** 2].square().sum(-1)
        torch.testing.assert_close(
            power, torch.full_like(power, (2 * band + 1) / (4 * math.pi)), rtol=1e-12, atol=0
        )


def test_known_values() -> None:
    """In tiny-cuda-nn's order and signs."""
    along = reference(torch.eye(3, dtype=torch.float64), 4)
    assert along[:, 0].tolist() == pytest.approx([0.5 / math.sqrt(math.pi)] * 3)
    root = math.sqrt(3 / (4 * math.pi))
    # Band 1 is -y, z, -x.
    assert along[:, 1:4].tolist() == [
        pytest.approx([0, 0, -root]),
        pytest.approx([-root, 0, 0]),
        pytest.approx([0, root, 0]),
    ]
    assert along[2, 6].item() == pytest.approx(math.sqrt(5 / (4 * math.pi)))
    assert along[2, 12].item() == pytest.approx(math.sqrt(7 / (4 * math.pi)))
    diagonal = torch.tensor([[1.0, 1.0, 1.0]], dtype=torch.float64) / math.sqrt(3)
    assert reference(diagonal, 4)[0, 10].item() == pytest.approx(
        0.5 * math.sqrt(105 / math.pi) / 3**1.5
    )


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_the_encoding_takes_directions_from_the_unit_cube(degree: int) -> None:
    d, _ = _sphere()
    encoding = SphericalHarmonics(degree).build(3)
    found = encoding(((d + 1) / 2).float())
    torch.testing.assert_close(found, reference(d, degree).float(), rtol=0, atol=1e-5)


def test_what_cannot_be_built_is_named() -> None:
    with pytest.raises(InputError, match="3 coordinates"):
        SphericalHarmonics().build(2)
    with pytest.raises(InputError, match="degree between 1 and 4"):
        SphericalHarmonics(5).build(3)
