import json
from pathlib import Path

import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.path_formats import CameraPath, Source, read_camera_path

LENS = Camera(torch.eye(4), 40, 30, 50.0, 51.0, 20.0, 15.0)
EYE = torch.eye(4).tolist()
POSED = {"transform_matrix": EYE}
FULL = {"w": 80, "h": 60, "fl_x": 100.0, "fl_y": 102.0, "cx": 41.0, "cy": 29.0}


def _read(tmp_path: Path, **content: object) -> CameraPath:
    (tmp_path / "path.json").write_text(json.dumps(content))
    return read_camera_path(Source(tmp_path / "path.json", LENS))


def _lens(camera: Camera) -> tuple[float, ...]:
    return (camera.width, camera.height, camera.fl_x, camera.fl_y, camera.cx, camera.cy)


def test_a_path_takes_what_it_does_not_say_from_the_run(tmp_path: Path) -> None:
    found = _read(tmp_path, frames=[POSED, {**POSED, "w": 80, "h": 60}, {**POSED, **FULL}])
    assert [_lens(camera) for camera in found.cameras] == [
        (40, 30, 50.0, 51.0, 20.0, 15.0),
        (80, 60, 100.0, 102.0, 40.0, 30.0),
        (80, 60, 100.0, 102.0, 41.0, 29.0),
    ]
    assert found.warnings == () and found.fps is None


def test_an_angle_is_a_focal_length_at_any_size(tmp_path: Path) -> None:
    angle = 2 * torch.atan(torch.tensor(0.5)).item()
    found = _read(tmp_path, camera_angle_x=angle, fps=24, frames=[POSED])
    assert found.cameras[0].fl_x == pytest.approx(40.0, rel=1e-5)
    assert found.cameras[0].fl_y == found.cameras[0].fl_x and found.fps == 24
    found = _read(tmp_path, camera_angle_x=angle, w=80, h=60, frames=[POSED])
    assert found.cameras[0].fl_x == pytest.approx(80.0, rel=1e-5)


@pytest.mark.parametrize("key", ["fl_x", "fl_y", "cx", "cy"])
@pytest.mark.parametrize("shared", [True, False])
def test_lengths_in_pixels_need_the_size_that_they_are_for(
    tmp_path: Path, key: str, shared: bool
) -> None:
    extra = {key: 22.0}
    with pytest.raises(InputError, match=f"w and h beside {key}"):
        _read(tmp_path, frames=[POSED if shared else {**POSED, **extra}], **extra if shared else {})


def test_the_halves_of_two_lenses_are_never_mixed(tmp_path: Path) -> None:
    own = {"fl_x": 90.0}
    found = _read(tmp_path, **FULL, k1=0.1, p1=0.01, frames=[POSED, {**POSED, **own, "k2": 0.02}])
    assert _lens(found.cameras[1]) == (80, 60, 90.0, 90.0, 41.0, 29.0)
    assert found.cameras[0].lens == OpenCV(0.1, 0.0, 0.01, 0.0)
    assert found.cameras[1].lens == OpenCV(0.0, 0.02, 0.0, 0.0)
    with pytest.raises(InputError, match="fl_x beside w and h in frame 0"):
        _read(tmp_path, **FULL, frames=[{**POSED, "w": 40, "h": 30}])
    half = {"w": 40, "h": 30, "fl_x": 50.0, "cx": 20.0, "cy": 15.0}
    assert _read(tmp_path, **FULL, frames=[{**POSED, **half}]).cameras[0].fl_x == 50.0


def test_lengths_that_contradict_every_angle_are_for_another_size(tmp_path: Path) -> None:
    angle = {"camera_angle_x": 2 * torch.atan(torch.tensor(0.4)).item()}
    assert _read(tmp_path, **FULL, **angle, frames=[POSED]).cameras[0].fl_x == 100.0
    with pytest.raises(InputError, match="agrees with its angle at 40x30"):
        _read(tmp_path, **{**FULL, "w": 40, "h": 30, "cx": 20, "cy": 15}, **angle, frames=[POSED])
    # BlenderNeRF writes the angle of the sensor's height, whatever the image's.
    odd = {"camera_angle_y": 0.3}
    assert _read(tmp_path, **FULL, **angle, **odd, frames=[POSED]).cameras[0].fl_y == 102.0


