"""Camera paths of ours, of nerfstudio and of instant-ngp, changed."""

from __future__ import annotations

from typing import Any

import hostile
from hypothesis import strategies as st
from seeds import pose

OURS: Any = {
    "fps": 24, "w": 10, "h": 8, "fl_x": 12.0, "fl_y": 12.0, "cx": 5.0, "cy": 4.0,
    "frames": [{"transform_matrix": pose(0.0)}, {"transform_matrix": pose(1.0)}],
}  # fmt: skip
NERFSTUDIO: Any = {
    "camera_type": "perspective", "render_height": 8, "render_width": 10, "fps": 24, "seconds": 1.0,
    "is_cycle": False, "smoothness_value": 0.5, "default_fov": 60, "keyframes": [],
    "camera_path": [
        {"camera_to_world": sum(pose(a), []), "fov": 50.0, "aspect": 1.25} for a in (0.0, 1.0)
    ],
}  # fmt: skip
INSTANT_NGP: Any = {
    "loop": False, "time": 0.0,
    "path": [
        {"R": [0.5, 0.5, 0.5, 0.5], "T": [0.5 + a, 0.5, 0.5], "fov": 50.0, "dof": 0.0, "scale": 1.0,
         "slice": 1.0, "timestamp": a + 1, "aperture_size": 0.0}
        for a in (0.0, 1.0, 2.0, 3.0)
    ],
}  # fmt: skip
CAMERAS: Any = [
    {"file_path": "p/0.png", "transform": pose(0.0)[:3]}, {"file_path": "p/1.png",
    "transform": pose(1.0)[:3]}
]  # fmt: skip

EXTRA = tuple({
    "camera_type": "fisheye", "render_time": 0.5, "crop": {"x": 1}, "spline_order": 3, "loop": True,
    "k1": 0.1, "k3": 0.1, "is_fisheye": True, "fov": 60, "camera_angle_x": 0.7, "x_fov": 40,
    "aperture_size": 0.1, "fps": 30, "duration_seconds": 5, "frames": [], "camera_path": [],
    "path": [],
    "w": 10, "h": 8, "fl_x": 12,
}.items())  # fmt: skip


@st.composite
def path(draw: st.DrawFn) -> bytes:
    """A file of a camera path."""
    tree = draw(st.sampled_from((OURS, NERFSTUDIO, INSTANT_NGP, CAMERAS)))
    return draw(hostile.json_bytes(draw(hostile.changed(tree, 3, EXTRA))))
