"""Depth images that a frame names, and their unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from polyfield.errors import InputError
from polyfield.scenes.formats.pictures import Pictures
from polyfield.scenes.json_values import number
from polyfield.scenes.lens_keys import is_set

MILLIMETRE = 1e-3
"""The unit of nerfstudio's depth images where nothing is said."""
KEYS = ("depth_file_path", "depth_path")
"""nerfstudio's and instant-ngp's."""


def names_depth(frame: Mapping[str, object]) -> bool:
    """Whether a frame has a depth image."""
    return any(is_set(frame.get(key)) for key in KEYS)


def depth_image(frame: Mapping[str, object], pictures: Pictures, where: str) -> Path | None:
    """The depth image of a frame; None where it names none or none is there.

    Raises:
        InputError: a name that is none, or one outside the folder.
    """
    name = next((frame[key] for key in KEYS if is_set(frame.get(key))), None)
    if name is None:
        return None
    if not isinstance(name, str):
        raise InputError(f"the name of a depth image in {where}", repr(name)[:40], "correct it")
    return pictures.find(name.replace("\\", "/"), where)


def depth_scale(values: Mapping[str, object], where: str) -> float:
    """World units of one step of a frame's depth image; 0 where it is not to be used.

    nerfstudio's depth_unit_scale_factor is in units of the file, a thousandth by default;
    instant-ngp's integer_depth_scale has no default, and enable_depth_loading turns it off.

    Args:
        values: the frame's keys before those of the file.
        where: what they belong to, for messages.

    Raises:
        InputError: not a finite number of at least zero.
    """
    if is_set(values.get("depth_file_path")):
        key, default = "depth_unit_scale_factor", MILLIMETRE
    else:
        key, default = "integer_depth_scale", 0.0
    scale = number(values, key, where)
    scale = default if scale is None else scale
    if not 0 <= scale < math.inf:
        raise InputError(f"a {key} of at least 0 in {where}", f"{scale:g}", "correct it")
    loaded = values.get("enable_depth_loading")
    return scale if key != "integer_depth_scale" or loaded is None or is_set(loaded) else 0.0
