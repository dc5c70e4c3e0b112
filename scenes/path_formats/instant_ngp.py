"""instant-ngp's camera paths: base_cam.json, key frames that its viewer saves.

Source: instant-ngp abe236e (2026-02), facts alone: include/.../camera_path.h and src/camera_path.cu
(the path), include/.../nerf_loader.h and src/nerf_loader.cu (its frame); tiny-cuda-nn's vec_json.h
(the order of a quaternion).

- R: the quaternion x y z w of the camera's axes in instant-ngp's world. The axes are OpenCV's: x
  right, y down, the camera looks along +z.
- T: the position. A point p of the data is at scale p + offset, and then its axes are cycled:
  instant-ngp's (x, y, z) are the data's (y, z, x). The scale is 0.33 and the offset 0.5 unless the
  capture's transforms.json has "scale", "offset" or "aabb".
- fov: vertical, in degrees. The file has no image size.
- slice, scale: the plane in focus, of no effect at an aperture of 0; "scale" scales nothing.
- Between key frames runs a uniform B-spline of spline_order (3 if absent), also of the quaternions,
  which are then made of length 1; at order 2 and 3 it passes near the key frames, not through them.
  Each key frame's timestamp is where its segment ends; where they don't increase they are replaced
  by equal steps. Frame i of n is at i / n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from polyfield.errors import InputError
from polyfield.scenes.camera_json import read_pose
from polyfield.scenes.cameras import Camera
from polyfield.scenes.json_values import as_number, number
from polyfield.scenes.path_formats.source import (
    FPS,
    FRAMES,
    CameraPath,
    Keys,
    Source,
    field_of_view,
    lens_warnings,
    list_of_objects,
    shared_keys,
    unknown_keys,
    words,
)
from polyfield.scenes.path_formats.spline import KeyFrameSpline
from polyfield.scenes.viewpoints import check_frames

SCALE = 0.33
OFFSET = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class InstantNgpPath:
    """A "path" of key frames with R, T and fov.

    `scale` and `offset` are what instant-ngp made of the data's coordinates; None for what the
    data's own file says, else its usual 0.33 and 0.5.
    """

    scale: float | None = None
    """Length in instant-ngp's world of one unit of the data."""
    offset: tuple[float, float, float] | None = None
    """Where the data's origin lies there, in the data's order of axes."""

    name: ClassVar[str] = "instant-ngp"
    """What it is called where one is written."""
    looks_for: ClassVar[str] = '"path" of instant-ngp\'s base_cam.json'
    keys: ClassVar[Keys] = Keys(
        read=words("path R T fov timestamp loop spline_order"),
        passed_over=words("slice scale dof aperture_size time duration_seconds"),
    )

    def found_in(self, content: Any) -> bool:
        """Whether the content is of this form."""
        return isinstance(content, dict) and "path" in content

    def read(self, content: dict[str, Any], source: Source) -> CameraPath:
        """The views along the spline, at the size of the run's images.

        Raises:
            InputError: an impossible key frame, or data in a frame we can't follow.
        """
        path, lens = source.path, source.lens
        entries = list_of_objects(content, "path", path)
        frames = np.stack(
            [_key_frame(e, f"key frame {i} of {path}") for i, e in enumerate(entries)]
        )
        scale, offset, warnings = self._frame(source)
        spline = _spline_of(content, entries, source)
        count = 1 if len(entries) == 1 else source.frames or FRAMES
        check_frames(count, "--frames")
        cameras = []
        for index in range(count):
            quaternion, position, angle = spline.at(frames, index / count)
            pose = _pose(quaternion, position, scale, offset)
            focal = lens.height / 2 / math.tan(math.radians(angle) / 2)
            size = (lens.width, lens.height)
            checked = read_pose(pose.tolist(), "pose", f"view {index} of {path}")
            cameras.append(Camera(checked, *size, focal, focal, lens.width / 2, lens.height / 2))
        if any(entry.get("dof") or entry.get("aperture_size") for entry in entries):
            warnings += (f"the depth of field of {path.name} is not drawn: all is sharp",)
        return CameraPath(
            cameras, None, warnings + unknown_keys(self.keys, (content, *entries), path)
        )

    def written(self, found: CameraPath, source: Source) -> tuple[dict[str, Any], tuple[str, ...]]:
        """A path of key frames that lines join, one for each view, and what it can't say.

        The last one is there twice: frame i of n is at i / n of the path, where key frame i is.

        Raises:
            InputError: the data lies in instant-ngp's world in a way we can't follow.
        """
        scale, offset, warnings = self._frame(source)
        views = [*found.cameras, found.cameras[-1]]
        entries = [
            {
                **_key(camera.pose.double().numpy(), scale, offset),
                "fov": field_of_view(camera),
                "slice": 0.0,
                "scale": 1.0,
                "aperture_size": 0.0,
                "timestamp": (i + 1) / len(views),
            }
            for i, camera in enumerate(views)
        ]
        content = {
            "loop": False,
            "time": 0.0,
            "duration_seconds": len(found.cameras) / (found.fps or FPS),
            "spline_order": 1,
            "path": entries,
        }
        return content, warnings + lens_warnings(found.cameras, source.path)

    def _frame(self, source: Source) -> tuple[float, np.ndarray, tuple[str, ...]]:
        """Scale and offset of the data in instant-ngp's world, and what to warn of.

        Raises:
            InputError: Mitsuba's axes, or a scale that isn't positive.
        """
        shared = shared_keys(source.data)
        given = self.scale is not None and self.offset is not None
        warnings: tuple[str, ...] = ()
        if shared is None and not given:
            warnings = (
                f"{source.path.name} is read with instant-ngp's usual scale {SCALE:g} and offset"
                f" {OFFSET[0]:g}: no transforms.json at {source.data or 'the data'} says otherwise",
            )
        content, where = shared or {}, str(source.data)
        if content.get("from_mitsuba") or "normal_mts_args" in content:
            raise InputError(
                f"data in NeRF's axes at {where}",
                "from_mitsuba",
                "write the path as transforms.json",
            )
        scale, offset = _placed(content, where)
        scale = scale if self.scale is None else self.scale
        if not 0 < scale < math.inf or not np.isfinite(offset).all():
            raise InputError(
                f"a scale above 0 and a finite offset in {where}", f"{scale:g}", "correct it"
            )
        return scale, offset if self.offset is None else np.array(self.offset), warnings


