"""A ball in closed form, as exporters ask for models: the oracle of meshes, points and volumes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from polyfield.fields.base import RadianceSample
from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.cameras import Camera
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.similarity import Similarity


@dataclass
class Ball:
    """A ball of radius 0.6 about (0.1, -0.2, 0.3), seen through a similarity."""

    frame: Similarity = Similarity((0.0, 0.0, 0.0), 1.0)
    """The user's frame -> the ball's."""
    softness: float = 0.02
    """Width of its rim."""
    color_space: str = "srgb"
    is_unbounded: bool = False
    speck: bool = False
    """A second, tiny one beside it."""
    background: Tensor = field(default_factory=lambda: torch.ones(3))

    center = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    radius = 0.6
    device = torch.device("cpu")

    @property
    def bounds(self) -> Tensor:
        """Two units wide, in the user's frame."""
        return self.frame.users(torch.tensor([[-1.0] * 3, [1.0] * 3]))

    @property
    def cell(self) -> float:
        """Of an occupancy of 16 cells."""
        return 2 / 16 / self.frame.scale

    def is_occupied(self, x: Tensor) -> Tensor:
        """Within a cell of something."""
        near = self._distance(x) < 2 / 16 * 2
        return near | (self._second(x) < 2 / 16 * 2) if self.speck else near

    def density(self, x: Tensor) -> Tensor:
        """1,000 inside, with a soft rim; per the user's length."""
        found = torch.sigmoid(-self._distance(x) / self.softness * 4)
        if self.speck:
            found = found + torch.sigmoid(-self._second(x) / self.softness * 4)
        return (1000 * found * self.frame.scale).float()

    def ask(self, x: Tensor, directions: Tensor) -> RadianceSample:
        """Colours by place."""
        local = self.frame.normalised(x)
        rgb = (0.5 + 0.4 * torch.sin(3 * local + torch.tensor([0.0, 1.0, 2.0]))).float()
        density = self.density(x)
        return RadianceSample(density, rgb, density.clamp(min=1e-6).log())

    def render(self, camera: Camera) -> RenderOutput:
        """Where rays meet it."""
        rays = camera.rays()
        o = self.frame.normalised(camera.pose[:3, 3])
        d = rays.directions.double()
        b = ((o - self.center) * d).sum(-1)
        root = b.square() - (o - self.center).square().sum() + self.radius**2
        hit = root > 0
        t = torch.where(hit, -b - root.clamp(min=0).sqrt(), 0.0)
        x = self.frame.users(o + t[..., None] * d)
        color = torch.where(hit[..., None], self.ask(x, d).rgb, self.background)
        return RenderOutput(color, hit.float(), (t / self.frame.scale).float())

    def _distance(self, x: Tensor) -> Tensor:
        return (self.frame.normalised(x) - self.center).norm(dim=-1) - self.radius

    def _second(self, x: Tensor) -> Tensor:
        middle = torch.tensor([-0.8, 0.8, -0.8], dtype=torch.float64)
        return (self.frame.normalised(x) - middle).norm(dim=-1) - 0.05


def ring(frame: Similarity, count: int = 12, side: int = 96) -> list[Camera]:
    """Cameras around the ball, in the user's frame."""
    found = []
    for i in range(count):
        pose = look_at(2 * math.pi * i / count, 0.9 * math.sin(2.1 * i), 3.0).double()
        pose[:3, 3] = frame.users(pose[:3, 3])
        found.append(Camera(pose, side, side, 1.6 * side, 1.6 * side, side / 2, side / 2))
    return found
