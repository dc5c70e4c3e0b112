"""Every fast kernel against its reference: values and gradients, same inputs, same cotangent.

float32 has a unit roundoff of 6e-8. Where both sides round the same few operations in another
order, they differ by a small multiple of it times the sum of magnitudes; each tolerance below says
which multiple. Where all numbers are small integers every order is exact, and the two must agree to
the bit.
"""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.encodings.domain import domain
from polyfield.encodings.kernels import hash_grid_numba
from polyfield.encodings.kernels.hash_grid import Levels, _hash_grid, _hash_grid_backward, hash_grid
from polyfield.encodings.kernels.hash_grid import reference as hash_grid_reference
from polyfield.encodings.kernels.spherical_harmonics import (
    _spherical_harmonics,
    spherical_harmonics,
)
from polyfield.encodings.kernels.spherical_harmonics import reference as harmonics_reference
from polyfield.fields.kernels.mlp import _mlp, _mlp_backward, mlp, size
from polyfield.fields.kernels.mlp import reference as mlp_reference
from polyfield.renderers.kernels.composite import _composite, _composite_backward, composite
from polyfield.renderers.kernels.composite import reference as composite_reference
from polyfield.renderers.kernels.march import Lattice, clearance, entry, march
from polyfield.training.kernels.adam import AdamNumbers, adam

