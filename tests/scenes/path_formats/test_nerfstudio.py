import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.path_formats import CameraPath, Source, read_camera_path
from polyfield.scenes.viewpoints import looking_at

LENS = Camera(torch.eye(4), 40, 30, 50.0, 51.0, 20.0, 15.0)
POSE = looking_at(torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))


def _view(pose: torch.Tensor = POSE, **more: object) -> dict[str, Any]:
    return {"camera_to_world": pose.flatten().tolist(), "fov": 50, "aspect": 1.0, **more}


def _content(*views: dict[str, Any], **more: object) -> dict[str, Any]:
    head = {"camera_type": "perspective", "render_height": 60, "render_width": 80, "fps": 24}
    return {**head, "seconds": 1, "camera_path": list(views), **more}


def _read(tmp_path: Path, content: object, data: Path | None = None) -> CameraPath:
    (tmp_path / "path.json").write_text(json.dumps(content))
    return read_camera_path(Source(tmp_path / "path.json", LENS, None, data))


@pytest.fixture
def blender(tmp_path: Path) -> Path:
    """Data that nerfstudio doesn't move."""
    (tmp_path / "blender").mkdir()
    (tmp_path / "blender" / "transforms_train.json").write_text("{}")
    return tmp_path / "blender"


def test_a_view_has_the_pose_the_size_and_the_vertical_angle(tmp_path: Path, blender: Path) -> None:
    found = _read(tmp_path, _content(_view(), _view(fov=90)), blender)
    first, second = found.cameras
    assert torch.equal(first.pose.float(), POSE) and (first.width, first.height) == (80, 60)
    assert first.fl_y == first.fl_x == pytest.approx(30 / math.tan(math.radians(25)))
    assert second.fl_y == pytest.approx(30.0) and (second.cx, second.cy) == (40.0, 30.0)
    assert found.fps == 24 and found.warnings == ()


def test_what_else_the_viewer_writes_changes_nothing(tmp_path: Path, blender: Path) -> None:
    extra = {
        "keyframes": [{"matrix": "[1]", "fov": 3}], "default_fov": 75.0, "is_cycle": True,
        "default_transition_sec": 2.0, "smoothness_value": 0.5, "crop": None,
    }  # fmt: skip
    found = _read(tmp_path, _content(_view(aspect=1.33), **extra), blender)
    assert found.warnings == () and torch.equal(found.cameras[0].pose.float(), POSE)


def test_what_is_not_drawn_is_told(tmp_path: Path, blender: Path) -> None:
    content = _content(_view(render_time=0.5, focus=1), crop={"crop_center": [0, 0, 0]})
    crop, time, keys = _read(tmp_path, content, blender).warnings
    assert "crop" in crop and "times" in time and "'focus'" in keys


@pytest.mark.parametrize(
    "kind", ["fisheye", "Equirectangular", "omnidirectional", "vr180", "OPENCV_FISHEYE", 3, None]
)
def test_other_projections_are_refused(tmp_path: Path, kind: object) -> None:
    with pytest.raises(InputError, match="a perspective camera_type"):
        _read(tmp_path, _content(_view(), camera_type=kind))


def _similar(turn: torch.Tensor, scale: float, pose: torch.Tensor) -> torch.Tensor:
    """What nerfstudio's parser makes of a pose: turned and moved, then scaled."""
    moved = (turn.double() @ pose.double()).clone()
    moved[:3, 3] *= scale
    return moved


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("place", [".", ".."])
def test_nerfstudios_own_frame_is_undone(tmp_path: Path, applied: bool, place: str) -> None:
    turn = looking_at(torch.tensor([3.0, -1.0, 0.5]), torch.ones(3), torch.tensor([0.0, 1.0, 0.0]))
    before = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 2], [0, 0, 0, 1]])
    data = tmp_path / "data"
    data.mkdir()
    named = {"applied_transform": before[:3].tolist(), "applied_scale": 2.0} if applied else {}
    (data / "transforms.json").write_text(json.dumps({"frames": [], **named}))
    saved = turn.double() @ before.double() if applied else turn.double()
    scale = 0.25
    parsed = {"transform": saved[:3].tolist(), "scale": scale * (2.0 if applied else 1.0)}
    home = tmp_path / "run" / "camera_paths"
    home.mkdir(parents=True)
    (home / place / "dataparser_transforms.json").write_text(json.dumps(parsed))
    inside = _similar(turn, scale, POSE)
    found = _read(home, _content(_view(inside)), data)
    assert torch.allclose(found.cameras[0].pose.float(), POSE, atol=1e-5) and found.warnings == ()
    listed = [{"file_path": "a.png", "transform": inside[:3].tolist()}]
    found = _read(home, listed, data)
    assert torch.allclose(found.cameras[0].pose.float(), POSE, atol=1e-5)


def test_a_frame_that_nobody_knows_is_told(tmp_path: Path) -> None:
    for data in (None, tmp_path / "gone"):
        (line,) = _read(tmp_path, _content(_view()), data).warnings
        assert "dataparser_transforms.json" in line
    (tmp_path / "dataparser_transforms.json").write_text('{"transform": null, "scale": 1}')
    (line,) = _read(tmp_path, _content(_view()), tmp_path / "gone").warnings
    assert "applied_transform" in line


def test_exported_cameras_have_the_lens_of_the_run(tmp_path: Path, blender: Path) -> None:
    found = _read(tmp_path, [{"file_path": "a.png", "transform": POSE[:3].tolist()}], blender)
    (camera,) = found.cameras
    assert torch.equal(camera.pose.float(), POSE)
    assert (camera.width, camera.height, camera.fl_x, camera.cx) == (40, 30, 50.0, 20.0)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"camera_path": [], "render_height": 6, "render_width": 8}, "at least one view"),
        ({"keyframes": []}, "camera_path"),
        ({"camera_path": 3}, "camera_path"),
        ({"camera_path": [_view()], "render_height": 6}, "render_width"),
        (_content(_view(), render_height=1.5), "render_height"),
        (_content(_view(), render_height=float("inf")), "render_height"),
        (_content(_view(), render_height=-2), "1 to 65536"),
        (_content(_view(), render_height=65536, render_width=65536), "fits in memory"),
        (_content(_view(fov=None)), "a fov in degrees in view 0"),
        (_content(_view(), _view(fov=180)), "a fov between 0 and 180 in view 1"),
        (_content(_view(fov=float("nan"))), "a fov between 0 and 180"),
        (_content(_view(2 * POSE)), "0 0 0 1"),
        (_content({"fov": 50}), "a camera_to_world in view 0"),
        (_content({"fov": 50, "camera_to_world": "[1, 0]"}), "4x4 camera_to_world"),
        (_content(_view(), fps="fast"), "a number for fps"),
        ([3], "of objects"),
        ([], "at least one view"),
        ([{"file_path": "a.png"}], "a transform in camera 0"),
    ],
)
def test_a_bad_path_is_named(tmp_path: Path, content: object, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        _read(tmp_path, content)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300


@pytest.mark.parametrize("scale", [0, -1, "x", float("nan")])
def test_a_bad_frame_of_nerfstudio_is_named(tmp_path: Path, scale: object) -> None:
    parsed = {"transform": POSE[:3].tolist(), "scale": scale}
    (tmp_path / "dataparser_transforms.json").write_text(json.dumps(parsed))
    with pytest.raises(InputError, match="scale"):
        _read(tmp_path, _content(_view()))
