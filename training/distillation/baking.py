"""A field of bytes learns to look like the model it was baked from, as a page will draw it.

Only what is rendered counts: where the grid is too coarse for the teacher's densities and colours,
others at its vertices may look the same, and what stands for the fog that isn't stored too. So each
is rendered by its own sampler. Values are rounded while they learn (fields/baked.py). Source:
Reiser et al. 2023 (MERF) train through the rounding too. Half of the rays are those of the training
views, for which blocks are stored, half of PVD's random poses: these alone teach little where half
of what they see is not stored.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from polyfield.devices import uniform
from polyfield.renderers.exports.source import Tell
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.renderers.renderer import OPAQUE
from polyfield.renderers.volume import points, rendered, transmittance
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.poses import random_cameras
from polyfield.scenes.rays import Rays
from polyfield.training.loop import Fit, FitConfig, Progress
from polyfield.training.objectives.photometric import first_rays, ray_count

RATE = 6e-3
"""Adam's rate of stored values, of their whole range."""
NETWORK_RATE = 5e-3
"""Of what shades rays."""
SAMPLES = 32768
"""Of a step, of the student."""
RAYS = 1 << 14
"""Most rays of a step."""
LIMIT = 1 << 14
"""Most samples of a ray."""
POSES, STEPS = 256, 16
"""Random poses at once, and for how many steps; for as many then the given ones."""
TOLD = 5
"""Lines of progress."""


class Likeness:
    """Random rays, rendered by a teacher and by a student over the same backgrounds."""

    def __init__(
        self, teacher: RadianceModel, student: RadianceModel, cameras: Cameras, seed: int
    ) -> None:
        """What a student learns.

        Args:
            teacher: keeps still.
            student: learns; its sampler keeps still.
            cameras: what poses are like, in their frame.
            seed: of poses, pixels, backgrounds and jitter.
        """
        self.teacher, self.student, self.cameras = teacher, student, cameras
        self.generator = torch.Generator().manual_seed(seed)
        self.rays = first_rays(SAMPLES)
        self.eyes = cameras

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Mean square of the difference in colour."""
        if step % STEPS == 0:
            given = step // STEPS % 2 == 0
            eyes = self.cameras if given else random_cameras(self.cameras, POSES, self.generator)
            self.eyes = eyes.to(self.student.device)
        device = self.student.device
        pose = (uniform((self.rays,), self.generator, device) * len(self.eyes)).long()
        pixel = uniform((self.rays, 2), self.generator, device) * self.eyes.size[pose]
        rays = self.eyes.rays(pose, pixel.floor() + 0.5)
        background = uniform((self.rays, 3), self.generator, device)
        wanted = self.teacher.renderer.picture(self.teacher.field, rays).over(background)
        intervals = self._lit(rays)
        sample = self.student.field(*points(rays, intervals))
        seen = rendered(self.student.field, sample, intervals, rays).over(background)
        loss = (seen - wanted).square().mean()
        samples = len(intervals)
        numbers = {"mse": float(loss.detach()), "samples": float(samples)}
        self.rays = ray_count(self.rays, samples, SAMPLES, RAYS)
        return loss, numbers

    @torch.no_grad()
    def _lit(self, rays: Rays) -> Intervals:
        """The samples that the page will take, but for those that no light reaches."""
        field, sampler = self.student.field, self.student.renderer.sampler
        begin = torch.full_like(rays.near, -torch.inf)
        every = sampler.next_intervals(rays, begin, LIMIT, field.density)
        return every.keep(transmittance(field.density(points(rays, every)[0]), every) > OPAQUE)

    def state(self) -> dict[str, Tensor]:
        """Nothing: a page is learned in one go."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take over."""


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
    eyes = Cameras.stack(cameras, frame=student.frame)
    objective = Likeness(teacher, student, eyes, seed)
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