ROUNDOFF = 2.0**-24
GEOMETRIES = {
    # Dense and hashed levels, resolutions that are not whole multiples.
    1: Levels.make(1, 5, 8, 2.1, 6),
    2: Levels.make(2, 5, 8, 1.7, 9),
    3: Levels.make(3, 5, 4, 1.6, 10),
    4: Levels.make(4, 3, 3, 1.5, 9),
}
Op = Callable[..., Tensor | tuple[Tensor, ...]]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def outcome(backend: str, op: Op, *inputs: Tensor) -> list[Tensor]:
    """Outputs, and gradients in all inputs for a cotangent that depends on their shapes alone."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    with dispatch.force(backend):
        outputs = op(*leaves)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    cotangents = [torch.randn(o.shape, generator=seeded(99), dtype=o.dtype) for o in outputs]
    return [*outputs, *torch.autograd.grad(outputs, leaves, cotangents)]


def points(n: int, levels: Levels, seed: int = 0) -> Tensor:
    """n points, none nearer than 1e-3 cells to a border.

    The gradient in x jumps at borders, and the two backends round a position differently.
    """
    x = torch.rand(4 * n + 64, levels.dim, generator=seeded(seed))
    position = x[..., None].double() * torch.tensor(levels.scales, dtype=torch.float64) + 0.5
    far = ((position - position.round()).abs() > 1e-3).flatten(1).all(1)
    assert int(far.sum()) >= n
    return x[far][:n].contiguous()


# Hash grid.


@pytest.mark.parametrize("n", [0, 1, 17, 2500])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("smooth", [False, True])
def test_hash_grid(n: int, dim: int, smooth: bool) -> None:
    levels, features = GEOMETRIES[dim], 2
    x = points(n, levels)
    table = torch.rand(levels.entries * features, generator=seeded(1)) * 2 - 1
    inputs = (x, table)
    fast = outcome("numba", lambda x, t: hash_grid(x, t, levels, features, smooth), *inputs)
    slow = outcome("reference", lambda x, t: hash_grid(x, t, levels, features, smooth), *inputs)
    # A position is off by a few roundoffs of the resolution, an entry's weight by as much; entries
    # and cotangents are of size 1 to 4. The gradient in x is larger by the resolution, that of an
    # entry is a sum over the points that touch it, at most n.
    finest = max(levels.resolutions)
    near = 16 * dim * finest * ROUNDOFF
    torch.testing.assert_close(fast[0], slow[0], rtol=0, atol=near)
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-5, atol=20 * finest * near)
    torch.testing.assert_close(fast[2], slow[2], rtol=1e-5, atol=near * (4 + math.sqrt(n)))


# Each pair is a kernel of its own to compile.
@pytest.mark.parametrize(
    ("dim", "features"), [(1, 1), (1, 4), (1, 8), (2, 1), (2, 8), (3, 4), (3, 8), (4, 1)]
)
def test_hash_grid_features(dim: int, features: int) -> None:
    levels = GEOMETRIES[dim]
    x = points(333, levels)
    table = torch.rand(levels.entries * features, generator=seeded(1)) * 2 - 1
    fast = outcome("numba", lambda x, t: hash_grid(x, t, levels, features), x, table)
    slow = outcome("reference", lambda x, t: hash_grid(x, t, levels, features), x, table)
    for one, two in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=5e-4)


@pytest.mark.parametrize("needed", ["x", "table"])
def test_hash_grid_with_one_gradient_only(needed: str) -> None:
    levels = GEOMETRIES[3]
    x, table = points(100, levels), torch.rand(levels.entries * 2, generator=seeded(1))
    leaf = (x if needed == "x" else table).requires_grad_()
    found = []
    for backend in ("numba", "reference"):
        with dispatch.force(backend):
            y = hash_grid(x, table, levels, 2)
        found += torch.autograd.grad(y.square().sum(), leaf)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-3)


def test_hash_grid_outside_and_not_finite() -> None:
    levels = GEOMETRIES[3]
    table = torch.rand(levels.entries * 2, generator=seeded(1))
    x = torch.tensor([[-0.5, 0.3, 0.2], [0.4, 1.5, 0.0], [math.nan, 0.5, 0.5], [1e30, -1e30, 0.51]])
    inside = x.clamp(0, 1)
    for backend in ("numba", "reference"):
        leaf = x.clone().requires_grad_()
        with dispatch.force(backend):
            y = hash_grid(leaf, table, levels, 2)
            clamped = hash_grid(inside, table, levels, 2)
        assert torch.equal(y[[0, 1, 3]], clamped[[0, 1, 3]])
        assert y[2].isnan().all() and not y[[0, 1, 3]].isnan().any()
        (gradient,) = torch.autograd.grad(y[[0, 1, 3]].sum(), leaf)
        assert torch.equal(gradient[[0, 1, 3]] == 0, (x < 0)[[0, 1, 3]] | (x > 1)[[0, 1, 3]])


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_hash_grid_on_the_faces_and_of_one_cell(dim: int) -> None:
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * dim).view(-1, dim)
    for base, growth, count in ((1, 1.0, 1), (1, 2.0, 4), (2, 1.0, 2), (3, 1.3, 3)):
        levels = Levels.make(dim, count, base, growth, 6)
        table = torch.rand(levels.entries * 2, generator=seeded(1))
        with dispatch.force("numba"):
            fast = hash_grid(corners, table, levels, 2)
        torch.testing.assert_close(
            fast, hash_grid_reference(corners, table, levels, 2), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("order", ["sorted", "mixed", "backwards"])
def test_a_line_adds_up_exactly_in_any_order(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """Positions of 10 bits and whole cotangents: sums have no rounding, whatever was kept where.

    The second level is hashed, the third has as many entries as cells: its last vertex is its
    first. The fourth is of two entries, of which each cell has both.
    """
    sizes = (16, 32, 64, 2, 1)
    levels = Levels(1, (8.0, 64.0, 63.0, 3.0, 3.0), (9, 65, 64, 4, 4), sizes)
    x = torch.arange(1025.0) / 1024
    x = torch.cat([x, x[torch.randint(1025, (500,), generator=seeded())]])
    x = x[torch.randperm(len(x), generator=seeded(1))] if order == "mixed" else x.sort().values
    x = (x.flip(0) if order == "backwards" else x)[:, None].contiguous()
    grad = torch.randint(-8, 9, (len(x), 10), generator=seeded(2)).float()
    table = torch.zeros(levels.entries * 2, requires_grad=True)
    (wanted,) = torch.autograd.grad(hash_grid_reference(x, table, levels, 2), table, grad)
    for threads in (1, 2, 11, 40):
        monkeypatch.setattr(dispatch, "threads", lambda n=threads: n)
        found = hash_grid_numba.backward_table(grad, x, table.detach(), levels, 2, False)
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("shards_of", [2, 5, 11, 64])
def test_hash_grid_levels_in_shards(
    monkeypatch: pytest.MonkeyPatch, shards_of: int, dim: int
) -> None:
    """More threads than levels cut each level's entries into ranges; not a bit may change."""
    levels = Levels.make(dim, 2, 4, 2.0, 8) if dim == 3 else Levels.make(1, 2, 90, 4.0, 8)
    x = torch.rand(3000, dim, generator=seeded(0))
    table = torch.zeros(levels.entries * 2)
    grad = torch.randn(3000, 4, generator=seeded(1))
    monkeypatch.setattr(dispatch, "threads", lambda: 1)
    whole = hash_grid_numba.backward_table(grad, x, table, levels, 2, False)
    monkeypatch.setattr(dispatch, "threads", lambda: shards_of)
    assert torch.equal(hash_grid_numba.backward_table(grad, x, table, levels, 2, False), whole)
    assert whole.abs().sum() > 0


