import math
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.rbf import Rbf, RbfEncoding
from polyfield.errors import InputError

GRID = HashGrid(levels=1, features=1, log2_size=6, base_resolution=4, finest_resolution=4)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _made(dim: int = 2, n: int = 400, **changes: Any) -> RbfEncoding:
    """Placed on random points, with weights large enough to see."""
    torch.manual_seed(0)
    encoding = Rbf(**{"kernels": 20, "channels": 6, "grid": GRID, **changes}).build(dim)
    with torch.no_grad():
        encoding.weights.normal_()
        encoding.bias.zero_()
    encoding.init_from_points(torch.rand(n, dim, generator=_generator()), torch.ones(n))
    return encoding


def _by_hand(encoding: RbfEncoding, point: list[float]) -> list[float]:
    """Features of one point by the formulas, in Python."""
    config, centres = encoding.config, encoding.centres.tolist()
    order = sorted(range(len(centres)), key=lambda k: math.dist(point, centres[k]))
    phis = []
    for k in order[: config.neighbours]:
        offset = [a - b for a, b in zip(point, centres[k], strict=True)]
        form, at = 0.0, 0
        for i in range(len(point)):
            for j in range(i, len(point)):
                form += float(encoding.shapes[k, at]) * offset[i] * offset[j]
                at += 1
        phis.append(1 / (1 + form))
    if config.normalise:
        total = sum(phis)
        phis = [phi / (total + 1e-8) for phi in phis]
    features = []
    for channel in range(config.channels):
        value = 0.0
        for k, phi in zip(order, phis, strict=False):
            if config.waves is not None:
                low, high = config.waves
                step = (high - low) * channel / (config.channels - 1)
                phi = math.sin(phi * 2 ** (low + step))
            value += float(encoding.weights.detach()[k, channel]) * phi
        features.append(value)
    return features


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("waves", [(-3.0, 5.0), None])
def test_features(waves: tuple[float, float] | None, normalise: bool, dim: int) -> None:
    encoding = _made(dim, waves=waves, normalise=normalise, neighbours=3)
    x = torch.rand(12, dim, generator=_generator(1))
    expected = torch.tensor([_by_hand(encoding, point) for point in x.tolist()])
    torch.testing.assert_close(encoding(x)[:, :6], expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(encoding(x)[:, 6:], encoding.grid(x))


def test_half_as_strong_at_the_radius() -> None:
    """One kernel on an even disc of radius r: sigma = r / 2, phi = 0.5 at sigma / sqrt(alpha)."""
    radius, alpha = 0.2, 0.5
    x = torch.rand(60_000, 2, generator=_generator()) - 0.5
    x = x[x.norm(dim=-1) < radius] + 0.5
    encoding = Rbf(
        kernels=1, channels=1, neighbours=1, waves=None, normalise=False, alpha=alpha, grid=GRID
    ).build(2)
    with torch.no_grad():
        encoding.weights.fill_(1)
        encoding.bias.zero_()
    encoding.init_from_points(x, torch.ones(len(x)))
    torch.testing.assert_close(encoding.centres, torch.tensor([[0.5, 0.5]]), rtol=0, atol=5e-3)
    angle = torch.rand(50, generator=_generator()) * 7
    around = torch.stack([angle.cos(), angle.sin()], -1) * (radius / 2 / math.sqrt(alpha))
    values = encoding(encoding.centres + around)[:, 0]
    torch.testing.assert_close(values, torch.full((50,), 0.5), rtol=0.02, atol=0)
    torch.testing.assert_close(encoding(encoding.centres)[:, 0], torch.ones(1))


def test_before_placing_only_the_grid_speaks() -> None:
    torch.manual_seed(0)
    encoding = Rbf(kernels=50, grid=GRID).build(3)
    with torch.no_grad():
        encoding.bias.zero_()
    x = torch.rand(30, 3, generator=_generator())
    y = encoding(x)
    assert (y[:, :32] == 0).all() and torch.equal(y[:, 32:], encoding.grid(x))
    y.square().sum().backward()
    assert encoding.weights.grad is None or not encoding.weights.grad.any()
    assert encoding.grid.table.grad is not None and encoding.grid.table.grad.any()
    encoding.init_from_points(x, torch.ones(30))
    assert encoding(x)[:, :32].abs().min(0).values.max() > 0


def test_only_weights_grid_and_bias_train() -> None:
    encoding = _made()
    names = {name for name, _ in encoding.named_parameters()}
    assert names == {"weights", "bias", "grid.table"}
    assert {id(p) for p in encoding.tables()} == {id(encoding.weights), id(encoding.grid.table)}


@pytest.mark.parametrize("placed", [True, False])
def test_a_state_brings_the_kernels_and_whether_they_are_placed(placed: bool) -> None:
    one = _made() if placed else Rbf(kernels=20, channels=6, grid=GRID).build(2)
    # The other one is in the other state, and must come out of it.
    two = Rbf(kernels=20, channels=6, grid=GRID).build(2) if placed else _made()
    two.load_state_dict(one.state_dict())
    x = torch.rand(40, 2, generator=_generator(2))
    assert torch.equal(one(x), two(x))
    assert two.active == placed


@pytest.mark.parametrize(
    ("n", "weight"),
    [(0, 1.0), (1, 1.0), (3, 1.0), (30, 0.0), (30, 1e-30), (30, math.nan), (500, 1e30)],
)
@pytest.mark.parametrize("dim", [2, 3])
def test_any_points_and_weights_will_do(dim: int, n: int, weight: float) -> None:
    encoding = Rbf(kernels=100, grid=GRID).build(dim)
    encoding.init_from_points(torch.rand(n, dim, generator=_generator()), torch.full((n,), weight))
    assert encoding.centres.isfinite().all() and encoding.shapes.isfinite().all()
    assert ((encoding.centres >= 0) & (encoding.centres <= 1)).all()
    assert encoding(torch.rand(50, dim)).isfinite().all()


def test_points_at_one_place() -> None:
    encoding = Rbf(kernels=50, grid=GRID).build(2)
    encoding.init_from_points(torch.full((1000, 2), 0.25), torch.ones(1000))
    assert encoding.shapes.isfinite().all() and encoding(torch.rand(50, 2)).isfinite().all()


def test_placing_does_not_depend_on_other_random_numbers() -> None:
    one = _made()
    torch.manual_seed(5)
    torch.rand(17)
    two = _made()
    assert torch.equal(one.centres, two.centres) and torch.equal(one.shapes, two.shapes)
    assert not torch.equal(one.centres, _made(seed=1).centres)


def _fitted(picture: Tensor, x: Tensor, weight: Tensor) -> float:
    """Mean square error of a linear fit to the features of kernels placed by `weight`."""
    encoding = Rbf(kernels=60, channels=1, waves=None, grid=GRID).build(2)
    encoding.init_from_points(x, weight)
    columns = torch.zeros(len(x), 60)
    for k in range(60):
        with torch.no_grad():
            encoding.weights.zero_()
            encoding.weights[k] = 1
            columns[:, k] = encoding(x)[:, 0] - encoding.bias[0]
    columns = torch.cat([columns, torch.ones(len(x), 1)], -1).double()
    found = torch.linalg.lstsq(columns, picture.double()[:, None], driver="gelsd").solution
    return float((columns @ found - picture.double()[:, None]).square().mean())


def test_kernels_where_the_detail_is_beat_even_ones() -> None:
    """An image that is smooth but for one busy corner, at the same number of kernels."""
    axis = (torch.arange(48) + 0.5) / 48
    x = torch.cartesian_prod(axis, axis)
    busy = torch.exp(-((x - 0.25) / 0.15).square().sum(-1))
    picture = busy * (x[:, 0] * 30).sin() * (x[:, 1] * 25).cos()
    image = picture.view(48, 48)
    down, across = torch.gradient(image)
    detail = (down.square() + across.square()).sqrt().clamp(min=1e-6).flatten()
    assert _fitted(picture, x, detail) < 0.5 * _fitted(picture, x, torch.ones(len(x)))


@pytest.mark.parametrize(
    "changes",
    [{"kernels": 3}, {"neighbours": 0}, {"channels": 0}, {"alpha": 0.0}, {"rounds": -1}],
)
def test_bad_values_are_told(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Rbf(**changes).build(2)
    with pytest.raises(InputError, match="2 or 3 coordinates"):
        Rbf().build(4)
