import json
from pathlib import Path

import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.camera_paths import (
    Interpolate,
    Orbit,
    PathFile,
    RunCameras,
    Split,
    path_of,
    same_size,
)
from polyfield.scenes.cameras import Camera

BOUNDS = torch.tensor([[-1.0, -1, -1], [1, 1, 1]])


def _camera(x: float) -> Camera:
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([x, 0.0, 3.0])
    return Camera(pose, 40, 30, 50.0, 50.0, 20.0, 15.0)


RUN = RunCameras({"train": [_camera(float(i)) for i in range(3)], "test": [_camera(9.0)]}, BOUNDS)


def test_a_word_names_a_kind_of_path() -> None:
    assert path_of("orbit") == Orbit() and path_of("interpolate") == Interpolate()
    assert path_of("test") == Split("test") and path_of("train") == Split("train")
    assert path_of("a/b.JSON") == PathFile(Path("a/b.JSON"))
    for wrong in ("orbitt", "", "a.yaml", "x" * 5000, "a\x1b[31m"):
        with pytest.raises(InputError, match="pick one of them") as caught:
            path_of(wrong)
        assert len(str(caught.value)) < 300 and str(caught.value).isprintable()


def test_the_test_split_is_drawn_from_the_run_alone() -> None:
    found = path_of("test").cameras(RUN, None)
    assert [float(camera.pose[0, 3]) for camera in found.cameras] == [9.0]
    with pytest.raises(InputError, match="no --frames"):
        path_of("test").cameras(RUN, 3)
    with pytest.raises(InputError, match="cameras of the val split.*got train, test"):
        path_of("val").cameras(RUN, None)


def test_orbit_and_interpolate_have_the_frames_asked_for() -> None:
    for word in ("orbit", "interpolate"):
        assert len(path_of(word).cameras(RUN, None).cameras) == 60
        assert len(path_of(word).cameras(RUN, 3).cameras) == 3
        for wrong in (0, -1, 10**12):
            with pytest.raises(InputError, match="frames of 1 to 100000"):
                path_of(word).cameras(RUN, wrong)
    # One test camera is no path: the training ones are.
    first, last = Interpolate().cameras(RUN, 2).cameras
    assert (float(first.pose[0, 3]), float(last.pose[0, 3])) == (0.0, 2.0)
    for word in ("orbit", "interpolate"):
        with pytest.raises(InputError, match="cameras of the train split"):
            path_of(word).cameras(RunCameras({"train": []}, BOUNDS), 3)


def test_a_file_has_its_own_frames(tmp_path: Path) -> None:
    path = tmp_path / "path.json"
    path.write_text(json.dumps({"frames": [{"transform_matrix": torch.eye(4).tolist()}] * 2}))
    assert len(path_of(str(path)).cameras(RUN, None).cameras) == 2
    assert len(path_of(str(path)).cameras(RUN, 2).cameras) == 2
    with pytest.raises(InputError, match="has its own; got 3, not 2"):
        path_of(str(path)).cameras(RUN, 3)
    with pytest.raises(InputError, match="1 to 100000"):
        path_of(str(path)).cameras(RUN, 0)
    with pytest.raises(InputError, match="nowhere"):
        path_of(str(tmp_path / "nowhere.json")).cameras(RUN, None)


def test_all_views_have_one_size() -> None:
    other = Camera(torch.eye(4), 80, 80, 50.0, 50.0, 40.0, 40.0)
    views = same_size([RUN.splits["train"][0], other], None)
    assert [(view.width, view.height) for view in views] == [(40, 30)] * 2
    assert same_size([other], (20, 20))[0].fl_x == 12.5
    with pytest.raises(InputError, match="--size"):
        same_size([other], (65536, 65536))
