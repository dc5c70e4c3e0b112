"""What a field is trained on: pixels of a scene, values of a signal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyfield.encodings.devices import move, uniform
from polyfield.encodings.errors import InputError
from polyfield.fields.base import RadianceField, SignalField
from polyfield.renderers.renderer import VolumeRenderer
from polyfield.scenes.base import Scene
from polyfield.scenes.picture import Picture

LossName = Literal["huber", "mse"]


def loss_of(name: LossName, residual: Tensor) -> tuple[Tensor, float]:
    """The mean loss, and the mean square error.

    The loss is the square, or instant-ngp's Huber: d^2 up to 0.1, then (|d| - 0.05) / 5.
    """
    square = functional.mse_loss(residual, torch.zeros_like(residual))
    if name == "mse":
        return square, square.item()
    huber = functional.huber_loss(residual, torch.zeros_like(residual), delta=0.1) * 2
    return huber, square.item()


def psnr_of(mse: float) -> float:
    """Decibels of a mean square error, for values in [0, 1]."""
    return -10 * math.log10(max(mse, 1e-10))


def first_rays(wanted: int) -> int:
    """How many rays to begin with: one through nothing but fog has about 64 samples."""
    return max(64, min(1024, wanted // 64))


def ray_count(rays: int, samples: int, wanted: int, most: int) -> int:
    """How many rays to take for as many samples as wanted, after `rays` had `samples`."""
    found = rays * wanted / max(samples, 1)
    return int(min(max(64, rays / 2, min(found, rays * 2)), most))


@dataclass(frozen=True)
class Photometric:
    """Rendered colour against the pixels of posed views."""

    samples: int = 65536
    """Field evaluations a step aims at; the number of rays follows."""
    loss: LossName = "huber"
    """Of the difference in colour."""
    max_rays: int = 65536
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
        return PhotometricObjective(
            self, scene, field, renderer, background, seed, carve, keep_grid
        )


CARVE = 0.15
"""Progress of a scene up to which pixels of the backdrop's colour are taken as empty."""
SAME = 0.02
"""How near to the backdrop they must be, in each channel."""
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
        if field.observes:
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
        if self.field.places and not self.placed and progress >= PLACE:
            self._place(step)
        rays, rgba = self.scene.sample(self.rays, self.generator)
        background, target = self._target(rgba, progress)
        pixels, samples = self.renderer(self.field, rays, self.generator)
        loss, mse = loss_of(self.config.loss, pixels.over(background) - target)
        numbers = {"psnr": psnr_of(mse), "rays": float(len(rays)), "samples": float(samples)}
        self.rays = ray_count(self.rays, samples, self.config.samples, self.config.max_rays)
        return loss, numbers

    def _target(self, rgba: Float[Tensor, "n 4"], progress: float) -> tuple[Tensor, Tensor]:
        """The background of each ray and the colour in front of it."""
        if self.background is not None:
            self.background = self.background.to(rgba.device)
        alpha, background = rgba[:, 3:], self.background
        if background is not None and self.carve and progress < CARVE:
            # Fog of the backdrop's own colour costs nothing and never leaves; before a background
            # that changes it shows. Later the scene may have parts of that colour again.
            same = ((rgba[:, :3] - background).abs() < SAME).all(-1, keepdim=True)
            alpha, background = torch.where(same, 0, alpha), None
        if background is None:
            background = uniform((len(rgba), 3), self.generator, rgba.device)
        return background, rgba[:, :3] * alpha + (1 - alpha) * background

    @torch.no_grad()
    def _place(self, step: int) -> None:
        """Tell the field where there is something: points and their density."""
        known = self.renderer.sampler.known()
        if known is None:
            x = self.field.draw_points(LOOK, torch.Generator().manual_seed(step))
            known = x, self.field.density(x)
        self.field.place(*known)
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
        self.rays, self.placed = int(state["rays"]), bool(state["placed"])
        self.generator.set_state(state["generator"])
        prefix = "sampler."
        self.renderer.sampler.load_state_dict(
            {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
        )


@dataclass(frozen=True)
class Regression:
    """Values of a field against the values of a picture."""

    batch: int = 16384
    """Pixels a step; 0 takes all of them."""
    loss: LossName = "mse"
    """Of the difference in value."""

    def build(
        self, picture: Picture, field: SignalField, seed: int, kept: Tensor | None = None
    ) -> RegressionObjective:
        """The objective; `kept` are the numbers of the pixels to learn from, all if None."""
        return RegressionObjective(self, picture, field, seed, kept)


WHOLE, SLICE = 1 << 14, 1 << 13
"""Batches of more than WHOLE pixels add up gradients in slices: activations then stay in caches."""
ROOM = 1 << 18
"""Both on a GPU: there only the memory counts."""


class RegressionObjective:
    """Walks through all pixels in random order, again and again.

    Where a step takes the whole picture and the field would rather have a grid, it gets one.
    """

    def __init__(
        self,
        config: Regression,
        picture: Picture,
        field: SignalField,
        seed: int,
        kept: Tensor | None = None,
    ) -> None:
        self.config, self.picture, self.field = config, picture, field
        self.x, self.value = picture.all()
        weight = picture.detail(kept) if field.places else None
        if kept is not None:
            kept = move(kept, self.x.device)
            self.x, self.value = self.x[kept], self.value[kept]
            weight = None if weight is None else weight[kept]
        if weight is not None:
            field.place(self.x, weight)
        self.batch = min(config.batch or len(self.x), len(self.x))
        on_cpu = self.x.device.type == "cpu"
        self.whole, self.slice = (WHOLE, SLICE) if on_cpu else (ROOM, ROOM)
        self.axes: list[Tensor] | None = None
        self.kept = kept
        if field.prefers_grid and self.batch == len(self.x):
            x = picture.all()[0]
            self.axes = [x[: picture.width, 0], x[:: picture.width, 1]]
        self.generator = torch.Generator().manual_seed(seed)
        self.position = 0
        self._shuffle()

    def _shuffle(self) -> None:
        """A new order, sorted within each batch: neighbours share entries of a grid, and so caches.

        The generator's state before it is what resuming needs.
        """
        self.before = self.generator.get_state()
        order = torch.randperm(len(self.x), generator=self.generator).numpy()
        for at in range(0, len(order) - self.batch + 1, self.batch):
            order[at : at + self.batch].sort()
        self.order = move(torch.from_numpy(order), self.x.device)

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss of the next pixels."""
        if self.axes is not None:
            # Axes are column and row, pixels are counted row by row.
            values = self.field.on_grid(self.axes).transpose(0, 1).flatten(0, 1)
            values = values if self.kept is None else values.index_select(0, self.kept)
            return self._judge(self.x, values - self.value)
        batch = self.batch
        if self.position + batch > len(self.x):
            self._shuffle()
            self.position = 0
        pick = self.order[self.position : self.position + batch]
        self.position += batch
        if batch <= self.whole:
            x = self.x.index_select(0, pick)
            return self._judge(x, self.field(x) - self.value.index_select(0, pick))
        total, square = 0.0, 0.0
        for part in pick.split(self.slice):
            x, share = self.x.index_select(0, part), len(part) / batch
            residual = self.field(x) - self.value.index_select(0, part)
            loss, numbers = self._judge(x, residual)
            (loss * share).backward()
            total, square = total + loss.item() * share, square + numbers["mse"] * share
        return torch.tensor(total), self._numbers(square, batch)

    def _judge(self, x: Tensor, residual: Tensor) -> tuple[Tensor, dict[str, float]]:
        if self.field.observes:
            self.field.observe(x, residual.detach().square().mean(-1))
        loss, mse = loss_of(self.config.loss, residual)
        return loss, self._numbers(mse, len(x))

    @staticmethod
    def _numbers(mse: float, samples: int) -> dict[str, float]:
        return {"psnr": psnr_of(mse), "mse": mse, "samples": float(samples)}

    def state(self) -> dict[str, Tensor]:
        """Position in the current order, and the generator before it was drawn."""
        return {"position": torch.tensor(self.position), "generator": self.before}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.generator.set_state(state["generator"])
        self._shuffle()
        self.position = int(state["position"])
