"""Each scene preset as the teacher of a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import fmean

import polyfield
from polyfield.apps.tasks.scene_presets import scene_presets
from taken.evidence import TEACHERS, Evidence, Found, decibels, metrics
from taken.page_reader import student
from taken.pages import views

SLOW = ("mlp", "nerf", "kilo", "voxels", "gnf", "rbf", "cam")
"""Presets of which 1000 steps take more than a minute on two cores: they get 60 seconds."""
STEPS, SECONDS, LEARN = 1000, 60, 150
"""Of a teacher, and of a page."""
LIKE, POOR = 30.0, 22.0
"""dB of a student against its teacher, and of a teacher below which nothing is asked of it."""
VIEWS, SIDE = 6, 100


def rows(evidence: Evidence) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Names and what measures them."""
    for preset in scene_presets():
        yield f"teacher {preset}", partial(taught, evidence, preset)


def taught(evidence: Evidence, preset: str) -> Found:
    """A short fit, a short export, and the two compared."""
    run = teacher_of(evidence, preset)
    path, seconds = evidence.exported(run, "web", f"teacher-{preset}.html", "--steps", LEARN)
    teacher, made = polyfield.load(run), student(path)
    scores = []
    for camera in views(run, VIEWS, SIDE):
        seen, wanted = (model.render(camera).color.clamp(0, 1) for model in (made, teacher))
        scores.append(decibels(seen.numpy(), wanted.numpy()))
    found = metrics(run)
    return {
        "budget": " ".join(map(str, _budget(preset))),
        "steps": found["steps"],
        "teacher_db": found["psnr"],
        "student_against_teacher_db": fmean(scores),
        "export_seconds": seconds,
        "megabytes": path.stat().st_size / 1e6,
        "must": fmean(scores) >= LIKE or found["psnr"] < POOR,
    }


def teacher_of(evidence: Evidence, preset: str) -> Path:
    """Its run on lego at half size."""
    data = evidence.place(TEACHERS["lego"].data)
    flags = ["--preset", preset, "--background", "white", "--downscale", 2, *_budget(preset)]
    return evidence.fitted("scene", f"teacher-{preset}", data, *flags)


def _budget(preset: str) -> tuple[str, int]:
    return ("--seconds", SECONDS) if preset in SLOW else ("--steps", STEPS)
