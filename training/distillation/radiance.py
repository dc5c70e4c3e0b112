"""What a student of a radiance field inherits, and what its loop needs."""

from __future__ import annotations

from dataclasses import replace

from torch.nn import functional

from polyfield.fields import RadianceFieldConfig
from polyfield.renderers.corrections import Corrections
from polyfield.renderers.radiance_model import RadianceModel, SamplerConfig
from polyfield.scenes.cameras import Cameras
from polyfield.training.distillation.extract_occupancy import extract_occupancy
from polyfield.training.distillation.heads import WithHeads
from polyfield.training.distillation.kilonerf import CellDistillation
from polyfield.training.distillation.methods import KiloNerf, Pvd, PvdActive
from polyfield.training.distillation.points import PointLoss, inherit
from polyfield.training.distillation.pvd import PoseDistillation
from polyfield.training.loop import FitConfig, Objective
from polyfield.training.objectives.staged import Staged
from polyfield.training.task import Training

HEAD_RATE = 1e-2
"""Learning rate of auxiliary heads."""
BATCH = 0.5
"""Samples a step along rays, times the preset's: targets have no noise, so more steps are better.

Deep networks gain 1 to 3 dB in a minute of two slow cores, grids nothing
(benchmarks/distillation.md).
"""


def radiance_student(
    field: RadianceFieldConfig,
    sampler: SamplerConfig,
    teacher: RadianceModel,
    whole_grid: bool,
    inherits: bool,
) -> RadianceModel:
    """A student in the teacher's world, its grid filled.

    Args:
        field: The student's.
        sampler: The student's own.
        teacher: On its device; the student goes there.
        whole_grid: Whether the teacher's very cells are taken over, not its density alone.
        inherits: Whether march, grid and heads are taken from the teacher.

    Raises:
        InputError: the student's sampler keeps no grid.
    """
    theirs = teacher.renderer.sampler
    known = theirs.handover() if inherits else None
    if known is not None:
        # As coarse steps as mlp's lose three decibels of a teacher with finer ones, and by another
        # threshold other cells are occupied.
        sampler = sampler.following(known, whole_grid)
    # What is behind everything is the teacher's; how single images were taken is of no use.
    sky = Corrections(sky=teacher.configs[2].sky)
    student = RadianceModel(field, sampler, teacher.info, sky).to(teacher.device)
    if student.corrections.sky is not None and teacher.corrections.sky is not None:
        student.corrections.sky.load_state_dict(teacher.corrections.sky.state_dict())
    ours = student.renderer.sampler
    if known is not None and whole_grid:
        ours.adopt(known.value)
    else:
        extract_occupancy(ours, teacher.field.density, theirs, inherits)
    if inherits:
        inherit(student.field, teacher.field)
    cells = student.field.bake(teacher.field, ours.is_occupied)
    if cells is not None and ours.cells is not None:
        # What the field stores is where it is sampled, no more and no less.
        size = (ours.cells,) * 3
        ours.adopt(functional.interpolate(cells[None, None], size)[0, 0])
    return student


def radiance_lesson(
    student: RadianceModel,
    teacher: RadianceModel,
    method: Pvd | PvdActive | KiloNerf,
    cameras: Cameras,
    seed: int,
    samples: int,
    fit: FitConfig,
) -> Training:
    """What the student's loop needs.

    Args:
        student: Of `radiance_student`.
        teacher: Keeps still.
        method: How it learns.
        cameras: What random poses are like.
        seed: Of everything random.
        samples: A step's, as the student's preset has it.
        fit: Budget and rates.
    """
    pair, sampler = (teacher.field, student.field), student.renderer.sampler
    rates = replace(fit, rates={**fit.rates, "heads": HEAD_RATE})
    clamp, stages = PointLoss().clamp if method.clamp else None, PointLoss().stages
    cells = isinstance(method, KiloNerf)
    loss = PointLoss(
        method.loss, clamp=clamp, stages=stages if method.stages and not cells else (0.0, 0.0)
    )
    rays = PoseDistillation(loss, samples=round(BATCH * samples), all_samples=method.all_samples)
    objective: Objective
    if isinstance(method, KiloNerf):
        objective = CellDistillation(samples).build(*pair, sampler, seed)
        if method.stages:
            # What the teacher renders comes where KiloNeRF has images.
            then = replace(rays, placed=True).build(*pair, sampler, cameras, seed)
            objective = Staged([(stages[1], objective), (1.0, then)])
        return Training(student.field, objective, rates)
    if isinstance(method, PvdActive):
        rays = replace(rays, levels=method.levels)
    heads = WithHeads(student.field).to(student.device) if method.heads else None
    objective = rays.build(*pair, sampler, cameras, seed, heads)
    return Training(student.field if heads is None else heads, objective, rates)
