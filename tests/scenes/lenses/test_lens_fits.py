"""Captures of every kind of lens are fitted: rays leave as the lens saw them."""

import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from polyfield.apps import cli
from polyfield.scenes.camera_json import camera_object
from polyfield.scenes.cameras import Camera
from polyfield.scenes.color import from_float
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.demo.scene import render
from polyfield.scenes.images import write_image
from polyfield.scenes.lenses.equirectangular import Equirectangular
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.opencv_fisheye import OpenCVFisheye

pytestmark = pytest.mark.slow

EYE = torch.eye(3)
LENSES = {
    "barrel": (OpenCV(k1=-0.28, k2=0.05), (72, 72), 66.0, OpenCV(), 18),
    "fisheye": (OpenCVFisheye(k1=0.03, k2=-0.01), (72, 72), 46.0, OpenCV(), 21),
    "panorama": (Equirectangular(), (240, 120), 120.0, None, 28),
}
"""A lens, the size of its images, its focal length, what it is not, and the least PSNR."""


def _write(folder, lens, size, focal, claimed):
    """A capture of the demo's still life, transparent around it, its lens told as `claimed`."""
    folder.mkdir()
    frames, named = [], {}
    golden = math.pi * (3 - math.sqrt(5))
    for i in range(36):
        split = "test" if i % 9 == 4 else "train"
        pose = look_at(golden * i, 0.1 + 1.0 * (i + 0.5) / 36, 3.4)
        # Past the middle, in a new direction each time: else a wrong lens is but a bent thing.
        turn = 0.25 * torch.tensor([math.cos(i), math.sin(i), 0.0])
        pose[:3, :3] = pose[:3, :3] @ torch.linalg.matrix_exp(torch.linalg.cross(turn[None], EYE)).T
        camera = Camera(pose, *size, focal, focal, size[0] / 2, size[1] / 2, lens)
        file = f"{split}_{i:02d}.png"
        write_image(folder / file, from_float(_seen(camera).numpy(), np.uint8))
        told = _told(camera, claimed)
        frames.append({**camera_object(told), "file_path": file})
        named.setdefault(f"{split}_filenames", []).append(file)
    (folder / "transforms.json").write_text(json.dumps({**named, "frames": frames}))
    return folder


def _seen(camera):
    """What a camera of any lens sees: the rays of its pixels, looked up in a fine perspective."""
    side = 4 * camera.height
    fine = Camera(camera.pose, side, side, side / 2, side / 2, side / 2, side / 2)  # 90 degrees
    local = camera.rays().directions.double() @ camera.pose[:3, :3].double()
    ahead = -local[..., 2]
    at = torch.stack([local[..., 0], -local[..., 1]], -1) / ahead.clamp(min=1e-6)[..., None]
    at[ahead <= 0] = 9  # outside, so transparent
    pixels = torch.from_numpy(render(fine)).float().permute(2, 0, 1)[None].clone()
    pixels[:, :3] *= pixels[:, 3:]
    found = functional.grid_sample(pixels, at.float()[None], align_corners=False)[0]
    rgba = found.permute(1, 2, 0)
    rgba[..., :3] /= rgba[..., 3:].clamp(min=1e-6)
    return rgba.clamp(0, 1)


def _told(camera, lens):
    size = (camera.width, camera.height)
    return Camera(camera.pose, *size, camera.fl_x, camera.fl_y, camera.cx, camera.cy, lens)


def _psnr(folder, out):
    words = ["fit", "scene", str(folder), "--out", str(out), "--steps", "300", "--quiet"]
    box = ["--bounds", "-1.3", "-1.3", "-0.95", "1.3", "1.3", "1.65"]
    assert cli.run([*words, *box, "--objective.samples", "8192", "--background", "black"]) == 0
    return json.loads((out / "metrics.json").read_text())["psnr"]


@pytest.mark.parametrize("name", LENSES)
def test_a_capture_of_each_lens_is_fitted(name, tmp_path):
    lens, size, focal, wrong, least = LENSES[name]
    right = _psnr(_write(tmp_path / "right", lens, size, focal, lens), tmp_path / "a")
    assert right > least
    if wrong is not None:
        other = _psnr(_write(tmp_path / "wrong", lens, size, focal, wrong), tmp_path / "b")
        assert other < right - 1