# Spherical harmonics.


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [0, 1, 4097])
def test_spherical_harmonics(n: int, degree: int) -> None:
    d = torch.nn.functional.normalize(torch.randn(n, 3, generator=seeded()), dim=-1)
    with dispatch.force("numba"):
        fast = spherical_harmonics(d, degree)
    # Cubics of numbers below 1: a few roundoffs.
    torch.testing.assert_close(fast, harmonics_reference(d, degree), rtol=0, atol=20 * ROUNDOFF)


# MLP.

NETWORKS = [
    ([3, 1], False),
    ([1, 1, 1], True),
    ([5, 7, 2], True),
    ([32, 64, 64, 3], False),
    ([32, 64, 64, 3], True),
    ([33, 20, 40, 18, 16], True),
    ([48, 96, 17], False),
]


def _whole(shape: tuple[int, ...], seed: int) -> Tensor:
    """Whole numbers -1, 0, 1."""
    return torch.randint(-1, 2, shape, generator=seeded(seed)).float()


@pytest.mark.parametrize(("widths", "bias"), NETWORKS)
@pytest.mark.parametrize("n", [0, 1, 191, 193, 1000])
def test_mlp_is_exact_on_whole_numbers(
    monkeypatch: pytest.MonkeyPatch, n: int, widths: list[int], bias: bool
) -> None:
    """Sums stay far below 2^24, so not a bit may differ, whatever the order.

    Pre-activations of 0 are common, so that the gradient at the kink is compared too.
    """
    x, weights = _whole((n, widths[0]), 0), _whole((size(widths, bias),), 1)
    monkeypatch.setattr(
        torch, "randn", lambda shape, generator, dtype: _whole(tuple(shape), 2).to(dtype)
    )
    fast = outcome("numba", lambda x, w: mlp(x, w, widths, bias), x, weights)
    slow = outcome("reference", lambda x, w: mlp(x, w, widths, bias), x, weights)
    for one, two in zip(fast, slow, strict=True):
        assert two.abs().max() < 2**24 if two.numel() else True
        assert torch.equal(one, two)


@pytest.mark.parametrize(("widths", "bias"), NETWORKS)
def test_mlp(widths: list[int], bias: bool) -> None:
    x = torch.randn(257, widths[0], generator=seeded(0))
    weights = torch.randn(size(widths, bias), generator=seeded(1)) / math.sqrt(max(widths))
    fast = outcome("numba", lambda x, w: mlp(x, w, widths, bias), x, weights)
    slow = outcome("reference", lambda x, w: mlp(x, w, widths, bias), x, weights)
    # Sums of at most 257 products a layer, a few layers deep, of numbers of size 1 to 100.
    for one, two in zip(fast, slow, strict=True):
        atol = 100 * ROUNDOFF * max(1.0, float(two.detach().abs().max()))
        torch.testing.assert_close(one, two, rtol=1e-4, atol=atol)


@pytest.mark.parametrize("widths", [[4, 4200, 3], [4300, 5, 3], [3, 8192, 2]])
def test_layers_of_any_width(widths: list[int]) -> None:
    """As wide as configs allow, and wider than any number that a kernel was written with."""
    x = torch.randn(30, widths[0], generator=seeded(0))
    weights = torch.randn(size(widths, True), generator=seeded(1)) * 0.05
    fast = outcome("numba", lambda x, w: mlp(x, w, widths, True), x, weights)
    slow = outcome("reference", lambda x, w: mlp(x, w, widths, True), x, weights)
    for one, two in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


def test_mlp_passes_nan_on() -> None:
    widths = [32, 64, 64, 3]
    x = torch.randn(10, 32, generator=seeded(0))
    x[4, 3] = math.nan
    weights = torch.randn(size(widths, False), generator=seeded(1))
    fast = outcome("numba", lambda x, w: mlp(x, w, widths, False), x, weights)
    assert not fast[0][:4].isnan().any() and not fast[0][5:].isnan().any()
    assert bool(fast[0][4].isnan().any()) or bool(fast[2].isnan().any()), "NaN was lost"


