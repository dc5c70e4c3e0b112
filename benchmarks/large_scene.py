"""The row `large`: 800x800 images by hash-large, and by as many samples of the version before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import kept_rows
from two_versions import Found, Versions

from polyfield.scenes.base import ReadOptions
from polyfield.scenes.demo.capture import DEMO, FIELD_OF_VIEW, Analytic
from polyfield.scenes.images import write_image

SIDE, VIEWS = 800, {"train": 100, "test": 8}
PRESET = "hash-large"
STEPS = 6000
"""Of ours."""
PROBE = 500
"""Steps of the version before that tell how many samples it takes in one."""
THREADS = 2


def rows(versions: Versions) -> Iterator[kept_rows.Row]:
    """Its name, and what measures it."""
    yield "large", partial(large, versions)


def large(versions: Versions) -> dict[str, Any]:
    """PSNR and memory of both after equally many samples, one after the other."""
    data = write(versions.out / "large")
    words = ["scene", data, "--steps"]
    ours = versions.fit("large", {"ours": [*words, STEPS, "--preset", PRESET]}, THREADS)["ours"]
    found = {"ours": _said(ours)}
    if "before" not in versions.commands:
        return found
    probe = versions.fit("large-probe", {"before": [*words, PROBE]}, THREADS)["before"]
    steps = round(ours["samples"] * probe["steps"] / probe["samples"])
    before = versions.fit("large", {"before": [*words, steps]}, THREADS)["before"]
    found["before"] = _said(before)
    return {**found, "psnr_gained": ours["psnr"] - before["psnr"]}


def write(folder: Path) -> Path:
    """The built-in scene as files in the form of NeRF-synthetic, if they aren't there yet."""
    count = VIEWS["train"], VIEWS["test"]
    demo = Analytic(size=SIDE, train=count[0], test=count[1]).open(DEMO, ReadOptions())
    # The file of the training split makes it a capture, so that comes last.
    for split in ("test", "train"):
        file = folder / f"transforms_{split}.json"
        if file.is_file():
            continue
        (folder / split).mkdir(parents=True, exist_ok=True)
        frames = []
        for i in range(VIEWS[split]):
            name = f"./{split}/r_{i}"
            write_image(folder / f"{name}.png", demo.pixels(split, i))
            pose = demo.cameras(split)[i].pose.tolist()
            frames.append({"file_path": name, "transform_matrix": pose})
        file.write_text(json.dumps({"camera_angle_x": FIELD_OF_VIEW, "frames": frames}))
    return folder


def _said(metrics: Found) -> Found:
    """What counts of what a run says of itself."""
    keys = ("psnr", "ssim", "views", "steps", "samples", "seconds_training", "parameters")
    return {
        **{key: metrics[key] for key in keys},
        "peak_megabytes": metrics["peak_memory_bytes"] / 1e6,
    }
