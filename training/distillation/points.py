"""What a student learns from a teacher at points: shared feature, log-density, colour.

Source: Fang et al. 2023 (PVD), released code. Symbols: s log-density per half box length, v the
feature of colour, c the colour of a point in [0,1], T the teacher's and S the student's, r a
residual, p in [0,1] the progress of training, |r| = norm of the whole tensor r.

    stage 1: w_v |v_S - v_T|                           p < stages[0]; only for pairs that share v
    stage 2: ... + w_c |c_S - c_T| + w_s |s_S - s_T|   p < stages[1], with both s clamped
    stage 3: the same, and what the caller adds of rendered colour

Released weights are 0.002 for each term of a hash grid's students (of other teachers', 0.05 for s
and 0.01 for c, in the authors' notes), and w_v falls by 0.995 at each step, so that it is next to
nothing in stage 2. With a CPU's small batches the weights below, of which w_v stays, bring deep
students further and the others as far. The gradient of the clamp that leads back into its range is
kept: the released code's is 0 beyond, and a student there is never told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.networks.activations import clip
from polyfield.ranges import Range

Form = Literal["norm", "mse"]
HALF = math.log(2.0)
"""A log-density per half box length is that per box length less this."""


@dataclass(frozen=True)
class PointLoss:
    """Weights and form of the terms at points."""

    form: Form = "norm"
    """norm: of the whole residual, as released; mse: its mean square."""
    clamp: Annotated[tuple[float, float], Range(-1000, 1000)] | None = (-2.0, 7.0)
    """Range of log-densities per half box length; None for none."""
    stages: Annotated[tuple[float, float], Range(0, 1)] = (1 / 15, 1 / 6)
    """Progress at which stages 2 and 3 begin; (0, 0) for everything at once."""
    feature: Annotated[float, Range(0, 1e6)] = 0.2
    """w_v; released 0.002, falling."""
    density: Annotated[float, Range(0, 1e6)] = 0.05
    """w_s; released 0.002."""
    color: Annotated[float, Range(0, 1e6)] = 0.2
    """w_c; released 0.002."""

    def __post_init__(self) -> None:
        if self.stages[0] > self.stages[1]:
            raise InputError("stages[0] <= stages[1]", str(self.stages), "change them")
        if self.clamp is not None and not self.clamp[0] < self.clamp[1]:
            raise InputError("a clamp from low to high", str(self.clamp), "change it")

    def stage(self, progress: float, shares: bool) -> int:
        """1, 2 or 3; pairs without a common feature begin with 2."""
        first = 1 if shares else 2
        return max(first, 1 + (progress >= self.stages[0]) + (progress >= self.stages[1]))


def size(form: Form, residual: Tensor) -> Tensor:
    """The size of a residual, as a scalar."""
    if form == "mse":
        return residual.square().mean() if residual.numel() else residual.sum()
    return residual.norm()


def share_feature(student: RadianceField, teacher: RadianceField) -> bool:
    """Whether both have a feature of colour of the same width."""
    with torch.no_grad():
        one, two = (
            field.geometry(field.domain.bounds.mean(0, keepdim=True))[1]
            for field in (student, teacher)
        )
    return one is not None and two is not None and one.shape == two.shape


def feature_term(
    loss: PointLoss,
    student: Float[Tensor, "n k"] | None,
    teacher: Float[Tensor, "n k"] | None,
) -> Tensor:
    """w_v |v_S - v_T|."""
    assert student is not None and teacher is not None
    return loss.feature * size(loss.form, student - teacher)


def density_term(
    loss: PointLoss, student: Float[Tensor, "n"], teacher: Float[Tensor, "n"]
) -> Tensor:
    """w_s |s_S - s_T| of log-densities per box length, clamped."""
    one, two = student - HALF, teacher - HALF
    if loss.clamp is not None:
        one, two = clip(one, *loss.clamp), two.clamp(*loss.clamp)
    return loss.density * size(loss.form, one - two)


def point_terms(
    loss: PointLoss,
    student: RadianceSample,
    teacher: RadianceSample,
    shares: bool,
) -> dict[str, Tensor]:
    """The terms of stages 2 and 3 at the same points, by name."""
    terms = {
        "density": density_term(loss, student.log_density, teacher.log_density),
        "color": loss.color * size(loss.form, student.rgb - teacher.rgb),
    }
    if shares:
        terms["feature"] = feature_term(loss, student.feature, teacher.feature)
    return terms


def inherit(student: RadianceField, teacher: RadianceField) -> list[str]:
    """Copy the teacher's heads: networks' tensors of the same name and shape.

    Tables stay as they are: a student of the teacher's own kind would be a copy.

    Returns:
        Names of the copied parameters.
    """
    tables = {id(p) for p in student.groups().get("table", [])}
    theirs = dict(teacher.named_parameters())
    taken = []
    with torch.no_grad():
        for name, own in student.named_parameters():
            found = theirs.get(name)
            if found is not None and found.shape == own.shape and id(own) not in tables:
                own.copy_(found)
                taken.append(name)
    return taken


STEP = 0.0211 / 2.4
"""Step of opacities over the box length: released 0.0211, for a Lego of 2.4."""


def opacity(field: RadianceField, density: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """1 - exp(-density STEP): KiloNeRF's bounded target in place of densities."""
    return -torch.expm1(-density * (STEP * field.domain.length))


def opacity_loss(
    student: RadianceField,
    ours: RadianceSample,
    rgb: Float[Tensor, "n 3"],
    density: Float[Tensor, "n"],
) -> Float[Tensor, ""]:
    """KiloNeRF's loss: the mean square over colour and opacity of points.

    Its sum over networks is this times their number, which Adam does not see.
    """
    mine = torch.cat([ours.rgb, opacity(student, ours.density)[:, None]], -1)
    theirs = torch.cat([rgb, opacity(student, density)[:, None]], -1)
    return (mine - theirs).square().mean()
