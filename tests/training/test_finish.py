"""What is left to do when training has ended."""

import time

import pytest
import torch

from polyfield.encodings.domain import Box
from polyfield.encodings.identity import Identity
from polyfield.fields.coordinate import Coordinate
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.signals.image import ImageFile
from polyfield.training.loop import Fit, FitConfig, Progress
from polyfield.training.objectives.regression import Regression

STEPS = 5
TAKES = 0.1
"""Seconds."""


class Ending:
    """Takes its time, and remembers after which steps."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.loop: Fit | None = None

    def __call__(self) -> None:
        assert self.loop is not None
        self.steps.append(self.loop.progress.step)
        time.sleep(TAKES)


def _fit(ending: Ending, seconds: float | None = None) -> Fit:
    torch.manual_seed(0)
    pixels = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(1)).numpy()
    picture = ImageFile().build(pixels, ReadOptions())
    field = Coordinate(Identity()).build(Box(picture.bounds), 3)
    config = FitConfig(seconds=seconds, steps=STEPS if seconds is None else None)
    ending.loop = Fit(field, Regression(batch=8).build(picture, field, 0), config, finish=ending)
    return ending.loop


def test_a_run_ends_with_it_once_and_counts_its_time() -> None:
    ending, seen = Ending(), []
    loop = _fit(ending)
    loop.run(lambda progress: seen.append(progress.seconds))
    assert ending.steps == [STEPS] and len(seen) == STEPS
    assert loop.progress.seconds >= seen[-1] + TAKES
    assert loop.progress.fraction == 1.0 and loop.progress.step == STEPS


def test_it_counts_where_seconds_are_the_budget() -> None:
    ending = Ending()
    loop = _fit(ending, seconds=0.01)
    loop.run()
    assert len(ending.steps) == 1 and loop.progress.seconds >= 0.01 + TAKES


def test_a_run_that_is_stopped_has_not_ended() -> None:
    def stop(progress: Progress) -> None:
        if progress.step == STEPS - 1:
            raise KeyboardInterrupt

    ending = Ending()
    loop = _fit(ending)
    with pytest.raises(KeyboardInterrupt):
        loop.run(stop)
    assert ending.steps == []
    loop.run()
    assert ending.steps == [STEPS]