OTHERS = [
    {"k4": -0.1},
    {"k5": 1e-9},
    {"k6": 0.1},
    {"ftheta_p0": 1.0},
    {"latlong": True},
    {"equirectangular": True},
    {"orthographic": True},
    {"rolling_shutter": [0, 0, 0, 0.1]},
    {"camera_model": "FISHEYE624"},
    {"camera_model": ["OPENCV"]},
    {"camera_model": 3},
]


@pytest.mark.parametrize("other", OTHERS)
def test_lenses_we_do_not_have_are_refused(tmp_path: Path, other: dict[str, object]) -> None:
    with pytest.raises(InputError, match="(a lens with|camera_model of).*in frame 0") as caught:
        _read(tmp_path, **FULL, **other, frames=[POSED])
    assert next(iter(other)) in str(caught.value)
    # A frame's own coefficients hide nothing else of it.
    with pytest.raises(InputError, match="(a lens with|camera_model of).*in frame 1"):
        _read(tmp_path, **FULL, frames=[POSED, {**POSED, **other, "k1": 0.1}])


def test_switches_that_are_off_are_no_other_lens(tmp_path: Path) -> None:
    off = {"is_fisheye": False, "k3": 0, "k4": 0.0, "rolling_shutter": [0, 0], "latlong": None}
    for model in ("OPENCV", "PINHOLE", "SIMPLE_RADIAL"):
        assert len(_read(tmp_path, **FULL, **off, camera_model=model, frames=[POSED]).cameras) == 1


def test_keys_that_nobody_knows_are_named(tmp_path: Path) -> None:
    known = {"file_path": "a.png", "sharpness": 3.0}
    found = _read(tmp_path, aabb_scale=4, frames=[{**POSED, **known}])
    assert found.warnings == ()
    (line,) = _read(tmp_path, flx=3, frames=[{**POSED, "wide": 1}]).warnings
    assert "'flx', 'wide'" in line


def test_the_forms_of_a_matrix(tmp_path: Path) -> None:
    flat = [value for row in EYE for value in row]
    frames = [{"transform_matrix": matrix} for matrix in (EYE, EYE[:3], flat, flat[:12])]
    found = _read(tmp_path, frames=frames)
    assert all(torch.equal(camera.pose.float(), torch.eye(4)) for camera in found.cameras)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({}, 'a camera path in .*"frames".*"camera_path".*"path"'),
        ({"frames": []}, "at least one view"),
        ({"frames": [3]}, "of objects"),
        ({"frames": {"a": 1}}, "of objects"),
        ({"frames": None}, "of objects"),
        ({"frames": [{}]}, "transform_matrix in frame 0"),
        ({"frames": [{"transform_matrix": [[1, 2], [3, 4]]}]}, "4x4"),
        ({"frames": [{"transform_matrix": [["1", 0, 0, 0]] * 4}]}, "numbers in the"),
        ({"frames": [{**POSED, "w": 0.5}]}, "whole w and h"),
        ({"frames": [{**POSED, "w": 8}]}, "whole w and h"),
        ({"frames": [{**POSED, "w": 0, "h": 0}]}, "1 to 65536"),
        ({"frames": [{**POSED, "w": 65536, "h": 65536}]}, "fits in memory"),
        ({"frames": [{**POSED, "camera_angle_x": 9}]}, "between 0 and pi"),
        ({"frames": [{**POSED, "camera_angle_y": float("nan")}]}, "between 0 and pi"),
        ({"frames": [{**POSED, **FULL, "fl_x": -1, "fl_y": -1}]}, "field of view"),
        ({"frames": [{**POSED, **FULL, "fl_x": "long"}]}, "a number for fl_x"),
        ({"frames": [{**POSED, **FULL, "cx": 200}]}, "cx cy inside the 80x60 image"),
        ({"frames": [POSED], "fps": "fast"}, "a number for fps"),
    ],
)
def test_a_bad_path_is_named(tmp_path: Path, content: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        _read(tmp_path, **content)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300


def test_a_path_has_an_upper_bound(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 to 100000"):
        _read(tmp_path, frames=[{}] * 100_001)
