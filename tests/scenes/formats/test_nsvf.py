"""NSVF: forms of intrinsics, splits by name, the box; the real one beside its twin."""

from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes import ReadOptions, open_capture
from polyfield.scenes.formats.nsvf import Nsvf
from polyfield.scenes.images import write_image
from polyfield.scenes.similarity import IDENTITY

MATRIX = "7 0 3 0\n0 8 2 0\n0 0 1 0\n0 0 0 1\n"


def write(folder: Path, names: list[str], intrinsics: str = MATRIX) -> None:
    for part in ("rgb", "pose"):
        (folder / part).mkdir(exist_ok=True)
    (folder / "intrinsics.txt").write_text(intrinsics)
    for i, name in enumerate(names):
        write_image(folder / "rgb" / f"{name}.png", np.full((4, 6, 3), 9, np.uint8))
        pose = np.eye(4)
        pose[0, 3] = i
        np.savetxt(folder / "pose" / f"{name}.txt", pose)


NAMES = ["0_0", "0_1", "1_0", "2_0", "2_1"]


@pytest.mark.parametrize(
    ("intrinsics", "focal", "center"),
    [
        (MATRIX, (7, 8), (3, 2)),
        (" ".join(MATRIX.split()), (7, 8), (3, 2)),
        ("7 0 3\n0 8 2\n0 0 1", (7, 8), (3, 2)),
        ("7 0 3 0\n0 8 2 0\n0 0 1 0", (7, 8), (3, 2)),
        ("7 3 2 0.\n0. 0. 0.\n0.\n1.\n4 6\n", (7, 7), (3, 2)),
        ("14 6 4 0.\n0. 0. 0.\n0.\n1.\n8 12\n", (7, 7), (3, 2)),
        ("7 3 2 0.\n", (7, 7), (3, 2)),
    ],
)
def test_forms_of_intrinsics(tmp_path: Path, intrinsics: str, focal, center) -> None:
    write(tmp_path, NAMES, intrinsics)
    one = Nsvf().open(tmp_path, ReadOptions()).cameras("train")[1]
    assert (one.fl_x, one.fl_y) == focal and (one.cx, one.cy) == center
    wanted = np.diag([1.0, -1, -1, 1])
    wanted[0, 3] = 1
    np.testing.assert_allclose(one.pose.numpy(), wanted)


def test_splits_by_the_beginnings_of_names(tmp_path: Path) -> None:
    write(tmp_path, NAMES)
    capture = Nsvf().open(tmp_path, ReadOptions())
    assert [len(capture.names(split)) for split in ("train", "val", "test")] == [2, 1, 2]
    for name in ("2_0", "2_1"):
        (tmp_path / "rgb" / f"{name}.png").unlink()
    capture = Nsvf().open(tmp_path, ReadOptions())
    assert capture.splits == ("train", "test") and capture.names("test") == ("1_0.png",)
    write(tmp_path, ["b"])
    with pytest.raises(InputError, match=r"names that begin with.*b\.png"):
        Nsvf().open(tmp_path, ReadOptions())


def test_the_box(tmp_path: Path) -> None:
    write(tmp_path, NAMES)
    (tmp_path / "bbox.txt").write_text("-1 -2 -3 1 2 3\n")
    capture = Nsvf().open(tmp_path, ReadOptions())
    box = torch.tensor([[-1.0, -2, -3], [1, 2, 3]])
    torch.testing.assert_close(capture.in_frame(IDENTITY).bounds, box)
    assert capture.bounds[1, 2] == 1 and not capture.unbounded
    own = Nsvf().open(tmp_path, ReadOptions(bounds=(-5.0, -5.0, -5.0, 5.0, 5.0, 5.0)))
    assert own.frame.scale == 0.2 and own.bounds.tolist() == [[-1] * 3, [1] * 3]
    # Corners are middles of voxels where their size is given.
    (tmp_path / "bbox.txt").write_text("-1 -2 -3 1.01 2 3 0.4\n")
    found = Nsvf().open(tmp_path, ReadOptions()).in_frame(IDENTITY).bounds
    torch.testing.assert_close(found, torch.tensor([[-1.2, -2.2, -3.2], [1.2, 2.2, 3.2]]))
    for wrong in ("1 1 1 0 0 0\n", "-1 -2 -3 1 2 3 0\n", "-1 -2 -3 1 2 3 -0.4\n"):
        (tmp_path / "bbox.txt").write_text(wrong)
        with pytest.raises(InputError, match="xmin ymin zmin"):
            Nsvf().open(tmp_path, ReadOptions())


@pytest.mark.parametrize(
    ("file", "text", "word"),
    [
        ("intrinsics.txt", "", "no numbers"),
        ("intrinsics.txt", "1 2\n3 4\n", "lines of 2, 2 numbers"),
        ("intrinsics.txt", "a b c", "numbers in"),
        ("intrinsics.txt", "nan 3 2 0", "finite numbers"),
        ("intrinsics.txt", "7 30 2 0", "cx cy inside the 6x4"),
        ("intrinsics.txt", "-7 3 2 0", "field of view"),
        ("pose/0_0.txt", "1 0\n0 1\n", "4x4 camera-to-world"),
        ("pose/0_0.txt", "2 0 0 0\n0 2 0 0\n0 0 2 0\n0 0 0 1\n", "scaled by 2"),
    ],
)
def test_broken_files_are_one_line(tmp_path: Path, file: str, text: str, word: str) -> None:
    write(tmp_path, NAMES)
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=word):
        Nsvf().open(tmp_path, ReadOptions())


def test_a_missing_pose_is_named(tmp_path: Path) -> None:
    write(tmp_path, NAMES)
    (tmp_path / "pose" / "1_0.txt").unlink()
    with pytest.raises(InputError, match=r"the pose of 1_0\.png"):
        Nsvf().open(tmp_path, ReadOptions())


def test_lego_twice(data_dir: Path) -> None:
    """The same scene in two formats, one of them half the size, has the same cameras."""
    ours = Nsvf().open(data_dir / "nsvf" / "lego", ReadOptions())
    theirs = open_capture(data_dir / "nerf_synthetic" / "lego", ReadOptions(downscale=2))
    assert len(ours.names("train")) == 100 and len(ours.names("test")) == 50
    torch.testing.assert_close(
        ours.cameras("train").focal, theirs.cameras("train").focal, rtol=1e-4, atol=0
    )
    # NSVF's frame is NeRF-synthetic's in other axes: distances between cameras are the same.
    one, two = (c.cameras("test").user_poses[:, :3, 3] for c in (ours, theirs))
    torch.testing.assert_close(torch.cdist(one, one), torch.cdist(two, two), atol=1e-3, rtol=1e-3)
    assert not ours.unbounded
