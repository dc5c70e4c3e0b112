"""Distillation of signals: values, and slopes where asked, at random points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.devices import uniform
from polyfield.errors import InputError
from polyfield.fields.base import SignalField
from polyfield.ranges import Range, check
from polyfield.training.distillation.points import Form, size


@dataclass(frozen=True)
class SignalDistillation:
    """A signal's values, and its slopes where asked, at random points."""

    batch: Annotated[int, Range(1, 1 << 22)] = 16384
    """Points a step."""
    form: Form = "mse"
    """Of the residual."""
    slopes: Annotated[float, Range(0, 1e6)] = 0.0
    """Weight of the slopes: differences over a thousandth of the domain, per domain length."""

    def build(self, teacher: SignalField, student: SignalField, seed: int) -> SignalObjective:
        """The objective.

        Raises:
            InputError: the two have different coordinates or channels.
        """
        check(self)
        one, two = (
            (field.domain.dim, field.out_dim, field.domain.bounds.tolist())
            for field in (teacher, student)
        )
        if one != two:
            raise InputError(f"a student of the teacher's kind {one}", str(two), "change it")
        return SignalObjective(self, teacher, student, seed)


class SignalObjective:
    """Draws points of the domain, asks both fields, compares."""

    def __init__(
        self, config: SignalDistillation, teacher: SignalField, student: SignalField, seed: int
    ) -> None:
        self.config, self.teacher, self.student = config, teacher, student
        self.generator = torch.Generator().manual_seed(seed)
        if student.takes_points:
            x = self._draw(1 << 16)
            student.init_from_points(x, _slopes(teacher, x).abs().sum((-1, -2)))

    def _draw(self, n: int) -> Float[Tensor, "n d"]:
        domain = self.student.domain
        # Neighbours share entries of grids, and so caches: in order of one coordinate.
        u = uniform((n, domain.dim), self.generator, domain.bounds.device)
        return domain.inverse(u[u[:, -1].argsort()])

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss at fresh points."""
        x = self._draw(self.config.batch)
        with torch.no_grad():
            wanted = self.teacher(x)
        residual = self.student(x) - wanted
        if self.student.takes_errors:
            self.student.update_error(x, residual.detach().square().mean(-1))
        loss = size(self.config.form, residual)
        if self.config.slopes > 0:
            with torch.no_grad():
                slopes = _slopes(self.teacher, x)
            difference = _slopes(self.student, x) - slopes
            loss = loss + self.config.slopes * size(self.config.form, difference)
        mse = residual.detach().square().mean().item()
        return loss, {"mse": mse, "samples": float(len(x))}

    def state(self) -> dict[str, Tensor]:
        """The generator."""
        return {"generator": self.generator.get_state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.generator.set_state(state["generator"])


STRIDE = 1e-3
"""Of a slope, over the domain's longest edge: kernels have no second derivatives."""


def _slopes(field: SignalField, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d c"]:
    """Change of the values per domain length, along each axis."""
    h = STRIDE * field.domain.length
    steps = torch.eye(x.shape[1], dtype=x.dtype, device=x.device) * (h / 2)
    return torch.stack([(field(x + s) - field(x - s)) / STRIDE for s in steps], 1)
