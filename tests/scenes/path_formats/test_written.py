"""Camera paths that are written are the ones that are read."""

import json
import math
from pathlib import Path

import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.path_formats import (
    WRITTEN,
    CameraPath,
    Source,
    read_camera_path,
    save_target,
    write_camera_path,
)
from polyfield.scenes.viewpoints import looking_at, parse_field_of_view, with_field_of_view

UP = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


def _path(count: int, focal: float = 50.0) -> list[Camera]:
    found = []
    for i in range(count):
        place = torch.tensor([4 * math.cos(i), 4 * math.sin(i), 1.0 + i]).double()
        pose = looking_at(place, torch.zeros(3).double(), UP)
        found.append(Camera(pose, 40, 30, focal + i, focal + i, 20.0, 15.0))
    return found


@pytest.mark.parametrize("name", list(WRITTEN))
@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("moved", [False, True])
def test_a_path_comes_back(tmp_path: Path, name: str, count: int, moved: bool) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shared = {"scale": 0.7, "offset": [0.1, 0.2, 0.3]} if moved else {}
    (data / "transforms.json").write_text(json.dumps({"frames": [], **shared}))
    if moved:
        turn = looking_at(torch.ones(3).double(), torch.zeros(3).double(), UP)[:3].tolist()
        text = json.dumps({"transform": turn, "scale": 0.25})
        (tmp_path / "dataparser_transforms.json").write_text(text)
    source = Source(tmp_path / "path.json", _path(1)[0], None, data)
    views = _path(count)
    written = write_camera_path(WRITTEN[name], CameraPath(views, 24.0), source)
    back = read_camera_path(Source(source.path, views[0], count if "ngp" in name else None, data))
    assert not [line for line in (*written, *back.warnings) if "taken to be" not in line]
    assert len(back.cameras) == count
    for one, other in zip(views, back.cameras, strict=True):
        torch.testing.assert_close(one.pose, other.pose, atol=1e-6, rtol=0)
        assert (other.width, other.height) == (40, 30)
        assert other.fl_y == pytest.approx(one.fl_y, rel=1e-6)


def test_a_lens_that_a_path_can_not_say_is_told(tmp_path: Path) -> None:
    odd = Camera(torch.eye(4), 40, 30, 50.0, 60.0, 22.0, 15.0)
    source = Source(tmp_path / "path.json", odd, None, tmp_path)
    for name, told in (("transforms", 0), ("nerfstudio", 1), ("instant-ngp", 1)):
        lines = write_camera_path(WRITTEN[name], CameraPath([odd]), source)
        assert sum("optical axis" in line for line in lines) == told


def test_a_name_before_the_file_says_which_form() -> None:
    assert save_target("a/b.json") == (WRITTEN["transforms"], Path("a/b.json"))
    assert save_target("nerfstudio:p.json") == (WRITTEN["nerfstudio"], Path("p.json"))
    for wrong in ("a.yaml", "blender:a.json", "nerfstudio:", ""):
        with pytest.raises(InputError, match=r"--save-path FILE\.json"):
            save_target(wrong)


def test_a_field_of_view_is_that_of_the_height() -> None:
    camera = with_field_of_view(Camera(torch.eye(4), 40, 30, 50.0, 25.0, 20.0, 15.0), 90.0)
    assert (camera.fl_x, camera.fl_y) == (pytest.approx(30.0), pytest.approx(15.0))
    assert parse_field_of_view("50") == (50, 50) and parse_field_of_view("60:30.5") == (60, 30.5)
    for wrong in ("", "0", "171", "1:2:3", "a", "nan", "60:"):
        with pytest.raises(InputError, match="--fov in degrees"):
            parse_field_of_view(wrong)
