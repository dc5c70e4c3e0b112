"""Lending: a student is asked where it matters to the teacher; elsewhere the teacher answers.

Not of any paper. A step of a deep student costs forty times as much as its teacher's, and half of
the samples that light reaches carry less than a hundredth of their ray's colour. A sample of
teacher's weight w is asked with probability clamp(w / HEAVY, LEAST, 1); at the others the colour
and density that are blended are the teacher's own. A student equal to its teacher has no loss, as
without; where it errs, it does so in a ray that is otherwise mostly the teacher's. So the PSNR that
is shown while it learns is better than that of its own images.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.devices import uniform
from polyfield.fields.base import RadianceSample
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels import composite as kernel

HEAVY = 0.1
"""Samples of this weight or more are always asked."""
LEAST = 0.25
"""Probability of the least of them. With 0.1 voxels fell back: they learn where they are asked."""


def drawn_samples(
    teacher: Float[Tensor, "n"], intervals: Intervals, generator: torch.Generator
) -> Int64[Tensor, "k"]:
    """Which samples the student is asked at, by the teacher's densities."""
    weights = kernel.weights(teacher, intervals.length, intervals.offsets)[0]
    chance = (weights / HEAVY).clamp(LEAST, 1)
    return (uniform(chance.shape, generator, chance.device) < chance).nonzero()[:, 0]


def filled_in(
    student: RadianceSample, teacher: RadianceSample, index: Int64[Tensor, "k"]
) -> RadianceSample:
    """All samples: the student's at the index, the teacher's elsewhere. Without features.

    Neither shades rays: their samples don't mix.
    """
    return RadianceSample(
        *(
            theirs.index_put((index,), ours)
            for ours, theirs in (
                (student.density, teacher.density),
                (student.rgb, teacher.rgb),
                (student.log_density, teacher.log_density),
            )
        )
    )


def at(sample: RadianceSample, index: Tensor) -> RadianceSample:
    """Some of the points, by index or mask."""
    return RadianceSample(
        sample.density[index],
        sample.rgb[index],
        sample.log_density[index],
        None if sample.feature is None else sample.feature[index],
        None if sample.deferred is None else sample.deferred[index],
    )
