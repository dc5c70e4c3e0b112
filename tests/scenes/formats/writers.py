"""The built-in scene written in every format, by other code than the readers'."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyfield.scenes.base import Capture
from polyfield.scenes.cameras import Camera
from polyfield.scenes.color import from_float
from polyfield.scenes.images import write_image

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class View:
    """A view of the built-in scene."""

    number: int
    camera: Camera
    pixels: np.ndarray


def views_of(capture: Capture) -> list[View]:
    """The training views, in their order."""
    scene = capture.scene("train")
    cameras = capture.cameras("train")
    return [
        View(i, cameras[i], from_float(scene.view(i)[1].numpy(), np.uint8))
        for i in range(len(scene))
    ]


def _pose(view: View) -> np.ndarray:
    return view.camera.pose.double().numpy()


def _save(folder: Path, name: str, view: View) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_image(folder / name, view.pixels)
    return name


def blender(folder: Path, views: list[View]) -> None:
    """One transforms_train.json."""
    one = views[0].camera
    frames = [
        {"file_path": _save(folder, f"train/r_{v.number:03d}.png", v)[:-4],
         "transform_matrix": _pose(v).tolist()}
        for v in views
    ]  # fmt: skip
    angle = 2 * math.atan(one.width / 2 / one.fl_x)
    text = json.dumps({"camera_angle_x": angle, "frames": frames})
    (folder / "transforms_train.json").write_text(text)


def transforms(folder: Path, views: list[View]) -> None:
    """transforms.json with a lens in each frame."""
    frames = []
    for v in views:
        c = v.camera
        lens = {"w": c.width, "h": c.height, "fl_x": c.fl_x, "fl_y": c.fl_y, "cx": c.cx, "cy": c.cy}
        name = _save(folder, f"images/{v.number:03d}.png", v)
        frames.append({"file_path": name, "transform_matrix": _pose(v).tolist(), **lens})
    text = json.dumps({"camera_model": "PINHOLE", "frames": frames})
    (folder / "transforms.json").write_text(text)


def colmap(folder: Path, views: list[View]) -> None:
    """A text model: world-to-camera, a quaternion w x y z, OpenCV's axes."""
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    cameras, images = [], []
    for v in views:
        c = v.camera
        to_camera = np.linalg.inv(_pose(v) @ FLIP)
        quaternion = " ".join(f"{x:.17g}" for x in _quaternion(to_camera[:3, :3])[[3, 0, 1, 2]])
        position = " ".join(f"{x:.17g}" for x in to_camera[:3, 3])
        params = " ".join(f"{x:.17g}" for x in (c.fl_x, c.fl_y, c.cx, c.cy))
        name = _save(folder / "images", f"{v.number:03d}.png", v)
        number = v.number + 1
        cameras.append(f"{number} PINHOLE {c.width} {c.height} {params}")
        images.append(f"{number} {quaternion} {position} {number} {name}\n")
    (model / "cameras.txt").write_text("\n".join(cameras) + "\n")
    (model / "images.txt").write_text("\n".join(images) + "\n")
    (model / "points3D.txt").write_text("")


def llff(folder: Path, views: list[View]) -> None:
    """Rows of a 3x5 matrix, columns down, right, back, and two depths."""
    rows = []
    for v in views:
        pose, c = _pose(v), v.camera
        assert c.fl_x == c.fl_y and c.cx == c.width / 2
        hwf = np.array([c.height, c.width, c.fl_x])
        matrix = np.stack([-pose[:3, 1], pose[:3, 0], pose[:3, 2], pose[:3, 3], hwf], 1)
        rows.append([*matrix.ravel(), 2.0, 6.0])
        _save(folder / "images", f"{v.number:03d}.png", v)
    np.save(folder / "poses_bounds.npy", np.array(rows))


def nsvf(folder: Path, views: list[View]) -> None:
    """A 4x4 matrix of intrinsics, poses in OpenCV's axes."""
    c = views[0].camera
    k = [[c.fl_x, 0, c.cx, 0], [0, c.fl_y, c.cy, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.savetxt(folder / "intrinsics.txt", k)
    (folder / "pose").mkdir()
    (folder / "bbox.txt").write_text("-1.5 -1.5 -0.2 1.5 1.5 1.4 0.1\n")
    for v in views:
        _save(folder / "rgb", f"0_{v.number:03d}.png", v)
        np.savetxt(folder / "pose" / f"0_{v.number:03d}.txt", _pose(v) @ FLIP)


def polycam(folder: Path, views: list[View]) -> None:
    """One JSON file an image."""
    keyframes = folder / "keyframes"
    (keyframes / "corrected_cameras").mkdir(parents=True)
    for v in views:
        c, pose = v.camera, _pose(v)
        content = {f"t_{i}{j}": pose[i, j] for i in range(3) for j in range(4)}
        content |= {"fx": c.fl_x, "fy": c.fl_y, "cx": c.cx, "cy": c.cy}
        content |= {"width": c.width, "height": c.height, "blur_score": 100}
        name = f"{1000 + v.number}"
        (keyframes / "corrected_cameras" / f"{name}.json").write_text(json.dumps(content))
        _save(keyframes / "corrected_images", f"{name}.png", v)


def record3d(folder: Path, views: list[View]) -> None:
    """Quaternions x y z w, and a matrix column by column."""
    c = views[0].camera
    poses = []
    for v in views:
        pose = _pose(v)
        poses.append([*_quaternion(pose[:3, :3]), *pose[:3, 3]])
        _save(folder / "rgb", f"{v.number}.png", v)
    k = [c.fl_x, 0, 0, 0, c.fl_y, 0, c.cx, c.cy, 1]
    text = json.dumps({"poses": poses, "K": k, "w": c.width, "h": c.height})
    (folder / "metadata.json").write_text(text)


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """x y z w of a rotation, as the eigenvector of Bar-Itzhack 2000, eq. 2."""
    r = rotation
    matrix = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r.trace()],
        ]
    )
    return np.linalg.eigh(matrix)[1][:, -1]


WRITERS: dict[str, Callable[[Path, list[View]], None]] = {
    "blender": blender, "transforms": transforms, "colmap": colmap, "llff": llff, "nsvf": nsvf,
    "polycam": polycam, "record3d": record3d,
}  # fmt: skip
"""Of each format on disk, what writes it."""
