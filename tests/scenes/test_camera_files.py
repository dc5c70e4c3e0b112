import json
from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_files import fingerprint, read_cameras, write_capture
from polyfield.scenes.images import write_image

EYE = torch.eye(4).tolist()


def test_cameras_come_back_exactly(tmp_path: Path, data_dir: Path) -> None:
    capture = open_capture(data_dir / "nerf" / "fox", ReadOptions(downscale=2))
    write_capture(tmp_path / "cameras.json", capture)
    found = read_cameras(tmp_path / "cameras.json")
    assert list(found) == list(capture.splits)
    for split, cameras in found.items():
        given = capture.cameras(split)
        assert len(cameras) == len(given)
        for index, camera in enumerate(cameras):
            wanted = given[index]
            assert torch.equal(camera.pose, wanted.pose)
            for name in ("width", "height", "fl_x", "fl_y", "cx", "cy", "lens"):
                assert getattr(camera, name) == getattr(wanted, name)


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


GOOD = {"transform_matrix": EYE, "w": 4, "h": 3, "fl_x": 5.0, "fl_y": 5.0, "cx": 2.0, "cy": 1.5}
FAR = [[1, 0, 0, 1e30], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ([], "a run's cameras.json"),
        (3, "a run's cameras.json"),
        ({}, "a run's cameras.json"),
        ({"splits": []}, "a run's cameras.json"),
        ({"splits": {"train": 3}}, "a run's cameras.json"),
        ({"splits": {"train": {"a": 1}}}, "a run's cameras.json"),
        ({"splits": {"train": [3]}}, "train camera 0"),
        ({"splits": {"train": [GOOD, []]}}, "train camera 1"),
        ({"splits": {"train": [{}]}}, "a transform_matrix in train camera 0"),
        ({"splits": {"test": [GOOD, {**GOOD, "w": "wide"}]}}, "a number for w in test camera 1"),
        ({"splits": {"train": [{**GOOD, "w": None}]}}, "w and h"),
        ({"splits": {"train": [{**GOOD, "w": 1e9, "cx": 1}]}}, "1 to 65536"),
        ({"splits": {"train": [{**GOOD, "w": 65536, "h": 65536}]}}, "fits in memory"),
        ({"splits": {"train": [{**GOOD, "w": 10**400}]}}, "309 digits"),
        ({"splits": {"train": [{**GOOD, "fl_x": float("nan")}]}}, "finite fl_x"),
        ({"splits": {"train": [{**GOOD, "fl_y": 0}]}}, "field of view"),
        ({"splits": {"train": [{**GOOD, "k1": "x"}]}}, "a number for k1"),
        ({"splits": {"train": [{**GOOD, "k1": float("inf")}]}}, "finite"),
        ({"splits": {"train": [{**GOOD, "cx": True}]}}, "a number for cx"),
        ({"splits": {"train": [{**GOOD, "transform_matrix": FAR}]}}, "a camera within 1e"),
        ({"splits": {"train": [{**GOOD, "transform_matrix": [["a"] * 4] * 4}]}}, "numbers in the"),
        ({"splits": {"train": [{**GOOD, "transform_matrix": [["1"] * 4] * 4}]}}, "numbers in the"),
        ({"splits": {"train": [{**GOOD, "transform_matrix": [[float("nan")] * 4] * 4}]}}, "finite"),
        ({"splits": {"train": [{**GOOD, "transform_matrix": [[0] * 4] * 4}]}}, "0 0 0 1"),
        ({"splits": {"train": [{**GOOD, "transform_matrix": [[1]] * 9999}]}}, "4x4"),
        ({"splits": {"train": [{**GOOD, "transform_matrix": "eye"}]}}, "4x4"),
    ],
)
def test_what_is_no_cameras_file_is_one_line(tmp_path: Path, content: object, word: str) -> None:
    path = Path("cameras.json")
    (tmp_path / path).write_text(json.dumps(content))
    with pytest.raises(InputError, match=word) as caught:
        read_cameras(tmp_path / path)
    line = str(caught.value).replace(str(tmp_path), "")
    assert "cameras.json" in line and line.isprintable() and len(line) < 300