# Compositing.


def _packed(rays: int, n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values [n, 4], density, length and offsets of rays of very different sample counts."""
    cuts = torch.randint(0, n + 1, (max(0, rays - 1),), generator=seeded(seed)).sort().values
    ends = torch.tensor([0, n]) if rays else torch.tensor([0])
    offsets = torch.cat([ends[:1], cuts, ends[1:]])
    density = torch.rand(n, generator=seeded(seed + 1)) ** 4 * 30
    density[::7] = 0
    length = torch.rand(n, generator=seeded(seed + 2)) * 0.2
    return torch.rand(n, 4, generator=seeded(seed + 3)), density, length, offsets


@pytest.mark.parametrize(("rays", "n"), [(0, 0), (1, 0), (5, 0), (1, 1), (7, 100), (300, 5001)])
def test_composite(rays: int, n: int) -> None:
    values, density, length, offsets = _packed(rays, n)
    inputs = (values, density)
    fast = outcome("numba", lambda v, s: composite(v, s, length, offsets), *inputs)
    slow = outcome("reference", lambda v, s: composite(v, s, length, offsets), *inputs)
    # Weights of a ray are differences of transmittances of size 1; at most 1000 of them here, with
    # values of size 1 and cotangents of size 4. The gradient in density is 0.2 times that.
    for one, two in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=100 * ROUNDOFF)


@pytest.mark.parametrize("channels", [1, 8, 19])
def test_composite_of_any_number_of_values(channels: int) -> None:
    _, density, length, offsets = _packed(40, 900)
    values = torch.rand(900, channels, generator=seeded(9))
    inputs = (values, density)
    fast = outcome("numba", lambda v, s: composite(v, s, length, offsets), *inputs)
    slow = outcome("reference", lambda v, s: composite(v, s, length, offsets), *inputs)
    for one, two in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=100 * ROUNDOFF)


@pytest.mark.parametrize("wall", [1e13, 1e30, math.inf])
def test_an_opaque_sample_hides_its_ray_and_no_other(wall: float) -> None:
    offsets = torch.tensor([0, 3, 4])
    values, length = torch.eye(4), torch.ones(4)
    density = torch.tensor([0.0, wall, 5.0, 0.5])
    for backend in ("numba", "reference"):
        with dispatch.force(backend):
            color, opacity = composite(values, density, length, offsets)
        assert color[0].tolist() == [0.0, 1.0, 0.0, 0.0] and opacity[0] == 1
        assert float(opacity[1]) == pytest.approx(1 - math.exp(-0.5), abs=1e-6), backend


# March.


def _rays(n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rays from inside and outside of the unit box, many of which miss it; near, far."""
    origins = torch.rand(n, 3, generator=seeded(seed)) * 6 - 3
    target = torch.rand(n, 3, generator=seeded(seed + 1)) * 2.4 - 1.2
    directions = torch.nn.functional.normalize(target - origins, dim=-1)
    return origins, directions, torch.zeros(n), torch.full((n,), 12.0)


def _marched(
    backend: str, n: int, unbounded: bool, lattice: Lattice, fill: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """offsets, starts, ends, and how near each sample's middle is to a cell border, in cells."""
    space = domain(torch.tensor([[-1.0, -0.8, -1.0], [1.0, 1.0, 0.7]]), unbounded)
    origins, directions, near, far = _rays(n)
    occupied = torch.rand(21, 21, 21, generator=seeded(5)) < fill
    bounds = entry(origins, directions, near, far, space)
    jitter = torch.rand(n, generator=seeded(6))
    with dispatch.force(backend):
        offsets, starts, ends = march(
            origins, directions, bounds, jitter, (occupied, clearance(occupied)), space, lattice
        )
    ray = torch.repeat_interleave(torch.arange(n), offsets.diff())
    place = space(origins[ray] + ((starts + ends) / 2)[:, None] * directions[ray]) * 21
    return offsets, starts, ends, (place - place.round()).abs().amin(-1)


@pytest.mark.parametrize("fill", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("cone", [0.0, 0.01])
@pytest.mark.parametrize("unbounded", [False, True])
def test_march(unbounded: bool, cone: float, fill: float) -> None:
    n, lattice = 200, Lattice(0.03, cone, 10_000)
    fast = _marched("numba", n, unbounded, lattice, fill)
    slow = _marched("reference", n, unbounded, lattice, fill)

    def place(found: tuple[Tensor, ...]) -> Tensor:
        """One increasing number a sample: 100 times the ray, plus t."""
        ray = torch.repeat_interleave(torch.arange(n), found[0].diff())
        return ray * 100 + found[1].double()

    for found, other in ((fast, slow), (slow, fast)):
        here, there = place(found), torch.cat([torch.tensor([-1.0]), place(other)])
        after = torch.searchsorted(there, here).clamp(max=len(there) - 1)
        missing = torch.minimum((there[after] - here).abs(), (there[after - 1] - here).abs()) > 1e-4
        # Only a middle that lies on a cell border, up to rounding, may be judged differently.
        assert (found[3][missing] < 1e-3).all()
        assert int(missing.sum()) <= 0.005 * len(here) + 2
    assert (len(slow[1]) > 50) == (fill > 0)
    torch.testing.assert_close(
        (fast[2] - fast[1]).sum(), (slow[2] - slow[1]).sum(), rtol=0.01, atol=0.1
    )


@pytest.mark.parametrize("limit", [1, 7])
def test_march_with_a_limit(limit: int) -> None:
    fast = _marched("numba", 100, False, Lattice(0.03, 0.0, limit), 1.0)
    slow = _marched("reference", 100, False, Lattice(0.03, 0.0, limit), 1.0)
    assert torch.equal(fast[0], slow[0]) and fast[0].diff().max() == limit
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-6, atol=1e-6)


def test_march_grows_its_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    from polyfield.renderers.kernels import march_numba

    roomy = _marched("numba", 50, False, Lattice(0.03, 0.0, 1000), 1.0)
    monkeypatch.setattr(march_numba, "_room", [3])
    tight = _marched("numba", 50, False, Lattice(0.03, 0.0, 1000), 1.0)
    for one, two in zip(roomy, tight, strict=True):
        assert torch.equal(one, two)


def test_march_without_rays() -> None:
    for backend in ("numba", "reference"):
        offsets, starts, ends, _ = _marched(backend, 0, False, Lattice(0.03), 1.0)
        assert offsets.tolist() == [0] and len(starts) == len(ends) == 0


# Adam.


@pytest.mark.parametrize("n", [0, 1, 15, 17, 40_001])
@pytest.mark.parametrize("skip", [False, True])
def test_adam(n: int, skip: bool) -> None:
    numbers = AdamNumbers(0.03, 0.9, 0.99, 1e-15, 0.1)
    states = []
    for backend in ("numba", "reference"):
        param = torch.randn(n, generator=seeded(0))
        state = [param, torch.zeros(n), torch.zeros(n), torch.zeros(n, dtype=torch.int32)]
        for step in range(8):
            grad = torch.randn(n, generator=seeded(step))
            grad[torch.rand(n, generator=seeded(100 + step)) < 0.6] = 0
            with dispatch.force(backend):
                adam(state[0], grad, *state[1:], numbers, skip)
        states.append(state)
    # Eight steps of a dozen roundings each, of numbers of size 1 (moments up to a few).
    for one, two in zip(*states, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=100 * ROUNDOFF)


def test_adam_beyond_the_horizon() -> None:
    for backend in ("numba", "reference"):
        state = [torch.zeros(20), torch.ones(20), torch.ones(20)]
        count = torch.full((20,), 2_000_000, dtype=torch.int32)
        with dispatch.force(backend):
            adam(state[0], torch.ones(20), *state[1:], count, AdamNumbers(0.5), False)
        torch.testing.assert_close(state[0], torch.full((20,), -0.5))
        assert count.tolist() == [2_000_001] * 20


# What holds for all of them.


def _cases() -> dict[str, Callable[[], list[Tensor]]]:
    levels, widths = GEOMETRIES[3], [32, 64, 64, 3]
    x = torch.rand(5000, 3, generator=seeded(0))
    table = torch.rand(levels.entries * 2, generator=seeded(1))
    rows = torch.randn(3001, 32, generator=seeded(2))
    weights = torch.randn(size(widths, False), generator=seeded(3)) / 8
    values, density, length, offsets = _packed(300, 5001)

    def adam_step() -> list[Tensor]:
        state = [torch.randn(40_001, generator=seeded(4)), torch.zeros(40_001), torch.ones(40_001)]
        count = torch.zeros(40_001, dtype=torch.int32)
        adam(state[0], rows.flatten()[:40_001], *state[1:], count, AdamNumbers(0.1), True)
        return [*state, count]

    return {
        "hash_grid": lambda: outcome("numba", lambda x, t: hash_grid(x, t, levels, 2), x, table),
        "harmonics": lambda: [spherical_harmonics(x, 4)],
        "mlp": lambda: outcome("numba", lambda x, w: mlp(x, w, widths, False), rows, weights),
        "composite": lambda: outcome(
            "numba", lambda v, s: composite(v, s, length, offsets), values, density
        ),
        "march": lambda: list(_marched("numba", 200, True, Lattice(0.03, 0.01, 500), 0.3)),
        "adam": adam_step,
    }


@pytest.mark.parametrize("name", _cases())
def test_the_same_bits_twice(name: str) -> None:
    for one, two in zip(_cases()[name](), _cases()[name](), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", _cases())
def test_the_number_of_threads_changes_nothing(name: str, threads: Callable[[int], None]) -> None:
    """Not a bit, but in the weight gradients of an MLP: those are summed per thread."""
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(_cases()[name]())
    for other in found[1:]:
        for i, (one, two) in enumerate(zip(found[0], other, strict=True)):
            if name == "mlp" and i == 2:
                torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
            else:
                assert torch.equal(one, two)


@pytest.mark.parametrize(
    "name", ["smooth", "linear", "a smooth line", "a line", "harmonics", "mlp", "composite"]
)
def test_gradients_of_the_references(name: str) -> None:
    """Against finite differences in float64; second derivatives too where there are any."""
    generator = seeded(3)

    def leaf(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64).requires_grad_()

    line = name.endswith("line")
    levels = Levels.make(1, 3, 3, 3.0, 4) if line else Levels.make(3, 3, 3, 1.5, 6)
    x = points(4, levels).double().requires_grad_()
    table = leaf(levels.entries * 2)
    offsets, length = torch.tensor([0, 2, 2, 5]), torch.rand(5, generator=generator).double()
    widths = [3, 5, 2]
    if line or name in ("smooth", "linear"):
        smooth = "smooth" in name
        assert torch.autograd.gradcheck(
            lambda x, t: hash_grid_reference(x, t, levels, 2, smooth), (x, table), fast_mode=True
        )
    elif name == "harmonics":
        assert torch.autograd.gradcheck(lambda d: harmonics_reference(d, 4), (leaf(4, 3),))
    elif name == "mlp":
        weights = (leaf(size(widths, True)).detach() - 0.5).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x, w: mlp_reference(x, w, widths, True), (leaf(4, 3), weights)
        )
    else:
        inputs = (leaf(5, 2), leaf(5), length.requires_grad_())
        assert torch.autograd.gradcheck(lambda *i: composite_reference(*i, offsets), inputs)
        assert torch.autograd.gradgradcheck(lambda *i: composite_reference(*i, offsets), inputs)


def test_custom_ops_keep_torchs_rules() -> None:
    """Schema, fake tensors, autograd registration and tracing, by torch's own checker."""
    levels = Levels.make(3, 2, 3, 1.5, 6)
    x = torch.rand(5, 3, generator=seeded(0)).requires_grad_()
    table = torch.rand(levels.entries * 2, generator=seeded(1)).requires_grad_()
    geometry = (list(levels.scales), list(levels.resolutions), list(levels.sizes), 2, False)
    widths = [3, 20, 2]
    weights = torch.rand(size(widths, True), generator=seeded(2)).requires_grad_()
    values, density, length, offsets = _packed(3, 10)
    values, density = values.requires_grad_(), density.requires_grad_()
    plain = [t.detach() for t in (x, table, weights, values, density)]
    check = torch.library.opcheck
    check(_hash_grid, (x, table, *geometry))
    for need in ((True, True), (True, False), (False, True)):
        check(_hash_grid_backward, (torch.rand(5, 4), *plain[:2], *geometry, *need))
    check(_spherical_harmonics, (plain[0], 3))
    check(_mlp, (x, weights, widths, True))
    check(_mlp_backward, (torch.rand(5, 2), plain[0], plain[2], widths, True, True))
    check(_mlp_backward, (torch.rand(5, 2), plain[0], plain[2], widths, True, False))
    check(_composite, (values, density, length, offsets))
    grads = (torch.rand(3, 4), torch.rand(3))
    check(_composite_backward, (*grads, *plain[3:], length, offsets))
