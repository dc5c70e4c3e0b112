"""Small good runs that others are made of by mutation: fitted once, by the program itself."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path

import pictures
import sounds
from case import Case, Entry, Files
from driver import Worker

SCENE = (
    "--field.position.levels", "2", "--field.position.log2-size", "5", "--sampler.resolution", "8",
    "--sampler.steps", "24", "--sampler.points", "64", "--objective.samples", "128",
)  # fmt: skip
IMAGE = (
    "--field.encoding.levels", "2", "--field.encoding.log2-size", "5", "--objective.batch", "128",
)  # fmt: skip
SOUND = IMAGE
SMALL = {"scene": SCENE, "image": IMAGE, "sound": SOUND}
"""Flags that make the preset hash of a kind as small as it goes.

Batches too: a changed config may ask for the widest network, whose step takes its time.
"""
ONE = ("--steps", "1", "--threads", "1", "--device", "cpu")

PATIENCE = 600.0
"""Seconds of CPU of a first fit, whose kernels are compiled."""


def pose(angle: float) -> list[list[float]]:
    """A camera on a ring of radius 4 that looks at the origin; OpenGL axes."""
    c, s = math.cos(angle), math.sin(angle)
    return [[-s, 0.0, c, 4 * c], [c, 0.0, s, 4 * s], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


@functools.cache
def blender() -> dict[str, object]:
    """A transforms_SPLIT.json: 3 views."""
    frames = [
        {"file_path": f"./p/{i}", "rotation": 0.01, "transform_matrix": pose(2.1 * i)}
        for i in range(3)
    ]
    return {"camera_angle_x": 0.7, "frames": frames}


@functools.cache
def transforms() -> dict[str, object]:
    """A transforms.json: 4 views."""
    width, height = pictures.SIZE
    frames = [{"file_path": f"p/{i}.png", "transform_matrix": pose(1.5 * i)} for i in range(4)]
    lens = {"fl_x": 12.0, "fl_y": 12.0, "cx": width / 2, "cy": height / 2, "w": width, "h": height}
    return {**lens, "k1": 0.01, "aabb_scale": 2, "frames": frames}


def scene_files(form: str) -> Files:
    """A good capture below `data/`."""
    names = ("rgba.png", "rgba.png", "rgb.png", "rgba.png")
    files: Files = {
        f"data/p/{i}.png": pictures.gallery()[name if form == "blender" else "rgb.png"]
        for i, name in enumerate(names)
    }
    if form == "blender":
        for split in ("train", "test"):
            files[f"data/transforms_{split}.json"] = json.dumps(blender()).encode()
    else:
        files["data/transforms.json"] = json.dumps(transforms()).encode()
    return files


@dataclass(frozen=True)
class Seeds:
    """Files of good runs, as they lie in their folder `run/`, with their data in `data/`."""

    runs: dict[str, Files]
    """Kind -> files."""
    half: dict[str, Files]
    """The same, killed on the way: no metrics.json."""
    seconds: dict[str, float]
    """CPU time of that fit."""
    commands: dict[str, tuple[str, ...]]
    """Kind -> what they were fitted with."""
    flags: dict[str, tuple[str, ...]]
    """Verb -> the flags that its help names."""


def _commands() -> dict[str, tuple[tuple[str, ...], Files]]:
    return {
        "scene": (("fit", "scene", "data", *SCENE), scene_files("blender")),
        "image": (
            ("fit", "image", "data/x.png", *IMAGE),
            {"data/x.png": pictures.gallery()["rgb.png"]},
        ),
        "sound": (
            ("fit", "sound", "data/x.wav", *SOUND),
            {"data/x.wav": sounds.gallery()["mono.wav"]},
        ),
    }


def plant(worker: Worker) -> Seeds:
    """Fit the runs.

    Raises:
        SystemExit: a good command fails, which makes all else useless.
    """
    runs, half, seconds, commands = {}, {}, {}, {}
    worker.limits["seed"] = PATIENCE
    for kind, (words, files) in _commands().items():
        command = (*words, *ONE, "--out", "run")
        case = Case("seed", command, files)
        worker.run(case)
        result = worker.run(case)  # the second one has its kernels loaded
        if result.code != 0:
            raise SystemExit(f"a good fit of a {kind} fails: {result.stderr.decode()}{result.end}")
        found = _files(worker.folder)
        runs[kind] = found
        # What else is compiled for the first time, so that it is no hang later.
        worker.run(Case("seed", ("distill", "run", "--to", "dense", "--out", "o", *ONE), found))
        half[kind] = {name: e for name, e in found.items() if name != "run/metrics.json"}
        seconds[kind], commands[kind] = result.seconds, command
    return Seeds(runs, half, seconds, commands, _flags(worker))


def _files(folder: Path) -> Files:
    found: dict[str, Entry] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not name.startswith("run/log"):
            found[name] = path.read_bytes()
    return found


def _flags(worker: Worker) -> dict[str, tuple[str, ...]]:
    import re

    verbs = [("fit", k) for k in SMALL] + [("compare", k) for k in SMALL]
    verbs += [("evaluate",), ("render",), ("distill",), ("info",), ("export",), ("import",)]
    found = {}
    for verb in verbs:
        page = worker.run(Case("help", (*verb, "--help"))).stdout.decode()
        flags = set(re.findall(r"(?:^|[│|]|\s\s)\s*(--\w[\w.-]+)", page, flags=re.MULTILINE))
        # What is shown in a browser ends with Ctrl-C alone.
        found[" ".join(verb)] = tuple(sorted(flags - {"--view", "--no-view"}))
    return found
