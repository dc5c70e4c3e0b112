"""Deliberate faults, all of them in one table: each has its row, or one clear error."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.captures import open_capture
from polyfield.scenes.doctor.examine import Examination, examine, glance, suspicions
from polyfield.scenes.doctor.fixing import write_mended
from polyfield.scenes.images import read_image, write_image

Spoil = Callable[[Any], None]


@dataclass(frozen=True)
class Fault:
    name: str
    spoil: Spoil
    row: str
    """The row that tells it; "reading" for an error of the reader."""
    says: str
    """Words of that row."""
    verdict: str = "fault"
    mended: bool = False
    """Whether --fix leaves a capture without a warning."""
    features: bool = False
    """Whether it takes features to see it."""
    k1: float = 0.0
    """Of the lens that took the images."""


def poses(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda capture: capture.poses(change)


def shared(**values: Any) -> Spoil:
    def spoil(capture: Any) -> None:
        for key, value in values.items():
            capture.content.pop(key, None)
            if value is not None:
                capture.content[key] = value
        capture.write()

    return spoil


def one(index: int, key: str, value: Any) -> Spoil:
    def spoil(capture: Any) -> None:
        capture.frames[index][key] = value
        if value is None:
            del capture.frames[index][key]
        capture.write()

    return spoil


def entry(value: float) -> Spoil:
    """One number of one pose."""

    def spoil(capture: Any) -> None:
        capture.frames[4]["transform_matrix"][0][3] = value
        capture.write()

    return spoil


def text(change: Callable[[str], str | bytes]) -> Spoil:
    return lambda capture: capture.write(change(json.dumps(capture.content, indent=1)))


def pixels(indices: list[int], change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(capture: Any) -> None:
        for i in indices:
            write_image(capture.image(i), change(read_image(capture.image(i))))

    return spoil


def file(index: int, content: bytes) -> Spoil:
    return lambda capture: capture.image(index).write_bytes(content)


def diag(*signs: float) -> np.ndarray:
    return np.diag([*signs, 1.0])


def rotated_only(matrix: np.ndarray) -> np.ndarray:
    return np.block([[matrix[:3, :3].T, matrix[:3, 3:]], [matrix[3:]]])


def scaled(matrix: np.ndarray) -> np.ndarray:
    return np.block([[2 * matrix[:3, :3], matrix[:3, 3:]], [matrix[3:]]])


def sheared(matrix: np.ndarray) -> np.ndarray:
    return np.block(
        [[matrix[:3, :3] @ (np.eye(3) + 0.3 * np.eye(3, k=1)), matrix[:3, 3:]], [matrix[3:]]]
    )


def rounded(matrix: np.ndarray) -> np.ndarray:
    return np.block([[matrix[:3, :3].round(1), matrix[:3, 3:]], [matrix[3:]]])


SWAP = np.eye(4)[[0, 2, 1, 3]]


def same_pose(capture: Any) -> None:
    capture.poses(lambda _: np.array(capture.frames[0]["transform_matrix"]))


def two_same(capture: Any) -> None:
    one(5, "transform_matrix", capture.frames[4]["transform_matrix"])(capture)


def shuffled(capture: Any) -> None:
    matrices = [frame["transform_matrix"] for frame in capture.frames]
    order = np.random.default_rng(3).permutation(len(matrices))
    for frame, i in zip(capture.frames, order.tolist(), strict=True):
        frame["transform_matrix"] = matrices[i]
    capture.write()


def tripod(capture: Any) -> None:
    def change(matrix: np.ndarray) -> np.ndarray:
        matrix[:3, 3] = [1.0, 2.0, 3.0]
        return matrix

    capture.poses(change)


def one_mirrored(capture: Any) -> None:
    matrix = np.array(capture.frames[3]["transform_matrix"]) @ diag(-1, 1, 1)
    one(3, "transform_matrix", matrix.tolist())(capture)


def quarter(capture: Any) -> None:
    """Intrinsics for an image four times as large, as a resized capture has them."""
    for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
        capture.content[key] *= 4
    capture.write()


def quarter_unsaid(capture: Any) -> None:
    quarter(capture)
    shared(w=None, h=None)(capture)


def missing(count: int) -> Spoil:
    def spoil(capture: Any) -> None:
        for i in range(count):
            capture.image(i).unlink()

    return spoil


def truncated(capture: Any) -> None:
    content = capture.image(2).read_bytes()
    capture.image(2).write_bytes(content[: len(content) // 2])


def listed_twice(capture: Any) -> None:
    capture.frames.append(dict(capture.frames[0], file_path="./images/000.png"))
    capture.write()


def copied(capture: Any) -> None:
    shutil.copy(capture.image(0), capture.path / "images/copy.png")
    capture.frames.append(dict(capture.frames[0], file_path="images/copy.png"))
    capture.write()


def copied_elsewhere(capture: Any) -> None:
    """One image under two names and two poses."""
    shutil.copy(capture.image(0), capture.image(9))


def overlapping(capture: Any) -> None:
    names = [frame["file_path"] for frame in capture.frames]
    shared(train_filenames=names, test_filenames=names[:4])(capture)


def loop(capture: Any) -> None:
    capture.image(1).unlink()
    os.symlink(capture.image(1), capture.image(1))


def link_out(capture: Any) -> None:
    outside = capture.path.parent / "outside.png"
    shutil.copy(capture.image(1), outside)
    capture.image(1).unlink()
    os.symlink(outside, capture.image(1))


def path_out(capture: Any) -> None:
    shutil.copy(capture.image(1), capture.path.parent / "outside.png")
    one(1, "file_path", "../outside.png")(capture)


def absolute_out(capture: Any) -> None:
    shutil.copy(capture.image(1), capture.path.parent / "outside.png")
    one(1, "file_path", str(capture.path.parent / "outside.png"))(capture)


def fifo(capture: Any) -> None:
    capture.image(1).unlink()
    os.mkfifo(capture.image(1))


def turned(capture: Any) -> None:
    """Stored sideways with an EXIF orientation, sizes as a viewer shows them."""
    for i in range(len(capture.frames)):
        array = np.rot90(read_image(capture.image(i)))
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(np.ascontiguousarray(array)).save(capture.image(i), exif=exif)


def not_utf8(capture: Any) -> None:
    os.rename(os.fsencode(capture.image(1)), os.fsencode(capture.path / "images") + b"/\xff.png")
    one(1, "file_path", "images/\udcff.png")(capture)


def one_larger(capture: Any) -> None:
    write_image(capture.image(3), np.zeros((90, 20, 3), np.uint8))


def half_clear(capture: Any) -> None:
    def clear(array: np.ndarray) -> np.ndarray:
        alpha = np.full((*array.shape[:2], 1), 255, np.uint8)
        alpha[: len(alpha) // 4] = 0
        return np.concatenate([array, alpha], axis=2)

    pixels(list(range(0, 18, 2)), clear)(capture)


def blurred(array: np.ndarray) -> np.ndarray:
    values = array.astype(np.float32)
    for axis in (0, 1):
        values = np.mean([np.roll(values, k, axis) for k in range(-4, 5)], axis=0)
    return values.astype(np.uint8)


def no_name(capture: Any) -> None:
    del capture.frames[1]["file_path"]
    capture.write()


FAULTS = [
    # Poses.
    Fault(
        "OpenCV axes",
        poses(lambda m: m @ diag(1, -1, -1)),
        "axes",
        "OpenCV",
        features=True,
        mended=True,
    ),
    Fault(
        "OpenCV axes, told at a glance",
        poses(lambda m: m @ diag(1, -1, -1)),
        "viewing directions",
        "look away",
        "warning",
    ),
    Fault(
        "world-to-camera",
        poses(np.linalg.inv),
        "axes",
        "world-to-camera",
        features=True,
        mended=True,
    ),
    Fault(
        "world-to-camera, at a glance",
        poses(np.linalg.inv),
        "viewing directions",
        "world-to-camera",
        "warning",
    ),
    Fault(
        "world-to-camera in OpenCV axes",
        poses(lambda m: np.linalg.inv(m @ diag(1, -1, -1))),
        "axes",
        "world-to-camera in OpenCV",
        features=True,
        mended=True,
    ),
    Fault("transposed", poses(np.transpose), "axes", "transposed", features=True, mended=True),
    Fault(
        "rotations transposed",
        poses(rotated_only),
        "axes",
        "rotation transposed",
        features=True,
        mended=True,
    ),
    Fault(
        "an axis of the cameras flipped",
        poses(lambda m: m @ diag(-1, 1, 1)),
        "matrices",
        "mirror",
        features=True,
        mended=True,
    ),
    Fault(
        "y and z of the world swapped",
        poses(lambda m: SWAP @ m),
        "axes",
        "mirrored world",
        features=True,
        mended=True,
    ),
    Fault(
        "y and z of the cameras swapped",
        poses(lambda m: m @ SWAP),
        "axes",
        "right, up, back",
        features=True,
        mended=True,
    ),
    Fault(
        "axes of the cameras in another order",
        poses(lambda m: m @ np.eye(4)[[1, 2, 0, 3]]),
        "axes",
        "right, up, back",
        features=True,
        mended=True,
    ),
    Fault("poses shuffled", shuffled, "axes", "no convention", features=True),
    Fault("one pose for all", same_pose, "reading", "poses that differ"),
    Fault("two cameras in one place", two_same, "poses", "004.png and", "warning"),
    Fault("a tripod", tripod, "viewing directions", "one point", "warning"),
    Fault("NaN", entry(float("nan")), "matrices", "NaN", mended=True),
    Fault("infinity", entry(float("inf")), "matrices", "infinity", mended=True),
    Fault("a pose far away", entry(1e30), "reading", "within 1e+10"),
    Fault("scaled rotations", poses(scaled), "matrices", "scaled by 2", mended=True),
    Fault("sheared rotations", poses(sheared), "matrices", "isn't orthonormal"),
    Fault("rotations of one digit", poses(rounded), "matrices", "isn't orthonormal"),
    Fault(
        "another last row",
        poses(lambda m: m + 0.5 * np.eye(4)[3] * np.eye(4)[[3]].T),
        "matrices",
        "another row than 0 0 0 1",
    ),
    Fault("one pose mirrored", one_mirrored, "matrices", "1 of 18 mirror", mended=True),
    Fault("no matrix", one(2, "transform_matrix", None), "matrices", "none of 4x4", mended=True),
    Fault(
        "words in a matrix",
        one(2, "transform_matrix", [["a"] * 4] * 4),
        "matrices",
        "none of 4x4",
        mended=True,
    ),
    Fault(
        "a matrix of 2x2",
        one(2, "transform_matrix", [[1, 0], [0, 1]]),
        "matrices",
        "none of 4x4",
        mended=True,
    ),
    # Lenses.
    Fault(
        "focal length too long",
        shared(fl_x=300.0, fl_y=300.0),
        "focal length",
        "times",
        features=True,
        mended=True,
    ),
    Fault(
        "focal length too short",
        shared(fl_x=140.0, fl_y=140.0),
        "focal length",
        "times",
        features=True,
        mended=True,
    ),
    Fault(
        "an angle in degrees",
        shared(fl_x=None, fl_y=None, camera_angle_x=55.1),
        "camera angles",
        "degrees",
        mended=True,
    ),
    Fault(
        "a field of view in radians",
        shared(fl_x=None, fl_y=None, x_fov=0.962),
        "camera angles",
        "in radians",
        "warning",
    ),
    Fault(
        "an angle that contradicts",
        shared(camera_angle_x=2.0, w=None, h=None, fl_y=None),
        "reading",
        "agree",
    ),
    Fault(
        "intrinsics of a larger image", quarter, "sizes against intrinsics", "240x180", mended=True
    ),
    Fault(
        "the same without its size",
        quarter_unsaid,
        "sizes against intrinsics",
        "240x180",
        mended=True,
    ),
    Fault("no focal length", shared(fl_x=None, fl_y=None), "lens", "fl_x or camera_angle_x"),
    Fault("focal length zero", shared(fl_x=0.0, fl_y=0.0), "lens", "field of view"),
    Fault("focal length negative", shared(fl_x=-230.0, fl_y=-230.0), "lens", "field of view"),
    Fault("focal length NaN", shared(fl_x=float("nan")), "lens", "finite"),
    Fault(
        "distortion of the wrong sign",
        shared(k1=-0.25),
        "distortion",
        "other sign",
        features=True,
        mended=True,
        k1=0.25,
    ),
    Fault(
        "distortion of images without any",
        shared(k1=0.25),
        "distortion",
        "without",
        features=True,
        mended=True,
    ),
    Fault("distortion that folds", shared(k1=-1.2, k2=0.0), "lens", "fold"),
    Fault("a lens we don't have", shared(k3=0.2, k4=0.1), "reading", "k3"),
    Fault(
        "a camera model of nobody",
        shared(camera_model="FISHEYE624"),
        "reading",
        "FISHEYE624",
    ),
    # Files.
    Fault("an image missing", missing(1), "missing images", "1 of 18", "note", mended=True),
    Fault("most images missing", missing(12), "missing images", "12 of 18", mended=True),
    Fault("an image cut short", truncated, "damaged images", "damaged", mended=True),
    Fault("an empty image", file(2, b""), "damaged images", "empty", mended=True),
    Fault("text for an image", file(2, b"hello"), "damaged images", "isn't an image", mended=True),
    Fault("an image of another size", one_larger, "mixed sizes", "2 under one lens"),
    Fault("an image listed twice", listed_twice, "images listed twice", "000.png", mended=True),
    Fault("a copy with the same pose", copied, "equal images", "copy.png", "warning", mended=True),
    Fault(
        "one image with two poses",
        copied_elsewhere,
        "equal images",
        "images/000.png",
        "warning",
        mended=True,
    ),
    Fault("trained on and tested on", overlapping, "splits", "tested on", "warning"),
    Fault("a symlink loop", loop, "missing images", "001.png", "note", mended=True),
    Fault("a link that leaves the folder", link_out, "images outside", "images below", mended=True),
    Fault("a path that leaves the folder", path_out, "images outside", "images below", mended=True),
    Fault("an absolute path", absolute_out, "images outside", "images below", mended=True),
    Fault("a FIFO for an image", fifo, "missing images", "001.png", "note", mended=True),
    Fault("turned by EXIF", turned, "EXIF orientation", "18 of 18", "warning", mended=True),
    Fault("a name that is not UTF-8", not_utf8, "reading", "18 views", "ok"),
    Fault("a frame without a name", no_name, "reading", "file_path"),
    # JSON.
    Fault("empty", text(lambda _: ""), "reading", "empty file"),
    Fault("cut short", text(lambda t: t[: len(t) // 2]), "reading", "line"),
    Fault("larger than is read", text(lambda t: t + " " * (1 << 26)), "reading", "64 MiB"),
    Fault(
        "nested without end",
        text(lambda t: '{"a": ' * 5000 + "1" + "}" * 5000),
        "reading",
        "100 levels",
    ),
    Fault(
        "a key twice",
        text(lambda t: t.replace('"w": 60', '"w": 60, "w": 50')),
        "reading",
        "twice",
    ),
    Fault("a list", text(lambda t: "[]"), "reading", "object"),
    Fault("no frames", shared(frames=[]), "reading", "zero views"),
    Fault(
        "NaN for a number", text(lambda t: t.replace('"cx": 30.0', '"cx": NaN')), "lens", "finite"
    ),
    Fault(
        "a byte order mark",
        text(lambda t: b"\xef\xbb\xbf" + t.encode()),
        "reading",
        "18 views",
        "ok",
    ),
    Fault("UTF-16", text(lambda t: t.encode("utf-16")), "reading", "18 views", "ok"),
    Fault(
        "comments",
        text(lambda t: "// by hand\n" + t.replace('"w"', '/* pixels */ "w"')),
        "reading",
        "18 views",
        "ok",
    ),
    # Pixels.
    Fault("a blurred image", pixels([6], blurred), "blur", "006.png", "note"),
    Fault(
        "images too bright",
        pixels([6], lambda a: np.minimum(a.astype(int) * 3, 255).astype(np.uint8)),
        "exposure",
        "006.png",
        "warning",
    ),
    Fault("alpha in half of the images", half_clear, "transparency", "9 of 18", "note"),
    Fault(
        "images that differ in a pixel",
        lambda c: (copied(c), pixels([0], lambda a: a // 2 * 2)(c)),
        "nearly equal images",
        "copy.png",
        "note",
    ),
]
ENOUGH = 60
SHRINK = 4
"""Images are so much smaller where no features are looked for."""


class Silent:
    def count(self, what: str, done: int, total: int) -> None:
        pass


def look_over(path: Path) -> Examination:
    return examine(path, ReadOptions(), None, Silent())


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder, with its content."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if path.is_file():
                found[os.fsencode(path).decode("latin-1")] = (
                    path.stat().st_mtime_ns,
                    path.read_bytes(),
                )
    return found


def test_there_are_enough() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= ENOUGH


QUICK = pytest.mark.parametrize(
    "fault", [f for f in FAULTS if not f.features], ids=lambda fault: fault.name
)
SLOW = pytest.mark.parametrize(
    "fault", [f for f in FAULTS if f.features], ids=lambda fault: fault.name
)


@QUICK
def test_each_fault_has_its_row(
    fault: Fault, painted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycolmap", None)  # as if it weren't installed
    check_fault(fault, painted, tmp_path)


@pytest.mark.slow
@SLOW
def test_each_fault_that_features_tell_has_its_row(
    fault: Fault, painted: Any, tmp_path: Path
) -> None:
    pytest.importorskip("pycolmap")
    check_fault(fault, painted, tmp_path)


def check_fault(fault: Fault, painted: Any, tmp_path: Path) -> None:
    """Its row, or one error; a word of it in a fit; nothing written; a copy that is well."""
    capture = painted(1 if fault.features else SHRINK, fault.k1)
    fault.spoil(capture)
    before = state(tmp_path)
    try:
        found = look_over(capture.path)
    except InputError as error:
        assert fault.verdict == "fault" and fault.row == "reading" and not fault.mended
        assert fault.says in str(error) and len(str(error)) <= 300 and "\n" not in str(error)
        with pytest.raises(InputError):
            open_capture(capture.path, ReadOptions())
        return
    rows = found.diagnosis.rows
    row = next(row for row in rows if row.name == fault.row)
    assert row.verdict == fault.verdict and fault.says in row.found, row
    assert state(tmp_path) == before
    if found.capture is not None and fault.verdict not in ("ok", "note"):
        told = [*found.capture.warnings, *suspicions(found.capture), *glance(found.capture)]
        assert any(line.startswith(fault.row) for line in told) or not fault.features, told
        assert told
    if fault.mended:
        assert found.raw is not None
        fixed = tmp_path / "fixed"
        fixed.mkdir()
        write_mended(found.raw, [row.mend for row in rows if row.mend is not None], fixed)
        again = look_over(fixed).diagnosis
        assert again.verdict == "ok", again.troubles
        unchanged = {k: v for k, v in state(tmp_path).items() if "/fixed/" not in k}
        assert unchanged == before


def test_the_capture_itself_is_well(painted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    found = look_over(painted(SHRINK).path)
    assert found.diagnosis.verdict == "ok", found.diagnosis.troubles
