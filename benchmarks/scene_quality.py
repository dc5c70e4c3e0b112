"""Rows of quality: the same fits by ours and by the version before, and what grids take away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import kept_rows
from two_versions import Versions

from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_json import camera_object
from polyfield.scenes.images import write_image

STEPS, DEMO_STEPS = 4000, 3000
"""Of a fit."""
SEEDS = (0, 1, 2)
WHITE = ("--background", "white")


@dataclass(frozen=True)
class Subject:
    """What is fitted."""

    data: str
    """Below DATA; or demo."""
    flags: tuple[str, ...] = ()
    seed: int = 0
    through_grid: bool = False
    """Whether it is also looked at what the grid takes away."""
    copied: bool = False
    """Whether the version before reads a copy, for want of the format."""


SUBJECTS = {
    **{
        f"lego {seed}": Subject("nerf_synthetic/lego", WHITE, seed, through_grid=seed == 0)
        for seed in SEEDS
    },
    "fox": Subject("nerf/fox"),
    "rooftop": Subject("nerfstudio/rooftop"),
    "fern": Subject("llff/fern", copied=True),
    "bike": Subject("nerf_blender_other/bike", through_grid=True),
    "demo": Subject("demo", through_grid=True),
}


def rows(data: Path, versions: Versions) -> Iterator[kept_rows.Row]:
    """Names of the rows, and what measures them."""
    for name in SUBJECTS:
        yield f"quality {name}", partial(quality, data, versions, name)


def quality(data: Path, versions: Versions, name: str) -> dict[str, Any]:
    """PSNR and SSIM of the views that were held out, in both versions at one thread each."""
    subject, run = SUBJECTS[name], f"quality-{name.replace(' ', '-')}"
    steps = DEMO_STEPS if subject.data == "demo" else STEPS
    source = subject.data if subject.data == "demo" else str(data / subject.data)
    words: dict[str, Sequence[object]] = {}
    for version in versions.commands:
        place = [source]
        if subject.copied and version == "before":
            place = _copy(source, versions.out / "copies" / name)
        words[version] = ["scene", *place, "--steps", steps, "--seed", subject.seed, *subject.flags]
    metrics = versions.fit(run, words, threads=1)
    keys = ("psnr", "ssim", "views", "split", "samples", "seconds_training")
    found: dict[str, Any] = {v: {key: said[key] for key in keys} for v, said in metrics.items()}
    if "before" in found:
        for key in ("psnr", "ssim"):
            found[f"{key}_gained"] = found["ours"][key] - found["before"][key]
    if subject.through_grid:
        runs = {version: [versions.run(run, version)] for version in metrics}
        found["through_grid"] = versions.told("through_grid.py", runs, threads=1)
    return found


def _copy(source: str, folder: Path) -> list[str]:
    """A capture as a transforms.json with our splits; its place, and the flag with our box."""
    capture = open_capture(source, ReadOptions())
    if not (folder / "transforms.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        frames: list[dict[str, Any]] = []
        named: dict[str, list[str]] = {}
        for split in capture.splits:
            for i in range(len(capture.names(split))):
                file = f"{split}_{i:03d}.png"
                write_image(folder / file, capture.pixels(split, i))
                frames.append({"file_path": file, **camera_object(capture.cameras(split)[i])})
                named.setdefault(f"{split}_filenames", []).append(file)
        (folder / "transforms.json").write_text(json.dumps({**named, "frames": frames}))
    box = capture.frame.users(capture.bounds).reshape(-1).tolist()
    return [str(folder), "--bounds", *(f"{value:.6f}" for value in box)]
