"""One picture for one browser, drawn a part at a time: it can be left at any part."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from polyfield.apps.viewer.frames import Frame
from polyfield.apps.viewer.screen import Asked, Level, Speed
from polyfield.renderers.stages.base import Stage

PART_SECONDS = 0.03
"""A part takes about so long: a newer camera waits no longer."""
PARTS = (1 << 12, 1 << 18)
"""Fewest and most pixels of a part."""


@dataclass
class Job:
    """A picture that is being drawn."""

    asked: Asked
    """What it is of."""
    level: Level
    size: tuple[int, int]
    """Width and height, pixels."""
    parts: list[Tensor] = field(default_factory=list)
    """What there is of it."""


class Drawing:
    """Draws a job part by part.

    Args:
        stage: What is drawn.
        frame: Of its browsers.
        job: The picture.
        speed: Of pictures of its level; told what this one took.
    """

    def __init__(self, stage: Stage, frame: Frame, job: Job, speed: Speed) -> None:
        assert job.asked.eye is not None
        self.job = job
        self._stage, self._speed = stage, speed
        # The shape of a pixel follows the canvas, on which the browser stretches the picture.
        camera = frame.camera(job.asked.eye).resized(*job.size)
        self._seconds = 0.0
        part = min(max(int(speed.rate * PART_SECONDS), PARTS[0]), PARTS[1])
        if job.level is Level.MOVING:
            part = job.size[0] * job.size[1]  # nothing leaves it, and parts cost
        self._values = stage.values(camera, job.asked.look, part)

    def go_on(self) -> np.ndarray | None:
        """Draw a part; the picture, uint8 [h w 3], when it was the last one."""
        began = time.perf_counter()
        part = next(self._values, None)
        if part is not None:
            self.job.parts.append(part)
            self._seconds += time.perf_counter() - began
            width, height = self.job.size
            if sum(map(len, self.job.parts)) < width * height:
                return None
        width, height = self.job.size
        self._speed.add(width * height, self._seconds)
        whole = torch.cat(self.job.parts).reshape(height, width, -1)
        return self._stage.image(whole, self.job.asked.look)
