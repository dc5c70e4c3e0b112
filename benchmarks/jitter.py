"""Poses made a little wrong on purpose, and what refining them wins back.

python benchmarks/jitter.py DATA OUT [--steps 2000] [--seed 0]

Each training camera of a capture is turned by a random rotation of 1 degree (RMS) and moved by 1 %
of its distance from the scene (RMS); held-out cameras stay where they are. What all cameras move
in common is taken out: it only says where the scene is.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyfield.renderers.pose_refinement import rotated
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_json import camera_object
from polyfield.scenes.images import write_image

DEGREES, SHARE = 1.0, 0.01


def similarity(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation and shift that take points [n, 3] to others: Umeyama 1991, eq. 40-42."""
    a, b = ours - ours.mean(0), theirs - theirs.mean(0)
    u, d, v = np.linalg.svd(b.T @ a / len(a))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    rotation = u @ sign @ v
    scale = float(np.trace(np.diag(d) @ sign) / a.var(0).sum())
    return scale, rotation, theirs.mean(0) - scale * rotation @ ours.mean(0)


def jittered(poses: torch.Tensor, center: torch.Tensor, seed: int) -> torch.Tensor:
    """Camera-to-world matrices [n, 4, 4], each moved a little; nothing that all have in common."""
    generator = torch.Generator().manual_seed(seed)
    turn, shift = torch.randn(2, len(poses), 3, generator=generator, dtype=torch.float64)
    turn, shift = turn - turn.mean(0), shift - shift.mean(0)
    turn *= math.radians(DEGREES) / turn.square().sum(1).mean().sqrt()
    distance = (poses[:, :3, 3] - center).norm(dim=1).median()
    shift *= SHARE * distance / shift.square().sum(1).mean().sqrt()
    found = poses.clone()
    axes = poses[:, :3, :3].transpose(1, 2)
    found[:, :3, :3] = rotated(axes, turn[:, None].expand_as(axes)).transpose(1, 2)
    found[:, :3, 3] += shift
    return found


def write(place: Path, folder: Path, seed: int | None) -> None:
    """A copy of a capture as transforms.json, its training poses jittered unless seed is None."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    capture = open_capture(place, ReadOptions())
    tree: dict[str, Any] = {}
    frames: list[dict[str, Any]] = []
    for split in ("train", "test"):
        cameras = [capture.cameras(split)[i] for i in range(len(capture.names(split)))]
        poses = torch.stack([camera.pose.double() for camera in cameras])
        if split == "train" and seed is not None:
            poses = jittered(poses, capture.frame.users(capture.bounds).mean(0), seed)
        for i, (camera, pose) in enumerate(zip(cameras, poses, strict=True)):
            file = f"{split}_{i:03d}.png"
            write_image(folder / file, capture.pixels(split, i))
            matrix = {"file_path": file, "transform_matrix": pose.tolist()}
            frames.append({**camera_object(camera), **matrix})
            tree.setdefault(f"{split}_filenames", []).append(file)
    (folder / "transforms.json").write_text(json.dumps({**tree, "frames": frames}))


def fit(data: Path, out: Path, flags: list[str]) -> dict[str, float]:
    """Held-out scores of a scene fitted."""
    shutil.rmtree(out, ignore_errors=True)
    command = Path(sys.executable).with_name("polyfield")
    words = [command, "fit", "scene", data, "--out", out, "--quiet", "--all-views", *flags]
    subprocess.run([str(word) for word in words], check=True)
    found = json.loads((out / "metrics.json").read_text())
    return {key: found[key] for key in ("psnr", "ssim")}


def poses_of(place: Path) -> torch.Tensor:
    """Of the training cameras, the user's frame."""
    return open_capture(place, ReadOptions()).cameras("train").user_poses


def pose_error(data: Path, run: Path, place: Path) -> dict[str, float]:
    """How far training cameras are from where they were taken: as jittered, and as refined."""
    truth, given = poses_of(place), poses_of(data)
    found = json.loads((run / "cameras_refined.json").read_text())
    views = [frame["transform_matrix"] for frame in found["splits"]["train"]]
    refined = torch.tensor(views, dtype=torch.float64)
    rows = {}
    for name, poses in (("given", given), ("refined", refined)):
        trace = (poses[:, :3, :3] * truth[:, :3, :3]).sum((1, 2))
        turned = torch.rad2deg(((trace - 1) / 2).clamp(-1, 1).acos())
        rows[f"degrees_{name}"] = float(turned.median())
        away = (poses[:, :3, 3] - truth[:, :3, 3]).norm(dim=1)
        rows[f"shift_{name}"] = float(away.median())
    return rows


def measure(place: Path, out: Path, steps: int, seed: int, threads: int = 2) -> dict[str, Any]:
    """Scores with poses as they were taken, jittered, and refined; the share won back."""
    flags = ["--steps", str(steps), "--threads", str(threads)]
    write(place, out / "right", None)
    write(place, out / "wrong", seed)
    rows: dict[str, Any] = {
        "right": fit(out / "right", out / "run-right", flags),
        "wrong": fit(out / "wrong", out / "run-wrong", flags),
        "refined": fit(out / "wrong", out / "run-refined", [*flags, "--refine-poses"]),
    }
    for score in ("psnr", "ssim"):
        right, wrong, refined = (rows[name][score] for name in ("right", "wrong", "refined"))
        rows[f"won_back_{score}"] = (refined - wrong) / (right - wrong)
    return {**rows, **pose_error(out / "wrong", out / "run-refined", place)}


def main() -> None:
    """The command line."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    ask.add_argument("data", type=Path)
    ask.add_argument("out", type=Path)
    ask.add_argument("--steps", type=int, default=2000)
    ask.add_argument("--seed", type=int, default=0)
    given = ask.parse_args()
    print(json.dumps(measure(given.data, given.out, given.steps, given.seed), indent=1))


if __name__ == "__main__":
    main()
