"""A field along rays, without what no light reaches."""

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.volume import points, transmittance
from polyfield.scenes.rays import Rays
from polyfield.training.distillation.early_termination import ask_until_opaque

BOUNDS = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


class _Ball(RadianceField):
    """A ball of one density; its colour is the place. Counts what it is asked."""

    def __init__(self, density: float, features: bool) -> None:
        super().__init__()
        self.domain = Box(BOUNDS)
        self.thick, self.features, self.asked = density, features, 0

    def groups(self) -> dict[str, list[torch.nn.Parameter]]:
        return {}

    def geometry(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        raise AssertionError("asked twice")

    def forward(self, x: Tensor, directions: Tensor) -> RadianceSample:
        self.asked += len(x)
        density = self.thick * (x.norm(dim=-1) < 0.7).float()
        feature = torch.cat([x, directions], -1) if self.features else None
        return RadianceSample(density, x * 0.5 + 0.5, density.log(), feature)


def _rays(n: int) -> Rays:
    generator = torch.Generator().manual_seed(0)
    origins = torch.randn(n, 3, generator=generator)
    origins = 3 * torch.nn.functional.normalize(origins, dim=-1)
    target = torch.rand(n, 3, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(target - origins, dim=-1)
    return Rays(origins, directions, torch.zeros(n), torch.full((n,), 9.0), torch.zeros(n).long())


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("density", [0.0, 3.0, 200.0])
def test_as_if_everything_were_asked(density: float, features: bool) -> None:
    rays, field = _rays(60), _Ball(density, features)
    every = OccupancyGrid(resolution=8, steps=80).build(Box(BOUNDS))(rays, None)
    found, sample = ask_until_opaque(field, rays, every)
    asked = field.asked
    whole = field(*points(rays, every))
    lit = transmittance(whole.density, every) > 1e-4
    wanted = every.keep(lit)
    assert torch.equal(found.offsets, wanted.offsets) and torch.equal(found.start, wanted.start)
    assert found.marched is not None and torch.equal(found.marched, every.offsets.diff())
    for name, values in vars(whole).items():
        got = getattr(sample, name)
        assert (got is None) == (values is None)
        if values is not None:
            assert torch.equal(got, values[lit])
    # Behind an opaque ball's face nothing more is asked than what is left of a round.
    assert asked == len(every) if density < 10 else len(found) <= asked < 0.9 * len(every)


def test_rays_that_meet_nothing() -> None:
    rays = _rays(3)
    rays.directions = -rays.directions
    every = OccupancyGrid(resolution=8, steps=80).build(Box(BOUNDS))(rays, None)
    found, sample = ask_until_opaque(_Ball(1.0, True), rays, every)
    assert len(found) == len(sample.density) == 0 and found.offsets.tolist() == [0] * 4
    assert sample.feature is not None and sample.feature.shape == (0, 6)
