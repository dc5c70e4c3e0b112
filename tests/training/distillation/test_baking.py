"""A baked model learns to look like its teacher, through its bytes."""

import pytest
import torch

from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.baked import Baked
from polyfield.fields.radiance import Radiance
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.scenes.cameras import Camera
from polyfield.scenes.demo.capture import look_at
from polyfield.training.distillation import baking

BOX = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def test_it_comes_nearer_and_keeps_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baking, "SAMPLES", 4096)
    torch.manual_seed(0)
    grid = HashGrid(levels=4, log2_size=12, base_resolution=4, finest_resolution=24)
    info = SceneInfo(BOX, False, "srgb", (1.0, 1.0, 1.0))
    teacher = RadianceModel(Radiance(grid, hidden=16), OccupancyGrid(resolution=16, steps=64), info)
    with torch.no_grad():
        for parameter in teacher.field.parameters():
            parameter.mul_(2 if len(parameter) < 100 else 1e4)
    axis = (torch.arange(16) + 0.5) / 16 - 0.5
    place = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    teacher.renderer.sampler.adopt((place.norm(dim=-1) < 0.35).float() * 100)
    teacher.eval()
    student = teacher.baked(Baked(blocks=8, cells=3))
    views = [
        Camera(look_at(0.7 * i, 0.1 * i, 3.0), 24, 24, 32.0, 32.0, 12.0, 12.0) for i in range(9)
    ]

    def error() -> float:
        pairs = [(teacher.render(v).color, student.render(v).color) for v in views]
        return float(sum((a - b).square().mean() for a, b in pairs))

    before, slot = error(), student.field.stored_bytes().slot.clone()  # type: ignore[union-attr]
    lines: list[str] = []
    baking.learn_to_look_alike(teacher, student, views, 250, lines.append)
    assert error() < 0.85 * before, (error(), before)
    assert torch.equal(student.field.stored_bytes().slot, slot)  # type: ignore[union-attr]
    assert len(lines) == baking.TOLD and "250 of 250" in lines[-1]
