"""Pages of scenes: their size, what they ask for, how long they take, and whom they look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import fmean

from polyfield.apps.tasks.scene_scores import measure_scene
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_files import read_cameras
from polyfield.scenes.cameras import Camera
from polyfield.scenes.color import srgb_from_linear
from polyfield.training.watchers.console import Reporter
from taken.browser import Opened, chromium, opened
from taken.evidence import TEACHERS, Evidence, Found, decibels, metrics
from taken.page_reader import student

MOST = {"lego": 16e6, "demo": 16e6, "fox": 28e6}
FINE = 8e6
"""Bytes."""
SLOWEST, SWIFT = 120.0, 45.0
"""Seconds on the machine, and such that one would like."""
VIEWS, SIDE = 20, 400
"""Of browser against Python."""
MEAN, WORST = 45.0, 40.0
BELOW, NEAR = 1.0, 0.5
"""dB that a student's score may lie below its teacher's."""


def rows(evidence: Evidence) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Names and what measures them."""
    for name in TEACHERS:
        yield f"page {name}", partial(size_and_time, evidence, name)
    for name in TEACHERS:
        yield f"browser against python {name}", partial(same, evidence, name)
    for name in TEACHERS:
        yield f"student against teacher {name}", partial(student_score, evidence, name)


def page_of(evidence: Evidence, name: str) -> Path:
    """The page of a teacher."""
    return evidence.exported(evidence.teacher(name), "web", f"{name}.html")[0]


def size_and_time(evidence: Evidence, name: str) -> Found:
    """The file, opened from disk with the network off, and the command that wrote it."""
    path, seconds = evidence.exported(evidence.teacher(name), "web", f"{name}.html")
    with chromium() as browser, opened(browser, path) as page:
        page.page.wait_for_function("polyfield.frames > 0", timeout=300_000)
        external = page.external
    size, rate = path.stat().st_size, evidence.samples_per_second()
    at_1m = seconds * rate / 1e6
    return {
        "megabytes": size / 1e6,
        "external": external,
        "seconds": seconds,
        "samples_per_second": rate,
        "seconds_at_1M": at_1m,
        "must": size <= MOST[name] and not external and at_1m <= SLOWEST,
        "strive": size <= FINE and at_1m <= SWIFT,
    }


def same(evidence: Evidence, name: str) -> Found:
    """What the browser draws against what Python draws of the very bytes of the page."""
    path = page_of(evidence, name)
    made = student(path)
    with chromium() as browser, opened(browser, path) as page:
        scores = [likeness(page, made, camera) for camera in views(evidence.teacher(name))]
    return {
        "mean_db": fmean(scores),
        "worst_db": min(scores),
        "views": len(scores),
        "must": fmean(scores) >= MEAN and min(scores) >= WORST,
    }


def likeness(page: Opened, made: RadianceModel, camera: Camera) -> float:
    """DB of a view in the browser against that of a model."""
    wanted = made.render(camera).color.clamp(min=0)
    if made.color_space == "linear":
        wanted = srgb_from_linear(wanted)
    return decibels(page.drawn(camera)[..., :3] / 255, wanted.clamp(0, 1).numpy())


def views(run: Path, count: int = VIEWS, side: int = SIDE) -> list[Camera]:
    """Views of a run, evenly spread, as square pinholes."""
    cameras = [camera for split in read_cameras(run / "cameras.json").values() for camera in split]
    found = []
    for i in range(count):
        camera = cameras[i * len(cameras) // count]
        focal = camera.fl_x * side / camera.width
        found.append(Camera(camera.pose, side, side, focal, focal, side / 2, side / 2))
    return found


def student_score(evidence: Evidence, name: str) -> Found:
    """The test score of what the page shows against that of the run."""
    made = student(page_of(evidence, name))
    capture = open_capture(evidence.place(TEACHERS[name].data), ReadOptions())
    seen = measure_scene(made, capture, "test", Reporter(quiet=True))
    teacher, ours = metrics(evidence.teacher(name)), seen.scores["psnr"]
    below = teacher["psnr"] - ours
    return {
        "teacher_db": teacher["psnr"],
        "student_db": ours,
        "below_db": below,
        "views": len(seen.facts["per_view"]),
        "must": below <= BELOW,
        "strive": below <= NEAR,
    }
