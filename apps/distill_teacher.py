"""The teacher of a distillation: its run, and the photographs it was fitted to."""

from __future__ import annotations

import torch

from polyfield.apps.jobs import Asked
from polyfield.config import from_tree
from polyfield.errors import InputError
from polyfield.renderers.model import RadianceModel
from polyfield.scenes import open_capture
from polyfield.scenes.base import Capture, ReadOptions, Scene
from polyfield.training.console import Reporter
from polyfield.training.run import Run, load


def radiance_teacher(run: Run) -> RadianceModel:
    """The model of a teacher's run.

    Raises:
        InputError: no run, not trained yet, or a picture's.
    """
    run.config()
    model = load(run.path)
    if not isinstance(model, RadianceModel):
        raise InputError("a teacher of a scene", f"a picture's in {run.path}", "give a scene's run")
    return model


def warn_of_unfinished(run: Run, reporter: Reporter) -> None:
    """Say so if a teacher was stopped before its budget was spent.

    Raises:
        InputError: it was stopped before its first step.
    """
    meta = run.state_meta()
    if not meta or meta.get("spent"):
        return
    if not meta["step"]:
        raise InputError("a trained teacher", f"{run.path}, not trained yet", "--resume its fit")
    reporter.warn(
        f"the teacher {run.path} was stopped after {meta['seconds']:.0f} s, its budget not spent"
    )


def photographs(asked: Asked) -> Capture | None:
    """The capture the teacher was fitted to, if it is still there and can be read."""
    try:
        return open_capture(asked.data, asked.read)
    except InputError:
        return None


def held_out(capture: Capture | None) -> Scene | None:
    """The test split of a capture, or its first one; None where there is no capture."""
    if capture is None:
        return None
    try:
        return capture.scene("test" if "test" in capture.splits else capture.splits[0])
    except InputError:
        return None


def asked_of(run: Run, preset: str, seed: int, threads: int, device: torch.device) -> Asked:
    """What the teacher was asked, for a student of another preset."""
    tree = run.config()
    read = from_tree(ReadOptions, tree.get("read", {}), "read")
    background = tree.get("background", "random")
    return Asked(tree["data"], preset, read, background, seed, threads, device)
