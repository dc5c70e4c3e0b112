"""Auxiliary heads: small networks from a student's stages to log-density and colour.

The idea is Hao et al. 2023's (OFA-KD): features of different architectures don't compare, what they
are for does. Each stage of the student gets a network of its own whose outputs imitate the
teacher's; all of them are dropped at the end.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.errors import InputError
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.networks.mlp import MLP
from polyfield.training.distillation.points import PointLoss, density_term, size

HIDDEN = 32
"""Width of a head's one hidden layer."""


class WithHeads(RadianceField):
    """A student and its heads, as the one thing that trains. It answers as the student does."""

    def __init__(self, student: RadianceField) -> None:
        """Heads for all stages of the student.

        Raises:
            InputError: the student has no stages.
        """
        super().__init__()
        self.domain, self.student = student.domain, student
        self.takes_errors, self.takes_points = student.takes_errors, student.takes_points
        self.shades_rays = student.shades_rays
        with torch.no_grad():
            stages = student.intermediate_features(student.domain.bounds.mean(0, keepdim=True))
        if not stages:
            raise InputError("a student with stages for --heads", "none", "drop --heads")
        widths = [stage.shape[-1] for stage in stages]
        self._heads = [MLP([k + 3, HIDDEN, 4], bias=True) for k in widths]
        self.heads = nn.ModuleList(self._heads)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The student's, and the heads."""
        return {**self.student.groups(), "heads": list(self.heads.parameters())}

    def terms(
        self,
        loss: PointLoss,
        x: Float[Tensor, "n 3"],
        directions: Float[Tensor, "n 3"],
        teacher: RadianceSample,
    ) -> Tensor:
        """What the heads say of the points against the teacher's answer."""
        total = x.new_zeros(())
        # A student may grow while it trains: stages are counted from the finished one.
        stages = self.student.intermediate_features(x)
        for head, stage in zip(self._heads, stages, strict=False):
            y = head(torch.cat([stage, directions], -1))
            color = size(loss.form, y[:, 1:].sigmoid() - teacher.rgb)
            total = total + density_term(loss, y[:, 0], teacher.log_density) + loss.color * color
        return total

    def density(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """As the student without heads."""
        return self.student.density(x)

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """As the student without heads."""
        return self.student.geometry(x)

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """As the student without heads."""
        sample: RadianceSample = self.student(x, directions)
        return sample

    def shade(
        self,
        seen: Float[Tensor, "r c"],
        opacity: Float[Tensor, "r"],
        directions: Float[Tensor, "r 3"],
    ) -> Float[Tensor, "r 3"]:
        """As the student without heads."""
        return self.student.shade(seen, opacity, directions)

    def draw_points(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 3"]:
        """As the student without heads."""
        return self.student.draw_points(n, generator)

    def set_progress(self, t: float) -> None:
        """Tell the student."""
        self.student.set_progress(t)

    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:
        """Tell the student."""
        self.student.update_error(x, error)

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:
        """Tell the student."""
        self.student.init_from_points(x, weight)
