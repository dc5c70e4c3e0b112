"""Rendered colour against the pixels of posed views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.devices import uniform
from polyfield.errors import InputError
from polyfield.fields.base import RadianceField
from polyfield.ranges import Range, check
from polyfield.renderers.renderer import VolumeRenderer
from polyfield.scenes.base import Scene
from polyfield.training.objectives.residuals import LossName, loss_of


def first_rays(wanted: int) -> int:
    """How many rays to begin with: one through nothing but fog has about 64 samples."""
    return max(64, min(1024, wanted // 64))


def ray_count(rays: int, samples: int, wanted: int, most: int) -> int:
    """How many rays to take for as many samples as wanted, after `rays` had `samples`."""
    found = rays * wanted / max(samples, 1)
    return int(min(max(64, rays / 2, min(found, rays * 2)), most))


def stored_rays(count: Tensor, most: int) -> int:
    """The number of rays of a checkpoint.

    Raises:
        ValueError: no step ever takes so many, or so few.
    """
    rays = int(count)
    if not 1 <= rays <= max(most, first_rays(1 << 22)):
        raise ValueError(f"{rays} rays")
    return rays


@dataclass(frozen=True)
class Photometric:
    """Rendered colour against the pixels of posed views."""

    samples: Annotated[int, Range(1, 1 << 22)] = 65536
    """Field evaluations a step aims at; the number of rays follows."""
    loss: LossName = "huber"
    """Of the difference in colour."""
    max_rays: Annotated[int, Range(1, 1 << 22)] = 65536
    """Most rays a step."""

    def build(
        self,
        scene: Scene,
        field: RadianceField,
        renderer: VolumeRenderer,
        background: Float[Tensor, "3"] | None,
        seed: int,
        carve: bool = False,
        keep_grid: bool = False,
    ) -> PhotometricObjective:
        """The objective; background None draws a new one for each ray.

        With `carve`, pixels of the background's colour are taken as empty in the beginning. With
        `keep_grid` the sampler stays as it is: fine-tuning knows already where there is something.
        """
        check(self)
        return PhotometricObjective(
            self, scene, field, renderer, background, seed, carve, keep_grid
        )

    def resized(self, batch: int | None) -> Photometric:
        """The same with another number of samples a step.

        Raises:
            InputError: None, for all pixels at once: a scene has too many.
        """
        if batch is None:
            raise InputError("a number of samples for --batch", "all", "give for instance 16384")
        return replace(self, samples=batch)


CARVE = 0.15
"""Progress of a scene up to which pixels of the background's colour are taken as empty."""
SAME = 0.02
"""How near to the background they must be, in each channel."""
PLACE = 0.1
"""Progress of a scene at which fields are told where the detail is."""
LOOK = 1 << 16
"""Points asked for their density where a sampler keeps none."""


class PhotometricObjective:
    """Draws rays, renders them, compares.

    The number of rays follows the number of samples they took.
    """

    def __init__(
        self,
        config: Photometric,
        scene: Scene,
        field: RadianceField,
        renderer: VolumeRenderer,
        background: Float[Tensor, "3"] | None,
        seed: int,
        carve: bool = False,
        keep_grid: bool = False,
    ) -> None:
        assert background is not None or not carve, "carving needs a colour"
        if field.takes_errors:
            raise InputError(
                "an encoding that needs no errors of points on a scene", "Sape", "use its inner one"
            )
        self.config, self.scene, self.field, self.renderer = config, scene, field, renderer
        self.background, self.carve, self.keep_grid = background, carve, keep_grid
        self.generator = torch.Generator().manual_seed(seed)
        self.rays = first_rays(config.samples)
        self.placed = keep_grid

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss of one batch of rays; also keeps the sampler up to date."""
        if not self.keep_grid:
            self.renderer.sampler.refresh(self.field.density, step)
        if self.field.takes_points and not self.placed and progress >= PLACE:
            self._place(step)
        rays, rgba = self.scene.sample(self.rays, self.generator)
        background, target = self._target(rgba, progress)
        pixels, samples = self.renderer(self.field, rays, self.generator)
        loss, mse = loss_of(self.config.loss, pixels.over(background) - target)
        numbers = {"mse": mse, "rays": float(len(rays)), "samples": float(samples)}
        self.rays = ray_count(self.rays, samples, self.config.samples, self.config.max_rays)
        return loss, numbers

    def _target(self, rgba: Float[Tensor, "n 4"], progress: float) -> tuple[Tensor, Tensor]:
        """The background of each ray and the colour in front of it."""
        if self.background is not None:
            self.background = self.background.to(rgba.device)
        alpha, background = rgba[:, 3:], self.background
        if background is not None and self.carve and progress < CARVE:
            # Fog of the background's own colour costs nothing and never leaves; before a background
            # that changes it shows. Later the scene may have parts of that colour again.
            same = ((rgba[:, :3] - background).abs() < SAME).all(-1, keepdim=True)
            alpha, background = torch.where(same, 0, alpha), None
        if background is None:
            background = uniform((len(rgba), 3), self.generator, rgba.device)
        return background, rgba[:, :3] * alpha + (1 - alpha) * background

    @torch.no_grad()
    def _place(self, step: int) -> None:
        """Tell the field where there is something: points and their density."""
        known = self.renderer.sampler.occupied_points()
        if known is None:
            x = self.field.draw_points(LOOK, torch.Generator().manual_seed(step))
            known = x, self.field.density(x)
        self.field.init_from_points(*known)
        self.placed = True

    def state(self) -> dict[str, Tensor]:
        """Ray count, whether detail was told, generator, and the sampler's grid."""
        return {
            "rays": torch.tensor(self.rays),
            "placed": torch.tensor(self.placed),
            "generator": self.generator.get_state(),
            **{f"sampler.{k}": v for k, v in self.renderer.sampler.state_dict().items()},
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.rays = stored_rays(state["rays"], self.config.max_rays)
        self.placed = bool(state["placed"])
        self.generator.set_state(state["generator"])
        prefix = "sampler."
        self.renderer.sampler.load_state_dict(
            {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
        )
