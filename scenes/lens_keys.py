"""The keys of a lens in captures, camera paths and runs: which lens they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from polyfield.errors import InputError
from polyfield.scenes.json_values import as_number
from polyfield.scenes.lenses import LENSES
from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.full_opencv import FullOpenCV
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.opencv_fisheye import OpenCVFisheye

DISTORTION = ("k1", "k2", "p1", "p2")
"""Coefficients of the usual lens."""
SAME = {
    "PINHOLE": "OPENCV",
    "SIMPLE_PINHOLE": "OPENCV",
    "RADIAL": "OPENCV",
    "SIMPLE_RADIAL": "OPENCV",
    "FISHEYE": "OPENCV_FISHEYE",
    "SIMPLE_FISHEYE": "OPENCV_FISHEYE",
    "RADIAL_FISHEYE": "OPENCV_FISHEYE",
    "SIMPLE_RADIAL_FISHEYE": "OPENCV_FISHEYE",
    "SIMPLE_DIVISION": "DIVISION",
}
"""Models that are others with fewer coefficients, as COLMAP names them."""
MODELS = tuple(sorted({*LENSES, *SAME}))
"""Values of camera_model that are read."""
COEFFICIENTS = frozenset(field.name for lens in LENSES.values() for field in fields(lens))
"""Every coefficient of every lens."""
OTHER_LENS = re.compile(
    r"k\d*|p\d+|s\d+|s[xy]\d+|omega|alpha|beta|tau_?[xy]|b[12]|skew|ftheta.*|(is_)?fisheye.*|latlong|panorama"
    r"|(is_)?equirectangular|(is_)?orthographic|omnidirectional|distortion.*|rolling_shutter.*"
)
"""Keys of lenses and projections; false, zero and empty mean that there is none. A lens reads its
own coefficients, any other of these keys is refused."""


def is_set(value: object) -> bool:
    """Whether a key says something: null, false, zero, and what is empty or full of them don't."""
    if isinstance(value, list | tuple):
        return any(is_set(entry) for entry in value)
    return bool(value)


def merged_lens(frame: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a frame's lens, and its other ones: its own before those of the file.

    Coefficients are a set: a frame that gives one of them gives all.
    """
    own = {key: value for key, value in frame.items() if value is not None}
    if any(key in COEFFICIENTS for key in own):
        shared = {key: value for key, value in shared.items() if key not in COEFFICIENTS}
    return {**shared, **own}


def read_lens(values: Mapping[str, Any], where: str, hint: str) -> Lens:
    """The lens that keys mean.

    `camera_model` says which, and is_fisheye, as instant-ngp has it; the usual one has k1 k2 p1 p2,
    and k3 where that isn't zero.

    Args:
        values: of a frame and its file, merged.
        where: what they belong to, for messages.
        hint: how to mend a lens that we don't have.

    Raises:
        InputError: a model or a coefficient that we don't have, or one that is no number.
    """
    kind = _kind(values, where, hint)
    names = [field.name for field in fields(kind)]
    if kind is OpenCV and is_set(values.get("k3")):
        # With k4 to k6 missing their ratio is a polynomial.
        kind, names = FullOpenCV, [*names, "k3"]
    strange = [
        f"{key} = {value}" if _is_number(value) else key
        for key, value in values.items()
        if OTHER_LENS.fullmatch(key) and key not in (*names, "is_fisheye") and is_set(value)
    ]
    if strange:
        raise InputError(
            f"a lens with {' '.join(names) or 'no coefficients'} (camera_model {kind.model}) in"
            f" {where}",
            ", ".join(strange)[:100],
            hint,
        )
    return kind(**{name: _coefficient(values, name, where) for name in names})


def write_lens(lens: Lens) -> dict[str, Any]:
    """The keys that `read_lens` makes the same lens of; the usual one goes without its name."""
    names = [field.name for field in fields(lens)]
    model = {} if lens.model == OpenCV.model else {"camera_model": lens.model}
    return model | dict(zip(names, lens.coefficients(), strict=True))


def panorama_focal(
    values: Mapping[str, Any], width: int, height: int, where: str
) -> tuple[float, float]:
    """Focal lengths of a panorama, half a turn each: fl_x and fl_y, else a whole one's.

    Raises:
        InputError: one without the other, or an angle in place of them.
    """
    given = [
        _coefficient(values, key, where) for key in ("fl_x", "fl_y") if values.get(key) is not None
    ]
    angles = [
        key for key in ("camera_angle_x", "camera_angle_y", "x_fov", "y_fov") if key in values
    ]
    if len(given) == 2:
        return given[0], given[1]
    if given or angles:
        raise InputError(
            f"fl_x and fl_y, or neither for a whole panorama, in {where}",
            ", ".join(angles) or "one of them",
            "give the pixels of half a turn in both directions",
        )
    return width / 2, float(height)


def _kind(values: Mapping[str, Any], where: str, hint: str) -> type[Lens]:
    model = values.get("camera_model")
    fisheye = is_set(values.get("is_fisheye"))
    name = OpenCVFisheye.model if model is None and fisheye else OpenCV.model
    name = name if model is None else SAME.get(str(model), str(model))
    if name not in LENSES or not isinstance(model, str | None):
        raise InputError(
            f"a camera_model of {', '.join(MODELS)} in {where}",
            f"camera_model {str(model)[:30]!r}",
            hint,
        )
    if fisheye and LENSES[name].plane.is_flat:
        raise InputError(
            f"one kind of lens in {where}",
            f"is_fisheye beside camera_model {model}",
            "remove the wrong one",
        )
    return LENSES[name]


def _coefficient(values: Mapping[str, Any], key: str, where: str) -> float:
    value = values.get(key)
    return 0.0 if value is None else as_number(value, f"a number for {key} in {where}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
