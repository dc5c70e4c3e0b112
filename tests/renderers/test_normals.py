"""Normals of a field whose density is known."""

import torch

from polyfield.encodings.domain import Box
from polyfield.renderers.normals import normals
from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.rays import Rays


class Ball:
    """Density that falls away from a centre."""

    def __init__(self) -> None:
        self.domain = Box(torch.tensor([[-2.0, -2, -2], [2, 2, 2]]))
        self.center = torch.tensor([0.3, -0.2, 0.1])

    def density(self, x):
        return torch.exp(-2 * (x - self.center).norm(dim=1))


def test_the_normals_of_a_ball_point_away_from_its_centre():
    ball = Ball()
    wanted = torch.nn.functional.normalize(torch.randn(50, 3), dim=1)
    wanted[:, 2] = wanted[:, 2].abs()
    origins = ball.center + wanted + torch.tensor([0.0, 0.0, 3.0])
    directions = torch.tensor([0.0, 0.0, -1.0]).expand(50, 3)
    near = torch.zeros(50)
    rays = Rays(origins, directions, near, near + 9, near.long())
    opacity = torch.ones(50)
    opacity[7] = 0.4
    seen = RenderOutput(torch.zeros(50, 3), opacity, near + 3)
    found = normals(ball.density, ball.domain, rays, seen)
    assert not found[7].any()
    met = opacity > 0.5
    torch.testing.assert_close(found[met], wanted[met], atol=2e-3, rtol=0)


def test_normals_are_turned_towards_the_eye():
    ball = Ball()
    rays = Rays(
        ball.center + torch.tensor([[0.0, 0.0, -3.0]]), torch.tensor([[0.0, 0.0, 1.0]]),
        torch.zeros(1), torch.full((1,), 9.0), torch.zeros(1, dtype=torch.int64),
    )  # fmt: skip
    # A ray that stops behind the centre, where density falls along it.
    seen = RenderOutput(torch.zeros(1, 3), torch.ones(1), torch.full((1,), 4.0))
    assert torch.allclose(
        normals(ball.density, ball.domain, rays, seen), torch.tensor([[0.0, 0.0, -1.0]]), atol=1e-4
    )