def _placed(content: dict[str, Any], where: str) -> tuple[float, np.ndarray]:
    """Scale and offset by the shared keys of a capture."""
    box = content.get("aabb")
    if box is not None:
        low, high = (
            _vector(corner, 3, f"two corners for aabb in {where}") for corner in _two(box, where)
        )
        scale = 1 / max(float(np.abs(high - low).max()), 1e-6)
        return scale, 0.5 - (low + high) / 2 * scale
    length = number(content, "scale", where)
    offset = content.get("offset")
    if not isinstance(offset, list):
        offset = [OFFSET[0] if offset is None else offset] * 3
    scale = SCALE if length is None else length
    return scale, _vector(offset, 3, f"numbers for offset in {where}")


def _two(box: Any, where: str) -> list[Any]:
    if not isinstance(box, list) or len(box) != 2:
        raise InputError(f"two corners for aabb in {where}", repr(box)[:40], "correct it")
    return box


def _vector(values: Any, length: int, expected: str) -> np.ndarray:
    """A list of finite numbers.

    Raises:
        InputError: something else.
    """
    if not isinstance(values, list) or len(values) != length:
        raise InputError(expected, repr(values)[:40], f"write {length} numbers")
    found = np.array([as_number(value, expected) for value in values], dtype=np.float64)
    if not np.isfinite(found).all():
        raise InputError(expected, "NaN or infinity", "correct it")
    return found


def _key_frame(entry: dict[str, Any], where: str) -> np.ndarray:
    """Quaternion x y z w, position and angle of a key frame, [8].

    Raises:
        InputError: one is missing or impossible.
    """
    quaternion = _vector(entry.get("R"), 4, f"a quaternion R of x y z w in {where}")
    length = float(np.linalg.norm(quaternion))
    if not 0.5 < length < 2:
        raise InputError(
            f"a quaternion R of length 1 in {where}", f"length {length:.3g}", "correct it"
        )
    position = _vector(entry.get("T"), 3, f"a position T in {where}")
    angle = as_number(entry.get("fov"), f"a fov in degrees in {where}")
    if not 0 < angle < 180:
        raise InputError(f"a fov between 0 and 180 in {where}", f"{angle:g}", "correct it")
    return np.array([*(quaternion / length), *position, angle])


def _spline_of(
    content: dict[str, Any], entries: list[dict[str, Any]], source: Source
) -> KeyFrameSpline:
    """The spline that a file asks for.

    Raises:
        InputError: another order than 0 to 3.
    """
    where = str(source.path)
    order = number(content, "spline_order", where)
    order = 3.0 if order is None else order
    if order not in (0, 1, 2, 3):
        raise InputError(f"a spline_order of 0 to 3 in {where}", f"{order:g}", "correct it")
    ends = [
        number(e, "timestamp", f"key frame {i} of {where}") or 0.0 for i, e in enumerate(entries)
    ]
    rising = all(a < b < math.inf for a, b in zip([0.0, *ends], ends, strict=False))
    if not rising:
        ends = [(i + 1) / len(entries) for i in range(len(entries))]
    return KeyFrameSpline(int(order), ends, bool(content.get("loop")))


def _pose(
    quaternion: np.ndarray, position: np.ndarray, scale: float, offset: np.ndarray
) -> np.ndarray:
    """A camera of instant-ngp's world as a pose of the data, OpenGL axes, 4x4."""
    x, y, z, w = quaternion
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    # Rows: the world's axes cycled back, z first. Columns: y and z turned from OpenCV to OpenGL.
    pose = np.eye(4)
    pose[:3, :3] = rotation[[2, 0, 1]] * [1, -1, -1]
    pose[:3, 3] = (position[[2, 0, 1]] - offset) / scale
    return pose


def _key(pose: np.ndarray, scale: float, offset: np.ndarray) -> dict[str, list[float]]:
    """The inverse of `_pose`: R and T of a key frame."""
    rotation = (pose[:3, :3] * [1, -1, -1])[[1, 2, 0]]
    position = (scale * pose[:3, 3] + offset)[[1, 2, 0]]
    return {"R": _quaternion(rotation).tolist(), "T": position.tolist()}


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """A rotation as a quaternion x y z w of length 1, w not negative.

    The symmetric matrix 4 q q^T follows from the rotation entry by entry; its longest row is q.
    """
    (a, b, c), (d, e, f), (g, h, i) = rotation
    outer = np.array(
        [
            [1 + a - e - i, b + d, c + g, h - f],
            [b + d, 1 - a + e - i, f + h, c - g],
            [c + g, f + h, 1 - a - e + i, d - b],
            [h - f, c - g, d - b, 1 + a + e + i],
        ]
    )
    row = outer[int(np.argmax(outer.diagonal()))]
    found: np.ndarray = row / np.linalg.norm(row) * (-1 if row[3] < 0 else 1)
    return found
