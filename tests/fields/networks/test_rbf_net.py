import pytest
import torch

from polyfield.encodings.basis_grid import BasisGrid
from polyfield.encodings.domain import Box
from polyfield.encodings.kernels.spherical_harmonics import reference
from polyfield.errors import InputError
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.kernel_radiance import KernelRadiance
from polyfield.fields.networks.rbf_net import GaussianKernels, KernelNetwork

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
SMALL = KernelRadiance(BasisGrid((2, 2), (8, 12), (1.0, 2.0)))


def _spread(units: int = 64, features: int = 18) -> KernelNetwork:
    """Kernels as training leaves them: apart, of different scales."""
    torch.manual_seed(0)
    network = GaussianKernels(units, center_scale=2.0).build(features, 3)
    with torch.no_grad():
        network.log_scales.normal_(0, 0.7)
    return network


def test_expanded_squares_are_the_squares() -> None:
    """In float32, for features up to 3: to 1e-5 of the sizes that cancel."""
    network = _spread()
    f = torch.rand(500, 18) * 6 - 3
    s, c = network.log_scales.exp().double(), network.centers.double()
    direct = (s * (f.double()[:, None] - c).square()).sum(-1)
    found = -2 * network.kernels(f).double().clamp(min=1e-38).log()
    seen = direct < 80  # exp underflows beyond
    assert seen.sum() > 1000
    sizes = f.double().square() @ s.T + (s * c.square()).sum(-1)
    assert ((found - direct).abs() / sizes)[seen].max() < 1e-5


def test_a_kernel_is_one_at_its_centre_and_never_more() -> None:
    network = _spread()
    phi = network.kernels(network.centers)
    assert phi.max() <= 1
    torch.testing.assert_close(phi.diagonal(), torch.ones(64), rtol=1e-4, atol=0)


def test_outputs() -> None:
    network = _spread()
    f = torch.randn(9, 18)
    torch.testing.assert_close(network(f), network.last(network.kernels(f)))


def test_gradients_of_centres_and_scales() -> None:
    network = _spread(5, 4).double()
    f = torch.randn(5, 4, dtype=torch.float64)

    def run(centers: torch.Tensor, log_scales: torch.Tensor) -> torch.Tensor:
        given = {"centers": centers, "log_scales": log_scales}
        return torch.func.functional_call(network, given, (f,))

    leaves = [p.detach().clone().requires_grad_() for p in (network.centers, network.log_scales)]
    assert torch.autograd.gradcheck(run, leaves)


def test_initial_values_and_sizes() -> None:
    """The released decoder has 64 values more: a shift it never uses."""
    torch.manual_seed(0)
    network = GaussianKernels().build(18, 3)
    assert 0.9e-4 < network.centers.abs().max() <= 1e-4 and not network.log_scales.any()
    assert sum(p.numel() for p in network.parameters()) == 2563 - 64
    with pytest.raises(InputError, match="units"):
        GaussianKernels(units=0).build(2, 2)


def test_kernels_learn_a_signed_distance() -> None:
    """A sphere's, from grid features: to an eighth of its spread, beside the surface too."""
    torch.manual_seed(0)
    grid = BasisGrid((4, 4), (8, 16), (1.0, 1.0))
    field = Coordinate(grid, GaussianKernels(32)).build(Box(CUBE), 1)
    rates = {"table": 2e-2, "network": 2e-2}
    adam = torch.optim.Adam(
        [{"params": params, "lr": rates[name]} for name, params in field.groups().items() if params]
    )
    fall = torch.optim.lr_scheduler.ExponentialLR(adam, 0.1 ** (1 / 800))
    for _ in range(800):
        x = torch.rand(1024, 3) * 2 - 1
        loss = (field(x) - (x.norm(dim=-1, keepdim=True) - 0.5)).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        fall.step()
    x = torch.rand(4096, 3) * 2 - 1
    distance = x.norm(dim=-1) - 0.5
    with torch.no_grad():
        error = (field(x)[:, 0] - distance).abs()
    spread = (distance - distance.mean()).abs().mean()
    assert error.mean() < spread / 8 and error[distance.abs() < 0.1].mean() < spread / 8


def test_radiance_by_hand() -> None:
    torch.manual_seed(0)
    field = SMALL.build(Box(CUBE))
    x = torch.rand(7, 3) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(7, 3), dim=-1)
    with torch.no_grad():
        v = field.kernels(field.position((x + 1) / 2))
        found = field(x, directions)
    assert v.shape == (7, 1 + 16 * 3)
    torch.testing.assert_close(found.density, v[:, 0].exp() / 2)
    harmonics = reference(directions, 4)
    for color in range(3):
        wanted = (v[:, 1 + 16 * color : 17 + 16 * color] * harmonics).sum(-1).sigmoid()
        torch.testing.assert_close(found.rgb[:, color], wanted)


def test_one_band_has_no_view() -> None:
    torch.manual_seed(0)
    field = KernelRadiance(SMALL.position, bands=1).build(Box(CUBE))
    x = torch.rand(7, 3)
    directions = torch.nn.functional.normalize(torch.randn(7, 3), dim=-1)
    assert torch.equal(field(x, directions).rgb, field(x, -directions).rgb)
    with pytest.raises(InputError, match="bands"):
        KernelRadiance(bands=5).build(Box(CUBE))
