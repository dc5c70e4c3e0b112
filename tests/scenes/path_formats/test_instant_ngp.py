import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.path_formats import CameraPath, InstantNgpPath, Source, read_camera_path
from polyfield.scenes.viewpoints import looking_at

LENS = Camera(torch.eye(4), 40, 30, 50.0, 51.0, 22.0, 16.0)
UP = torch.tensor([0.0, 0.0, 1.0])
FOX = [
    # The first frame of instant-ngp's fox, and what its viewer shows for that frame.
    [0.8926439112348871, 0.08799600283226543, 0.4420900262071262, 3.168359405609479],
    [0.4464189982715247, -0.03675452191179031, -0.8940689141475064, -5.4794898611466945],
    [-0.062425682580756266, 0.995442519072023, -0.07209178487538156, -0.9791660699008925],
    [0.0, 0.0, 0.0, 1.0],
]


def _quaternion(rotation: np.ndarray) -> list[float]:
    """A rotation as a unit quaternion x y z w: the eigenvector of its symmetric form."""
    (a, b, c), (d, e, f), (g, h, i) = rotation.tolist()
    form = np.array(
        [
            [a - e - i, d + b, g + c, h - f],
            [d + b, e - a - i, h + f, c - g],
            [g + c, h + f, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    return np.linalg.eigh(form)[1][:, 3].tolist()


def _key(
    pose: object, fov: float = 50.625, scale: float = 0.33, offset: Any = 0.5, **more: object
) -> dict[str, Any]:
    """A pose of the data as instant-ngp's viewer saves it."""
    matrix = np.array(torch.as_tensor(pose, dtype=torch.float64).tolist())
    rotation = matrix[:3, :3] * [1, -1, -1]
    position = matrix[:3, 3] * scale + offset
    order = [1, 2, 0]
    return {
        "R": _quaternion(rotation[order]), "T": position[order].tolist(), "fov": fov,
        "slice": 0.0, "scale": 1.5, "aperture_size": 0.0, **more,
    }  # fmt: skip


def _poses(count: int) -> list[torch.Tensor]:
    angles = [0.5 * i for i in range(count)]
    places = [torch.tensor([4 * math.cos(a), 4 * math.sin(a), 1.0 + a]) for a in angles]
    return [looking_at(place, torch.zeros(3), UP) for place in places]


def _read(
    tmp_path: Path, content: object, frames: int | None = None, data: dict[str, Any] | None = None
) -> CameraPath:
    (tmp_path / "base_cam.json").write_text(json.dumps(content))
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "transforms.json").write_text(json.dumps({"frames": [], **(data or {})}))
    return read_camera_path(Source(tmp_path / "base_cam.json", LENS, frames, tmp_path / "data"))


def test_one_key_frame_is_one_view(tmp_path: Path) -> None:
    found = _read(tmp_path, {"path": [_key(FOX)], "time": 1.0}, 7)
    (camera,) = found.cameras
    assert torch.allclose(camera.pose.float(), torch.tensor(FOX), atol=1e-5)
    assert (camera.width, camera.height, camera.cx, camera.cy) == (40, 30, 20.0, 15.0)
    assert camera.fl_x == camera.fl_y == pytest.approx(15 / math.tan(math.radians(50.625 / 2)))
    assert found.warnings == () and found.fps is None


def test_the_axes_by_hand(tmp_path: Path) -> None:
    # Unturned, it looks along instant-ngp's +z, which is the data's +x; its down, y, is the data's
    # z and its right, x, the data's y.
    key = {"R": [0, 0, 0, 1], "T": [0.83, 0.5, 0.17], "fov": 90.0, "slice": 0, "scale": 1, "dof": 0}
    pose = _read(tmp_path, {"path": [key]}).cameras[0].pose.float()
    assert torch.allclose(pose[:3, 3], torch.tensor([-1.0, 1.0, 0.0]), atol=1e-5)
    assert torch.allclose(-pose[:3, 2], torch.tensor([1.0, 0.0, 0.0]), atol=1e-6)
    assert torch.allclose(-pose[:3, 1], torch.tensor([0.0, 0.0, 1.0]), atol=1e-6)
    assert torch.allclose(pose[:3, 0], torch.tensor([0.0, 1.0, 0.0]), atol=1e-6)
    # A quarter turn about its own z has its sign: w comes last.
    key["R"] = [0, 0, math.sqrt(0.5), math.sqrt(0.5)]
    pose = _read(tmp_path, {"path": [key]}).cameras[0].pose.float()
    assert torch.allclose(pose[:3, 0], torch.tensor([0.0, 0.0, 1.0]), atol=1e-6)


@pytest.mark.parametrize(
    ("keys", "scale", "offset"),
    [
        ({}, 0.33, 0.5),
        ({"scale": 0.1}, 0.1, 0.5),
        ({"scale": 0.2, "offset": [0.1, 0.2, 0.3]}, 0.2, [0.1, 0.2, 0.3]),
        ({"offset": 0.25}, 0.33, 0.25),
        ({"aabb": [[-1, -2, 0], [1, 2, 3]], "scale": 9}, 0.25, [0.5, 0.5, 0.125]),
    ],
)
def test_the_datas_own_scale_and_offset_are_undone(
    tmp_path: Path, keys: dict[str, Any], scale: float, offset: Any
) -> None:
    found = _read(tmp_path, {"path": [_key(FOX, scale=scale, offset=offset)]}, None, keys)
    assert torch.allclose(found.cameras[0].pose.float(), torch.tensor(FOX), atol=1e-5)


def test_scale_and_offset_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "base_cam.json"
    path.write_text(json.dumps({"path": [_key(FOX, scale=2.0, offset=1.0)]}))
    form = InstantNgpPath(2.0, (1.0, 1.0, 1.0))
    found = read_camera_path(Source(path, LENS), form)
    assert torch.allclose(found.cameras[0].pose.float(), torch.tensor(FOX), atol=1e-5)
    assert found.warnings == ()
    (line,) = read_camera_path(Source(path, LENS)).warnings
    assert "0.33" in line and "0.5" in line


@pytest.mark.parametrize("order", [0, 1])
def test_steps_and_lines_pass_through_the_key_frames(tmp_path: Path, order: int) -> None:
    poses = _poses(5)
    content = {"path": [_key(p) for p in poses], "spline_order": order}
    found = _read(tmp_path, content, 16).cameras
    for index, pose in enumerate(poses[:4]):
        assert torch.allclose(found[4 * index].pose.float(), pose, atol=1e-4)


def test_the_cubic_is_a_b_spline(tmp_path: Path) -> None:
    # At a key frame a uniform cubic B-spline has 1/6, 4/6, 1/6 of it and its neighbours; the first
    # and last count twice. Between three equal steps on a line it is on the line.
    poses = []
    for x in (0.0, 1.0, 2.0, 6.0, 6.0):
        pose = torch.eye(4)
        pose[0, 3] = x
        poses.append(pose)
    found = _read(tmp_path, {"path": [_key(p, fov=40 + float(p[0, 3])) for p in poses]}, 4).cameras
    wanted = [(0 * 5 + 1) / 6, (0 + 4 + 2) / 6, (1 + 8 + 6) / 6, (2 + 24 + 6) / 6]
    for camera, x in zip(found, [float(w) for w in wanted], strict=True):
        assert float(camera.pose[0, 3]) == pytest.approx(x, abs=1e-5)
        assert camera.fl_y == pytest.approx(15 / math.tan(math.radians((40 + x) / 2)), rel=1e-5)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("loop", [False, True])
def test_a_sign_of_a_quaternion_changes_nothing(tmp_path: Path, order: int, loop: bool) -> None:
    keys = [_key(pose) for pose in _poses(4)]
    content = {"path": keys, "spline_order": order, "loop": loop}
    before = _read(tmp_path, content, 9).cameras
    keys[1]["R"] = [-3 * value / 2.5 for value in keys[1]["R"]]
    for a, b in zip(before, _read(tmp_path, content, 9).cameras, strict=True):
        assert torch.allclose(a.pose, b.pose, atol=1e-5)


def test_a_loop_comes_back_to_its_first_key_frame(tmp_path: Path) -> None:
    poses = _poses(4)
    content = {"path": [_key(p) for p in poses], "spline_order": 1, "loop": True}
    found = _read(tmp_path, content, 8).cameras
    middle = (poses[3][:3, 3] + poses[0][:3, 3]) / 2
    assert torch.allclose(found[6].pose.float(), poses[3], atol=1e-4)
    assert torch.allclose(found[7].pose[:3, 3].float(), middle, atol=1e-4)


def test_timestamps_are_where_segments_end(tmp_path: Path) -> None:
    poses = _poses(3)
    keys = [_key(p, timestamp=t) for p, t in zip(poses, (3.0, 4.0, 5.0), strict=True)]
    found = _read(tmp_path, {"path": keys, "spline_order": 1}, 4).cameras
    # The path ends with the second of two segments, which is a quarter of it.
    assert torch.allclose(found[3].pose.float(), poses[1], atol=1e-4)
    keys[1]["timestamp"] = 2.0  # they don't rise: equal steps
    found = _read(tmp_path, {"path": keys, "spline_order": 1}, 4).cameras
    assert torch.allclose(found[2].pose.float(), poses[1], atol=1e-4)


def test_sixty_views_unless_a_number_is_asked_for(tmp_path: Path) -> None:
    content = {"path": [_key(pose) for pose in _poses(2)]}
    assert len(_read(tmp_path, content).cameras) == 60
    with pytest.raises(InputError, match="1 to 100000"):
        _read(tmp_path, content, 10**12)


def test_depth_of_field_and_unknown_keys_are_told(tmp_path: Path) -> None:
    blur, keys = _read(tmp_path, {"path": [_key(FOX, dof=0.1, zoom=2)]}).warnings
    assert "depth of field" in blur and "'zoom'" in keys


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"R": [0, 0, 0]}, "a quaternion R"),
        ({"R": [0, 0, 0, 0]}, "length 0"),
        ({"R": [0, 0, 0, 1e9]}, "length 1"),
        ({"R": [0, 0, 0, float("nan")]}, "a quaternion R"),
        ({"R": ["0", 0, 0, 1]}, "a quaternion R"),
        ({"R": {"x": 0}}, "a quaternion R"),
        ({"R": None}, "a quaternion R"),
        ({"T": [0, 0]}, "a position T"),
        ({"T": [0, 0, float("inf")]}, "a position T"),
        ({"T": [0, 0, 1e30]}, "a camera within"),
        ({"fov": None}, "a fov"),
        ({"fov": 0}, "a fov between 0 and 180 in key frame 1"),
        ({"fov": 200}, "a fov between 0 and 180 in key frame 1"),
        ({"timestamp": "now"}, "a number for timestamp"),
    ],
)
def test_a_bad_key_frame_is_named(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        _read(tmp_path, {"path": [_key(FOX), {**_key(FOX), **change}]})
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300


@pytest.mark.parametrize(
    ("content", "data", "word"),
    [
        ({"path": []}, {}, "at least one view"),
        ({"path": "x"}, {}, 'a list "path"'),
        ({"path": [_key(FOX)], "spline_order": 4}, {}, "a spline_order of 0 to 3"),
        ({"path": [_key(FOX)]}, {"scale": 0}, "a scale above 0"),
        ({"path": [_key(FOX)]}, {"scale": "big"}, "a number for scale"),
        ({"path": [_key(FOX)]}, {"offset": [1, 2]}, "offset"),
        ({"path": [_key(FOX)]}, {"aabb": [1, 2, 3]}, "two corners for aabb"),
        ({"path": [_key(FOX)]}, {"from_mitsuba": True}, "from_mitsuba"),
    ],
)
def test_a_bad_path_or_frame_is_named(
    tmp_path: Path, content: dict[str, Any], data: dict[str, Any], word: str
) -> None:
    with pytest.raises(InputError, match=word):
        _read(tmp_path, content, None, data)
