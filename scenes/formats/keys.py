"""Which keys of a capture's JSON are read, refused, named in a warning or passed over quietly.

Sources: instant-ngp's nerf_loader.cu and nerfstudio's parsers, whose keys these are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyfield.errors import InputError
from polyfield.files import one_line
from polyfield.scenes.lens_keys import COEFFICIENTS, OTHER_LENS, is_set

NAMED = 8
"""How many keys a message names before it only counts."""

FOCAL = frozenset({"fl_x", "fl_y", "camera_angle_x", "camera_angle_y", "x_fov", "y_fov"})
"""Focal lengths in pixels, fields of view in radians, in degrees."""
PRINCIPAL = frozenset({"cx", "cy"})
SIZE = frozenset({"w", "h"})

SPLITS = {split: f"{split}_filenames" for split in ("train", "val", "test")}
"""The lists by which nerfstudio's files name their splits."""
TRANSPARENT = ("white_transparent", "black_transparent")
"""Pixels of that colour are transparent."""


@dataclass(frozen=True)
class Refusal:
    """Keys whose meaning we don't have, and which would train something else if passed over."""

    keys: re.Pattern[str]
    """What their names look like."""
    expected: str
    hint: str


REFUSED = (
    Refusal(
        re.compile(r"(?!(?-i:mask_path)$).*mask.*", re.IGNORECASE),
        "masks as mask_path in the frames, white where pixels count",
        "write them so, or remove the key to train on all pixels",
    ),
    Refusal(
        re.compile(r".*alpha_?(path|file|image).*|fix_premult", re.IGNORECASE),
        "images with their own straight alpha",
        "put the alpha into the images (RGBA) and remove the key",
    ),
    Refusal(
        re.compile(r"transform_matrix_(start|end)"),
        "one pose per frame",
        "give the transform_matrix of the middle of the exposure",
    ),
    Refusal(
        re.compile(r"normal_mts_args|from_mitsuba|from_na"),
        "camera-to-world poses in OpenGL axes",
        "convert the poses and remove the key",
    ),
)  # fmt: skip
"""Keys that are an error unless they are null, false, zero or empty."""

WARNED = {
    "aabb": "give --bounds",
    "render_aabb": "give --bounds",
    "scene_box": "give --bounds",
    "crop_box": "give --bounds",
    "bounding_box": "give --bounds",
    "n_frames": "all frames are used",
    "sharpness_discard_threshold": "all frames are used",
    "sharpen": "images are taken as they are",
    "envmap": "nothing is known of the surroundings",
}
"""Keys that mean something to others and nothing here, and what follows."""

_READ = {
    "frames", "file_path", "transform_matrix", "aabb_scale", "camera_model", "is_fisheye", "time",
    "depth_file_path", "depth_path", "depth_unit_scale_factor", "enable_depth_loading",
    "integer_depth_scale", "mask_path", "ply_file_path",
    *FOCAL, *PRINCIPAL, *SIZE, *COEFFICIENTS, *TRANSPARENT,
}  # fmt: skip
_HARMLESS = {
    "applied_scale", "applied_transform", "auto_scale_poses_factor", "blur_score", "cam_id",
    "camera_id", "camera_label", "camera_location", "colmap_im_id", "driver_parameters",
    "enable_ray_loading", "far", "frame_id", "frame_index", "id", "image_id",
    "importance_sampling", "inv_transform_matrix", "metadata", "n_extra_learnable_dims", "name",
    "near", "normal_file_path", "object_position", "offset", "orientation_override", "rotation",
    "scale", "scene_id", "scene_name", "sharpness", "timestamp", "up",
}  # fmt: skip


@dataclass(frozen=True)
class Keys:
    """The keys of one format."""

    read: frozenset[str]
    """Keys that are used."""
    harmless: frozenset[str]
    """Keys known to change neither geometry nor pixels."""

    def check(
        self, content: Mapping[str, object], frames: Sequence[Mapping[str, object]], path: Path
    ) -> list[str]:
        """Look at every key of a file and of its frames.

        Args:
            content: the file, parsed.
            frames: its frames.
            path: the file, for messages.

        Returns:
            One line on keys that are not used and one on unknown ones, where there are any.

        Raises:
            InputError: a key that changes geometry or pixels in a way we don't have.
        """
        where: dict[str, list[int | None]] = {k: [None] for k, v in content.items() if is_set(v)}
        for i, frame in enumerate(frames):
            for key, value in frame.items():
                if is_set(value):
                    where.setdefault(key, []).append(i)
        for refusal in REFUSED:
            found = [key for key in where if refusal.keys.fullmatch(key)]
            if found:
                got = ", ".join(f"{key}{_places(where[key])}" for key in found[:3])
                raise InputError(f"{refusal.expected}, in {path}", got, refusal.hint)
        unused = [key for key in WARNED if key in where and _matters(key, content, frames)]
        unknown = [key for key in where if not self._knows(key)]
        warnings = []
        if unused:
            names = ", ".join(f"{key} ({WARNED[key]})" for key in unused)
            warnings.append(f"keys of {path} that are not used: {names}")
        if unknown:
            names = ", ".join(_shown(key) for key in unknown[:NAMED])
            more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
            warnings.append(f"unknown keys of {path} are passed over: {names}{more}")
        return warnings

    def _knows(self, key: str) -> bool:
        known = key in self.read or key in self.harmless or key in WARNED
        return known or OTHER_LENS.fullmatch(key) is not None  # lenses are checked frame by frame


TRANSFORMS = Keys(frozenset({*_READ, *SPLITS.values()}), frozenset(_HARMLESS))
"""transforms.json of instant-ngp and nerfstudio."""
BLENDER = Keys(frozenset(_READ), frozenset(_HARMLESS))
"""transforms_SPLIT.json of NeRF-synthetic, D-NeRF and BlenderNeRF."""


def _matters(
    key: str, content: Mapping[str, object], frames: Sequence[Mapping[str, object]]
) -> bool:
    """Whether a key of `WARNED` would have changed anything."""
    if key == "n_frames":
        count = content.get(key)
        return isinstance(count, int | float) and count < len(frames)
    return True


def _places(frames: Sequence[int | None]) -> str:
    if None in frames:
        return ""
    return f" in frame {frames[0]}" + (f" and {len(frames) - 1} more" if len(frames) > 1 else "")


def _shown(key: str) -> str:
    """A key that fits into a line."""
    text = one_line(ValueError(key))
    return text if len(text) <= 40 else text[:37] + "..."
