"""What opening a capture offers to who has many pixels."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.apps.tasks.scene import Scene
from polyfield.apps.tasks.scene_presets import LARGE, larger_preset
from polyfield.fields.radiance import Radiance
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.demo.capture import Analytic
from polyfield.scenes.images import write_image

OFFER = "images of 640x8: --preset hash-large has a larger grid for so many pixels (slower a step)"
HASH = Scene.presets()["hash"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of images of 640x8."""
    folder = tmp_path_factory.mktemp("wide")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 640, 3), dtype=np.uint8)
    cameras = Analytic(train=4, val=1, test=1).open("demo", ReadOptions()).cameras("train")
    frames = []
    for i, pose in enumerate(cameras.user_poses.tolist()):
        write_image(folder / f"{i}.png", pixels)
        frames.append({"file_path": f"{i}.png", "transform_matrix": pose})
    lens = {"fl_x": 800.0, "fl_y": 800.0, "w": 640, "h": 8}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))
    return folder


def _offers(task: Scene, capture: Path, training: bool = True) -> list[str]:
    return [note for note in task.open(capture, training).notes if "hash-large" in note]


def test_a_larger_grid_is_offered_for_large_images(wide: Path) -> None:
    assert _offers(HASH, wide) == [OFFER]
    assert _offers(HASH, wide, training=False) == []


def test_none_is_offered_for_small_images(wide: Path) -> None:
    assert _offers(replace(HASH, read=ReadOptions(downscale=2)), wide) == []


def test_none_is_offered_to_another_field(wide: Path) -> None:
    assert isinstance(HASH.field, Radiance)
    other = replace(HASH, field=replace(HASH.field, hidden=32))
    for task in (other, Scene.presets()["hash-large"], Scene.presets()["triplane"]):
        assert _offers(task, wide) == []


@pytest.mark.parametrize(
    ("longer", "offered"), [([LARGE], True), ([LARGE - 1], False), ([2000, 9, 9], False),
                            ([9, LARGE, 2000], True)],
)  # fmt: skip
def test_the_median_counts(longer: list[int], offered: bool) -> None:
    sizes = torch.tensor([[4, side] for side in longer])
    found = larger_preset(HASH.field, sizes)
    assert (found is not None) == offered
    assert found is None or found.startswith(f"images of 4x{LARGE}:")
