"""nerfstudio's camera paths (its viewer's and its Blender add-on's) and its exported cameras.

Source: nerfstudio 50e0e3c (2025-07): viewer/render_panel.py writes the path,
cameras/camera_paths.py and scripts/render.py read it, scripts/exporter.py writes the cameras.

- camera_to_world: 16 numbers, row by row, OpenGL axes (x right, y up, the camera looks along -z).
- fov: vertical, in degrees. The size is render_width x render_height; "aspect" is never read, and
  the Blender add-on always writes 1.
- camera_path holds every frame of the film, already interpolated; keyframes are for the editor.
- Positions are in the frame of nerfstudio's model: after its data parser has turned, centred and
  scaled the capture. dataparser_transforms.json, which training writes beside config.yml, says how:
  p_model = scale (transform p). Its transform starts from the poses before ns-process-data's
  applied_transform (and applied_scale), which the capture's transforms.json names; both are undone.
  The parser of NeRF-synthetic folders moves nothing.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.camera_json import read_pose
from polyfield.scenes.cameras import Camera
from polyfield.scenes.formats.frames import read_object
from polyfield.scenes.json_values import as_number, number
from polyfield.scenes.path_formats.source import (
    FPS,
    CameraPath,
    Keys,
    Source,
    field_of_view,
    lens_warnings,
    list_of_objects,
    rate,
    shared_keys,
    unknown_keys,
    words,
)
from polyfield.scenes.viewpoints import check_size

PARSED = "dataparser_transforms.json"
"""The file of nerfstudio that says how it moved the data."""
COLMAP = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]]
"""What nerfstudio takes for an applied_transform where colmap/sparse/0 lies beside the data."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Where the data lies in nerfstudio's model: p_model = scale (turn p)."""

    turn: Float[Tensor, "4 4"]
    """A rigid motion, float64."""
    scale: float
    warnings: tuple[str, ...] = ()
    """One line each, for the user to see."""

    def to_data(self, pose: Float[Tensor, "4 4"]) -> Float[Tensor, "4 4"]:
        """A pose of the model as one of the data."""
        moved = pose.double()
        moved[:3, 3] /= self.scale
        return torch.linalg.inv(self.turn) @ moved

    def to_model(self, pose: Float[Tensor, "4 4"]) -> Float[Tensor, "4 4"]:
        """A pose of the data as one of the model."""
        moved = self.turn @ pose.double()
        moved[:3, 3] *= self.scale
        return moved


@dataclass(frozen=True)
class NerfstudioPath:
    """A "camera_path" of the viewer or the Blender add-on."""

    name: ClassVar[str] = "nerfstudio"
    """What it is called where one is written."""
    looks_for: ClassVar[str] = '"camera_path" of nerfstudio'
    keys: ClassVar[Keys] = Keys(
        read=words("camera_path camera_to_world fov render_width render_height camera_type fps"),
        passed_over=words(
            "keyframes default_fov default_transition_sec seconds is_cycle smoothness_value aspect"
            " crop render_time default_time file_path name"
        ),
    )

    def found_in(self, content: Any) -> bool:
        """Whether the content is of this form."""
        return isinstance(content, dict) and ("camera_path" in content or "keyframes" in content)

    def read(self, content: dict[str, Any], source: Source) -> CameraPath:
        """The views of a path.

        Raises:
            InputError: a camera that isn't a perspective one, or an impossible pose, size or angle.
        """
        path = source.path
        kind = content.get("camera_type", "perspective")
        if not isinstance(kind, str) or kind.lower() not in ("perspective", "pinhole"):
            raise InputError(
                f"a perspective camera_type in {path}", repr(kind)[:40], "export it as perspective"
            )
        views = list_of_objects(content, "camera_path", path)
        width, height = (_side(content, f"render_{side}", path) for side in ("width", "height"))
        check_size(width, height, str(path))
        place = placed(source.path, source.data)
        warnings = place.warnings
        cameras = []
        for i, view in enumerate(views):
            where = f"view {i} of {path}"
            pose = place.to_data(read_pose(view.get("camera_to_world"), "camera_to_world", where))
            angle = as_number(view.get("fov"), f"a fov in degrees in {where}")
            if not 0 < angle < 180:
                raise InputError(f"a fov between 0 and 180 in {where}", f"{angle:g}", "correct it")
            focal = height / 2 / math.tan(math.radians(angle) / 2)
            cameras.append(Camera(pose, width, height, focal, focal, width / 2, height / 2))
        if content.get("crop"):
            warnings += (f"the crop box of {path.name} is not applied",)
        if any(view.get("render_time") for view in views):
            warnings += (f"the times of {path.name} are passed over: a scene stands still",)
        warnings += unknown_keys(self.keys, (content, *views), path)
        keys = _read_keys(content, place, (width, height))
        return CameraPath(cameras, rate(content, path), warnings, keys)

    def written(self, found: CameraPath, source: Source) -> tuple[dict[str, Any], tuple[str, ...]]:
        """A path as ns-render takes it, and what of it can't be said so.

        Args:
            found: the views, in the data's frame.
            source: where it will lie; a dataparser_transforms.json beside it says how nerfstudio
                moved the data.
        """
        place, fps = placed(source.path, source.data), found.fps or FPS
        first = found.cameras[0]
        views = [
            {
                "camera_to_world": place.to_model(camera.pose).flatten().tolist(),
                "fov": field_of_view(camera),
                "aspect": camera.width / camera.height,
            }
            for camera in found.cameras
        ]
        seconds = len(views) / fps
        content = {
            "camera_type": "perspective",
            "render_height": first.height,
            "render_width": first.width,
            "camera_path": views,
            "fps": fps,
            "seconds": seconds,
            "smoothness_value": 0.5,
            "is_cycle": False,
            "keyframes": [_key(camera, place) for camera in found.keys],
            "default_fov": field_of_view(first),
            "default_transition_sec": seconds / (len(found.keys) - 1) if found.keys[1:] else 2.0,
            "crop": None,
        }
        return content, place.warnings + lens_warnings(found.cameras, source.path)


