"""Rows of lenses as a file has them: sizes, degrees for radians, angles, distortion that folds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from polyfield.errors import InputError
from polyfield.scenes.camera_json import read_camera
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.doctor.mends import ANGLES, radians, scale_pixels
from polyfield.scenes.doctor.raw import Raw, RawFrame, lens_values, number
from polyfield.scenes.doctor.rows import Row
from polyfield.scenes.doctor.shots import Shot

SAME = 0.02
"""Relative difference of scales that rounding of sizes makes."""
OFF_CENTER = 0.25
"""Distance of the optical axis from the middle of the image, in its sides, that is suspicious."""
_SIZES = "sizes against intrinsics"
NARROW, WIDE = 5.0, 150.0
"""Degrees: fields of view beyond are rarely meant."""


def lens_rows(raw: Raw) -> list[Row]:
    """What the intrinsics of a capture in JSON give away."""
    framed = [(f, f.header.info) for f in raw.frames if f.header is not None]
    if not framed:
        return []
    sizes = {(info.width, info.height) for _, info in framed}
    return [_sizes(raw, [f for f, _ in framed]), _mixed(raw, sizes), _angles(raw), _folds(raw)]


def view_rows(shots: Sequence[Shot]) -> list[Row]:
    """What the lenses of any format give away."""
    if not shots:
        return []
    degrees = [math.degrees(2 * math.atan(s.size[0] / 2 / s.focal[0])) for s in shots]
    low, high = min(degrees), max(degrees)
    found = f"{low:.0f} degrees across" if high - low < 1 else f"{low:.0f} to {high:.0f} degrees"
    if low < NARROW or high > WIDE:
        hint = "check the focal length, its unit and the image size it is for"
        return [Row("field of view", "warning", found, hint)]
    off = [
        s.name
        for s in shots
        if any(abs(c / n - 0.5) > OFF_CENTER for c, n in zip(s.center, s.size, strict=True))
    ]
    rows = [Row("field of view", "ok", found)]
    if off:
        hint = "are cx cy for another image size?"
        found = f"far from the middle in {len(off)} views, such as {off[0]}"
        rows.append(Row("optical axis", "warning", found, hint))
    return rows


def _sizes(raw: Raw, frames: Sequence[RawFrame]) -> Row:
    """The size that a file says against the images; cx cy tell it where it says none."""
    wrong, scales = [], []
    for frame in frames:
        assert frame.header is not None
        info, values = frame.header.info, raw.values(frame)
        said = [number(values, key) for key in ("w", "h")]
        if said[0] is None or said[1] is None:
            center = [number(values, key) for key in ("cx", "cy")]
            if center[0] is None or center[1] is None:
                continue
            outside = center[0] > info.width or center[1] > info.height
            said = [2 * center[0], 2 * center[1]] if outside else [info.width, info.height]
        width, height = said
        if (width, height) == (info.width, info.height) or not (width and height):
            continue
        wrong.append((frame, (width, height)))
        scales.append((info.width / width, info.height / height))
    if not wrong:
        return Row(_SIZES, "ok", "as the intrinsics say")
    frame, said_size = wrong[0]
    assert frame.header is not None
    info = frame.header.info
    found = (
        f"{info.width}x{info.height} in {frame.name}, intrinsics for"
        f" {said_size[0]:g}x{said_size[1]:g}"
        f" ({len(wrong)} of {len(frames)} images)"
    )
    if frame.header.orientation >= 5 and said_size == (info.height, info.width):
        return Row(_SIZES, "fault", found, "EXIF turns them: see EXIF orientation")
    x, y = scales[0]
    alike = all(abs(a / x - 1) < SAME and abs(b / y - 1) < SAME for a, b in scales)
    if alike and len(wrong) == len(frames) and abs(x / y - 1) < SAME:
        hint = f"multiply w h fl_x fl_y cx cy by {x:.4g}, or --fix OUT"
        return Row(_SIZES, "fault", found, hint, scale_pixels(x, y))
    return Row(
        _SIZES,
        "fault",
        found,
        "give each frame the intrinsics of its own image",
    )


def _mixed(raw: Raw, sizes: set[tuple[int, int]]) -> Row:
    own = all("fl_x" in f.values or "camera_angle_x" in f.values for f in raw.frames)
    if len(sizes) == 1 or own:
        count = "one size" if len(sizes) == 1 else f"{len(sizes)}, each with its own intrinsics"
        return Row("mixed sizes", "ok", count)
    names = ", ".join(f"{w}x{h}" for w, h in sorted(sizes)[:4])
    hint = "give each frame its own w h fl_x fl_y cx cy, or make the images one size"
    return Row("mixed sizes", "fault", f"{len(sizes)} under one lens: {names}", hint)


def _angles(raw: Raw) -> Row:
    every = [*raw.contents.values(), *(frame.values for frame in raw.frames)]
    found = [a for v in every for key in ANGLES if (a := number(v, key)) is not None]
    large = [angle for angle in found if angle > math.pi]
    if large and all(angle < 180 for angle in large):
        return Row(
            "camera angles",
            "fault",
            f"{large[0]:g} radians: most likely degrees",
            f"write {math.radians(large[0]):.6g}, or --fix OUT",
            radians(),
        )
    small = [
        d for v in every for key in ("x_fov", "y_fov") if (d := number(v, key)) and 0 < d < math.pi
    ]
    if small:
        hint = f"write {math.degrees(small[0]):.4g}"
        return Row("camera angles", "warning", f"{small[0]:g} degrees: in radians?", hint)
    return Row("camera angles", "ok", "in radians" if found else "none given")


def _folds(raw: Raw) -> Row:
    seen = set()
    for frame in raw.frames:
        if frame.header is None:
            continue
        values = lens_values(raw, frame)
        key = str(sorted(values.items(), key=lambda item: item[0]))
        if key in seen:
            continue
        seen.add(key)
        try:
            camera = read_camera(values, {}, frame.name)
        except InputError as error:
            return Row("lens", "fault", str(error), "correct the intrinsics")
        try:
            Cameras.stack([camera])
        except InputError as error:
            return Row("lens", "fault", str(error), "negate the terms, or calibrate again")
    return Row("lens", "ok", "every pixel has one ray")
