"""A slow teacher's answers come back."""

from typing import Any

import pytest
import torch

from polyfield.backends import dispatch
from polyfield.encodings.domain import Box
from polyfield.fields.base import RadianceField
from polyfield.fields.deep_radiance import DeepRadiance
from polyfield.fields.kilo import KiloBank
from polyfield.fields.radiance import Radiance
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.training.distillation.kilonerf import CellDistillation
from polyfield.training.distillation.pvd import PoseDistillation
from polyfield.training.distillation.teacher_cache import KEPT, MOST, TeacherCache, times_used

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
KINDS = {
    "slow": DeepRadiance(trunk=200, layers=5),
    "bank": KiloBank(cells=2, hidden=8),
    "grid": Radiance(),
}


def _field(kind: str) -> RadianceField:
    torch.manual_seed(0)
    field: RadianceField = KINDS[kind].build(Box(CUBE))
    return field


def _cameras() -> Cameras:
    pose = torch.eye(4)
    pose[2, 3] = 3.0
    return Cameras.stack([Camera(pose, 16, 16, 20.0, 20.0, 8.0, 8.0)] * 3)


def test_answers_are_used_as_often_as_the_student_is_faster() -> None:
    slow, bank, grid = (_field(kind) for kind in KINDS)
    assert times_used(grid, slow) == times_used(slow, slow) == times_used(grid, bank) == 1
    assert 1 < times_used(slow, grid) <= times_used(slow, bank) <= MOST


def test_turns() -> None:
    replay, generator = TeacherCache(3), torch.Generator().manual_seed(0)
    for turn in range(120):
        batch = replay.draw(generator)
        assert (batch is None) == (turn % 3 == 0)
        if batch is None:
            replay.keep({"turn": torch.tensor(turn)})
        else:
            assert turn - int(batch["turn"]) <= 3 * KEPT
    assert len(replay.batches) == KEPT
    once = TeacherCache(1)
    for _ in range(3):
        assert once.draw(generator) is None
        once.keep({"x": torch.zeros(1)})
    assert not once.batches


@pytest.mark.parametrize("way", ["cells", "poses"])
def test_a_slow_teacher_is_asked_now_and_then(way: str) -> None:
    """And what it said is among the things that resuming needs."""
    teacher, student = _field("slow"), _field("bank")
    times = times_used(teacher, student)
    at, seen = [0], set()
    teacher.register_forward_hook(lambda module, given, out: seen.add(at[0]))
    sampler = OccupancyGrid(resolution=8, steps=32).build(Box(CUBE))

    def objective(seed: int) -> Any:
        if way == "cells":
            return CellDistillation(100).build(teacher, student, sampler, seed)
        config = PoseDistillation(samples=100, max_rays=16, poses=4)
        return config.build(teacher, student, sampler, _cameras(), seed)

    with dispatch.force("reference"):
        one, two = objective(0), objective(1)
        steps = times * 2 + 2
        for step in range(steps):
            at[0] = step
            one(step, step / 50)
        assert seen == {0, times, 2 * times}
        two.load_state({name: tensor.clone() for name, tensor in one.state().items()})
        for step in range(steps, steps + 6):
            first, second = (o(step, step / 50)[0] for o in (one, two))
            assert torch.equal(first, second)