@dataclass(frozen=True)
class NerfstudioCameras:
    """The list of cameras that `ns-export cameras` writes: poses, with the run's lens."""

    looks_for: ClassVar[str] = 'a list of "transform" of ns-export cameras'
    keys: ClassVar[Keys] = Keys(read=words("transform"), passed_over=words("file_path"))

    def found_in(self, content: Any) -> bool:
        """Whether the content is of this form."""
        return isinstance(content, list)

    def read(self, content: list[Any], source: Source) -> CameraPath:
        """The views, in the file's order.

        Raises:
            InputError: an impossible pose, or something else in the list.
        """
        path, lens = source.path, source.lens
        views = list_of_objects({"the list": content}, "the list", path)
        place = placed(source.path, source.data)
        cameras = []
        for i, view in enumerate(views):
            pose = place.to_data(
                read_pose(view.get("transform"), "transform", f"camera {i} of {path}")
            )
            cameras.append(
                Camera(
                    pose, lens.width, lens.height, lens.fl_x, lens.fl_y, lens.cx, lens.cy,
                    lens.lens,
                )
            )  # fmt: skip
        return CameraPath(cameras, None, place.warnings + unknown_keys(self.keys, views, path))


def _key(camera: Camera, place: Placed) -> dict[str, Any]:
    """A key frame as nerfstudio's viewer writes it, which shows an angle of its own as such."""
    return {
        "matrix": place.to_model(camera.pose).flatten().tolist(),
        "fov": field_of_view(camera),
        "aspect": camera.width / camera.height,
        "override_transition_enabled": False,
        "override_transition_sec": None,
    }


def _read_keys(content: dict[str, Any], place: Placed, size: tuple[int, int]) -> tuple[Camera, ...]:
    """The key frames of its editor; none where they are of another form than `_key` writes.

    The path doesn't need them, and older versions had another.
    """
    entries = content.get("keyframes")
    width, height = size
    found = []
    with contextlib.suppress(InputError):
        for entry in entries if isinstance(entries, list) else []:
            entry = entry if isinstance(entry, dict) else {}
            pose = place.to_data(read_pose(entry.get("matrix"), "matrix", "a key frame"))
            angle = math.radians(as_number(entry.get("fov"), "a fov in degrees"))
            if not 0 < angle < math.pi:
                return ()
            focal = height / 2 / math.tan(angle / 2)
            found.append(Camera(pose, width, height, focal, focal, width / 2, height / 2))
        return tuple(found)
    return ()


def _side(content: dict[str, Any], key: str, path: Path) -> int:
    """A side of the image in whole pixels."""
    value = number(content, key, str(path))
    if value is None or value % 1 != 0:
        raise InputError(
            f"a whole {key} in {path}", "none" if value is None else f"{value:g}", "add it"
        )
    return int(value)


def placed(path: Path, data: Path | None) -> Placed:
    """Where the data lies in nerfstudio's model.

    Args:
        path: a file of the training: its dataparser_transforms.json is there or one folder above.
        data: the capture, whose transforms.json says what was done before; may be absent.

    Raises:
        InputError: these say no similarity.
    """
    folders = (path.parent, path.parent.parent)
    file = next((f / PARSED for f in folders if (f / PARSED).is_file()), None)
    shared = shared_keys(data)
    if file is None:
        still = data is not None and (data / "transforms_train.json").is_file()
        moved = data is None or not still or (data / "transforms.json").is_file()
        note = (
            f"{path.name} is taken to be in the data's own frame: if nerfstudio moved the"
            f" data, copy its {PARSED} beside it"
        )
        return Placed(torch.eye(4, dtype=torch.float64), 1.0, (note,) if moved else ())
    turn, scale = _similarity(read_object(file), "transform", "scale", file)
    colmap = data is not None and (data / "colmap" / "sparse" / "0").is_dir()
    warnings: tuple[str, ...] = ()
    if shared is None:
        shared = {}
        where = data or "the run"
        warnings = (f"no transforms.json at {where}: an applied_transform would be missed",)
    if colmap:
        shared = {"applied_transform": COLMAP, **shared}
    applied, applied_scale = _similarity(shared, "applied_transform", "applied_scale", data or file)
    return Placed(turn @ torch.linalg.inv(applied), scale / applied_scale, warnings)


def _similarity(
    content: dict[str, Any], turn_key: str, scale_key: str, path: Path
) -> tuple[Float[Tensor, "4 4"], float]:
    """A rigid motion and a scale of a JSON object; nothing where they are absent.

    Raises:
        InputError: not a rigid motion, or a scale that isn't positive.
    """
    scale = number(content, scale_key, str(path))
    if scale is None:
        scale = 1.0
    if not 0 < scale < math.inf:
        raise InputError(f"a {scale_key} above 0 in {path}", f"{scale:g}", "correct it")
    matrix = content.get(turn_key)
    if matrix is None:
        return torch.eye(4, dtype=torch.float64), scale
    return read_pose(matrix, turn_key, str(path)).double(), scale
