import json
from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_files import fingerprint, read_cameras, read_path, write_cameras
from polyfield.scenes.cameras import Camera
from polyfield.scenes.images import write_image

LENS = Camera(torch.eye(4), 40, 30, 50.0, 51.0, 20.0, 15.0)
EYE = torch.eye(4).tolist()


def _path(tmp_path: Path, **content: object) -> Path:
    (tmp_path / "path.json").write_text(json.dumps(content))
    return tmp_path / "path.json"


def test_cameras_come_back_exactly(tmp_path: Path, data_dir: Path) -> None:
    capture = open_capture(data_dir / "nerf" / "fox", ReadOptions(downscale=2))
    write_cameras(tmp_path / "cameras.json", capture)
    found = read_cameras(tmp_path / "cameras.json")
    assert list(found) == list(capture.splits)
    for split, cameras in found.items():
        given = capture.cameras(split)
        assert len(cameras) == len(given)
        for index, camera in enumerate(cameras):
            wanted = given[index]
            assert torch.equal(camera.pose, wanted.pose)
            for name in ("width", "height", "fl_x", "fl_y", "cx", "cy", "distortion"):
                assert getattr(camera, name) == getattr(wanted, name)


def test_a_path_takes_what_it_does_not_say_from_the_run(tmp_path: Path) -> None:
    frames = [{"transform_matrix": EYE}, {"transform_matrix": EYE, "w": 80, "h": 60, "fl_x": 7}]
    first, second = read_path(_path(tmp_path, frames=frames), LENS)
    assert (first.width, first.height, first.fl_x, first.fl_y) == (40, 30, 50.0, 51.0)
    assert (second.width, second.height, second.fl_x, second.fl_y) == (80, 60, 7.0, 7.0)
    assert (second.cx, second.cy) == (40.0, 30.0)


def test_an_angle_is_a_focal_length(tmp_path: Path) -> None:
    angle = 2 * torch.atan(torch.tensor(0.5)).item()
    path = _path(tmp_path, camera_angle_x=angle, frames=[{"transform_matrix": EYE}])
    assert read_path(path, LENS)[0].fl_x == pytest.approx(40.0, rel=1e-5)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({}, "frames"),
        ({"frames": []}, "frames"),
        ({"frames": [3]}, "frames"),
        ({"frames": [{}]}, "transform_matrix in frame 0"),
        ({"frames": [{"transform_matrix": [[1, 2], [3, 4]]}]}, "4x4"),
        ({"frames": [{"transform_matrix": EYE, "w": 0.5}]}, "w and h"),
        ({"frames": [{"transform_matrix": EYE, "camera_angle_x": 9}]}, "between 0 and pi"),
        ({"frames": [{"transform_matrix": EYE, "fl_x": -1}]}, "field of view"),
        ({"frames": [{"transform_matrix": EYE, "fl_x": "long"}]}, "a number for fl_x"),
    ],
)
def test_a_bad_path_is_named(tmp_path: Path, content: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word):
        read_path(_path(tmp_path, **content), LENS)


def test_the_fingerprint_follows_pixels_poses_and_bounds(tmp_path: Path) -> None:
    picture = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
    frames = [{"file_path": f"{i}.png", "transform_matrix": EYE, "fl_x": 9} for i in range(3)]
    frames[2]["transform_matrix"] = [[1, 0, 0, 0.5], *EYE[1:]]

    def named(**options: object) -> str:
        for index in range(3):
            write_image(tmp_path / f"{index}.png", picture[index])
        (tmp_path / "transforms.json").write_text(json.dumps({"frames": frames}))
        capture = open_capture(tmp_path, ReadOptions(**options))  # type: ignore[arg-type]
        return fingerprint(capture, capture.scene("train"))

    before = named()
    assert named() == before
    assert named(bounds=(-1.0, -1.0, -1.0, 1.0, 1.0, 1.0)) != before
    picture[1, 2, 3, 0] += 1
    after = named()
    assert after != before
    frames[2]["fl_x"] = 10
    assert named() != after


def test_what_is_no_cameras_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "cameras.json").write_text("[]")
    with pytest.raises(InputError, match=r"cameras\.json"):
        read_cameras(tmp_path / "cameras.json")
