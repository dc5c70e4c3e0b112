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
from polyfield.ranges import Range, check
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.renderers.volume import rendered
from polyfield.scenes.base import Scene
from polyfield.scenes.visibility import look_at_one_thing, seen_by
from polyfield.training.objectives.floaters import distortion, near_cameras
from polyfield.training.objectives.residuals import LossName, loss_of
from polyfield.training.team import current


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
    distortion: Annotated[float, Range(0, 1e4)] | None = None
    """Weight of mip-NeRF 360's distortion, against floaters; 0.02 (published 0.01) where a scene
    has no end, else 0."""
    near: Annotated[float, Range(0, 1e4)] = 0.0
    """Weight of what is seen right before the cameras, against floaters (published 1e-2)."""
    reach: Annotated[float, Range(0, 1)] = 0.05
    """How far from a camera that is, in edges of the scene's box."""
    min_views: Annotated[int, Range(0, 1 << 16)] = 4
    """Images that must see a place for there to be something, in an unbounded scene whose cameras
    look at one thing; a quarter of them, if they are few."""

    def build(
        self, scene: Scene, model: RadianceModel, behind: Behind, seed: int, keep_grid: bool = False
    ) -> PhotometricObjective:
        """The objective.

        Args:
            scene: the training images, on the model's device.
            model: what learns.
            behind: what is behind the images.
            seed: of everything random.
            keep_grid: leave the sampler as it is: fine-tuning knows where there is something.
        """
        check(self)
        return PhotometricObjective(self, scene, model, behind, seed, keep_grid)

    def resized(self, batch: int | None) -> Photometric:
        """The same with another number of samples a step.

        Raises:
            InputError: None, for all pixels at once: a scene has too many.
        """
        if batch is None:
            raise InputError("a number of samples for --batch", "all", "give for instance 16384")
        return replace(self, samples=batch)


DISTORTION = 0.02
"""Weight of the distortion in scenes without end, which are full of fog without it."""
CARVE = 0.15
"""Progress of a scene up to which pixels of the background's colour are taken as empty."""
SAME = 0.02
"""How near to the background they must be, in each channel."""
PLACE = 0.1
"""Progress of a scene at which fields are told where the detail is."""
LOOK = 1 << 16
"""Points asked for their density where a sampler keeps none."""


@dataclass(frozen=True)
class Behind:
    """What is behind the training images."""

    color: Float[Tensor, "3"] | None
    """None draws a new one for each ray; of no use where the model has a sky."""
    carve: bool = False
    """Take pixels of that colour as empty in the beginning."""


class PhotometricObjective:
    """Draws rays, renders them, compares.

    The number of rays follows the number of samples they took.
    """

    def __init__(
        self,
        config: Photometric,
        scene: Scene,
        model: RadianceModel,
        behind: Behind,
        seed: int,
        keep_grid: bool = False,
    ) -> None:
        assert behind.color is not None or not behind.carve, "carving needs a colour"
        field = model.field
        if field.takes_errors:
            raise InputError(
                "an encoding that needs no errors of points on a scene", "Sape", "use its inner one"
            )
        self.config, self.scene, self.field, self.renderer = config, scene, field, model.renderer
        self.corrections = model.corrections
        if self.corrections.sky is not None and scene.has_alpha:
            raise InputError(
                "images without alpha for --sky", "transparent ones", "leave out --sky"
            )
        self.background, self.carve, self.keep_grid = behind.color, behind.carve, keep_grid
        unbounded = DISTORTION if field.domain.contracted else 0.0
        self.distortion = unbounded if config.distortion is None else config.distortion
        self.generator = torch.Generator().manual_seed(seed)
        self.rays = first_rays(config.samples)
        self.placed = keep_grid
        if not keep_grid:
            self._leave_out_what_few_see()

    def _leave_out_what_few_see(self) -> None:
        if not self.field.domain.contracted or not self.config.min_views:
            return
        cameras, fewest = self.scene.cameras, min(self.config.min_views, len(self.scene) // 4)
        if fewest > 0 and look_at_one_thing(cameras):
            self.renderer.sampler.keep_only(lambda x: seen_by(cameras, x, fewest))

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss of one batch of rays; also keeps the sampler up to date."""
        if not self.keep_grid:
            self.renderer.sampler.refresh(self.field.density, step)
        if self.field.takes_points and not self.placed and progress >= PLACE:
            self._place(step)
        rays, rgba = self.scene.sample(self.rays, self.generator)
        background, target = self._target(rgba, progress)
        team, count = current(), len(rays)
        mine, draws = team.share(count), team.draws(self.generator, count)
        rays, target = self.corrections.rays(rays[mine]), target[mine]
        background = background if background is None or background.dim() == 1 else background[mine]
        sample, intervals = self.renderer.samples(self.field, rays, draws)
        pixels = rendered(self.field, sample, intervals, rays)
        color = self.corrections.over(pixels, rays.directions, background, rays.camera)
        loss, mse = loss_of(self.config.loss, color - target)
        loss, share = self._regularised(loss, sample.density, intervals), len(rays) / count
        mse, samples = team.totals(mse * share if share else 0.0, len(intervals))
        numbers = {"mse": mse, "rays": float(count), "samples": float(samples)}
        self.rays = ray_count(self.rays, int(samples), self.config.samples, self.config.max_rays)
        return loss * share if share < 1 else loss, numbers

    def _regularised(self, loss: Tensor, density: Tensor, intervals: Intervals) -> Tensor:
        """The loss with the terms against floaters."""
        config, length = self.config, self.field.domain.length
        if self.distortion:
            loss = loss + self.distortion * distortion(density, intervals, length)
        if config.near:
            loss = loss + config.near * near_cameras(density, intervals, config.reach * length)
        return loss

    def _target(self, rgba: Float[Tensor, "n 4"], progress: float) -> tuple[Tensor | None, Tensor]:
        """The background of each ray, None for the sky, and the colour in front of it."""
        if self.corrections.sky is not None:
            return None, rgba[:, :3]
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
