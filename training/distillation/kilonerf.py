"""KiloNeRF's distillation: at points of space, cell by cell (Reiser et al. 2021, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from polyfield.devices import move
from polyfield.errors import InputError
from polyfield.fields.base import RadianceField
from polyfield.ranges import Range, check
from polyfield.renderers.samplers import Sampler
from polyfield.training.distillation.extract_occupancy import place_kernels
from polyfield.training.distillation.points import opacity_loss
from polyfield.training.distillation.teacher_cache import Batch, TeacherCache, times_used


@dataclass(frozen=True)
class CellDistillation:
    """KiloNeRF: colour and opacity at points of space, drawn as the student's cells ask."""

    samples: Annotated[int, Range(1, 1 << 22)] = 32768
    """Points a step; released 128 in each of 512 cells."""
    everywhere: bool = False
    """Also where there is nothing, as released: a CPU's time is better spent inside."""

    def build(
        self, teacher: RadianceField, student: RadianceField, sampler: Sampler, seed: int
    ) -> CellObjective:
        """The objective; the sampler's grid says where there is something."""
        check(self)
        return CellObjective(self, teacher, student, sampler, seed)


class CellObjective:
    """Draws points and directions, asks both fields, compares."""

    def __init__(
        self,
        config: CellDistillation,
        teacher: RadianceField,
        student: RadianceField,
        sampler: Sampler,
        seed: int,
    ) -> None:
        self.config, self.teacher, self.student, self.sampler = config, teacher, student, sampler
        self.generator = torch.Generator().manual_seed(seed)
        if student.takes_points:
            place_kernels(student, teacher, sampler, self.generator)
        probe = student.draw_points(1 << 14, torch.Generator().manual_seed(seed))
        share = 1.0 if config.everywhere else float(sampler.is_near_occupied(probe).float().mean())
        if share == 0:
            raise InputError("a teacher with something in its box", "nothing", "train it longer")
        self.drawn = int(config.samples / max(share, 0.02))
        self.cache = TeacherCache(times_used(teacher, student))

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss at points, most of them new: memory stays bounded."""
        batch = self.cache.draw(self.generator) or self._ask()
        x = batch["x"]
        ours = self.student(x, batch["directions"])
        loss = opacity_loss(self.student, ours, batch["rgb"], batch["density"])
        return loss, {"mse": loss.item(), "samples": float(len(x))}

    def _ask(self) -> Batch:
        """New points, directions, and the teacher's colours and densities there."""
        x = self.student.draw_points(self.drawn, self.generator)
        if not self.config.everywhere:
            inside = x[self.sampler.is_near_occupied(x)][: self.config.samples]
            x = inside if len(inside) else x[:1]
        directions = torch.randn(len(x), 3, generator=self.generator)
        directions = functional.normalize(move(directions, x.device), dim=-1)
        with torch.no_grad():
            found = self.teacher(x, directions)
        batch = {"x": x, "directions": directions, "rgb": found.rgb, "density": found.density}
        self.cache.keep(batch)
        return batch

    def state(self) -> dict[str, Tensor]:
        """The generator, and what comes back."""
        return {"generator": self.generator.get_state(), **self.cache.state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.generator.set_state(state["generator"])
        self.cache.load_state(state, self.student.domain.bounds.device)
