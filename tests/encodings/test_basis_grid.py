import math

import pytest
import torch

from polyfield.encodings.basis_grid import BasisGrid
from polyfield.errors import InputError

SMALL = BasisGrid((1, 2), (3, 5), (1.0, 2.5))


def test_sizes() -> None:
    """Those of the released configuration: 18 features; 10.16 million values in 3-D."""
    flat, solid = BasisGrid().build(2), BasisGrid().build(3)
    resolutions, channels = (32, 51, 70, 89, 108, 128), (4, 4, 4, 2, 2, 2)
    for dim, encoding in ((2, flat), (3, solid)):
        wanted = sum(c * r**dim for c, r in zip(channels, resolutions, strict=True))
        assert encoding.out_dim == 18
        assert sum(p.numel() for p in encoding.parameters()) == wanted
        assert len(encoding.tables()) == 6
    assert sum(p.numel() for p in solid.parameters()) == pytest.approx(10.16e6, rel=1e-3)
    spread = torch.cat([g.flatten() for g in solid.grids]).std().item()
    assert spread == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_by_hand(dim: int) -> None:
    """Tile, then interpolate between centred cells, the border's values beyond the last centre."""
    torch.manual_seed(0)
    encoding = SMALL.build(dim)
    x = torch.rand(40, dim)
    found = encoding(x)
    for point, features in zip(x, found, strict=True):
        at = 0
        for grid, r, f in zip(encoding.grids, (3, 5), (1.0, 2.5), strict=True):
            place = [(float(v) * f) % 1 * r - 0.5 for v in point]
            value = torch.zeros(len(grid))
            for corner in range(2**dim):
                weight, index = 1.0, []
                for axis, p in enumerate(place):
                    up = corner >> axis & 1
                    weight *= p - math.floor(p) if up else 1 - (p - math.floor(p))
                    index.append(min(max(math.floor(p) + up, 0), r - 1))
                # Axes of a grid are z, y, x.
                value += weight * grid.detach()[(slice(None), *reversed(index))]
            torch.testing.assert_close(
                features[at : at + len(grid)].detach(), value, rtol=1e-4, atol=1e-4
            )
            at += len(grid)


def test_tiles_repeat() -> None:
    torch.manual_seed(0)
    encoding = BasisGrid((3,), (7,), (4.0,)).build(2)
    x = torch.rand(20, 2) / 4
    torch.testing.assert_close(encoding(x + 0.25), encoding(x), rtol=1e-3, atol=1e-4)
    assert (encoding(x + 0.125) - encoding(x)).abs().max() > 0.1


@pytest.mark.parametrize(
    "config",
    [BasisGrid((1, 2)), BasisGrid((), (), ()), BasisGrid((0,), (4,), (1.0,))],
    ids=["levels", "none", "channels"],
)
def test_impossible_levels(config: BasisGrid) -> None:
    with pytest.raises(InputError):
        config.build(2)


def test_one_to_three_coordinates() -> None:
    with pytest.raises(InputError, match="1 to 3"):
        BasisGrid().build(4)
