"""A field of bytes learns to look like the model it was baked from, as a page will draw it.

Only what is rendered counts: where the grid is too coarse for the teacher's densities and colours,
others at its vertices may look the same. Values are rounded while they learn (fields/baked.py).
Source: Reiser et al. 2023 (MERF) train through the rounding too; the rays are PVD's.
"""

from __future__ import annotations

from polyfield.renderers.exports.source import Tell
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.renderers.seen_field import SeenField
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.training.distillation.points import PointLoss
from polyfield.training.distillation.pvd import PoseDistillation
from polyfield.training.loop import Fit, FitConfig, Progress

RATE = 6e-3
"""Adam's rate of stored values, of their whole range."""
NETWORK_RATE = 5e-3
"""Of what shades rays."""
SAMPLES = 65536
"""Of a step."""
TOLD = 5
"""Lines of progress."""


def learn_to_look_alike(
    teacher: RadianceModel,
    student: RadianceModel,
    cameras: list[Camera],
    steps: int,
    tell: Tell,
    seed: int = 0,
) -> None:
    """Train the student's bytes from random poses.

    Args:
        teacher: what was baked; on the student's device.
        student: what came of it; keeps its blocks.
        cameras: what poses are like, the user's frame; at least one.
        steps: how long.
        tell: shows progress.
        seed: of the poses and rays.
    """
    only_seen = PointLoss("mse", stages=(0.0, 0.0), feature=0.0, density=0.0, color=0.0)
    rays = PoseDistillation(only_seen, samples=SAMPLES, all_samples=True)
    eyes = Cameras.stack(cameras, frame=student.frame)
    sampler = student.renderer.sampler
    seen = SeenField(teacher.field, teacher.renderer.sampler.is_occupied)
    objective = rays.build(seen, student.field, sampler, eyes, seed)
    config = FitConfig(
        steps=steps, rates={"table": RATE, "network": NETWORK_RATE}, warm_up=0.02, final=0.1
    )
    every = max(steps // TOLD, 1)

    def on_step(progress: Progress) -> None:
        if progress.step % every == 0:
            tell(f"page: learning, {progress.step} of {steps} steps")

    student.train()
    Fit(student.field, objective, config).run(on_step)
    student.eval()
