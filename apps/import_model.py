"""`polyfield import` and `polyfield.import_model`: another program's trained model as a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from polyfield.apps import config_cli
from polyfield.apps.tasks import task_class
from polyfield.config import from_tree
from polyfield.machine import versions
from polyfield.renderers.imports.imported import Imported
from polyfield.renderers.imports.models import read_model
from polyfield.renderers.model import Model
from polyfield.renderers.model_files import save_model
from polyfield.scenes.camera_files import write_cameras, write_capture
from polyfield.scenes.cameras import Cameras
from polyfield.training.lock import locked
from polyfield.training.run import Run, facts, plan, update_metrics
from polyfield.training.watchers.console import Reporter

PARTS = ("field", "sampler")
"""What a model file and a config.yaml both say."""


def import_model(
    file: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    data: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> Model:
    """Turn another program's trained model into a run: to render, export or distil it.

    Args:
        file: A snapshot of instant-ngp (.msgpack, .ingp) of a scene or an image, with its default
            configuration; or nerfstudio's nerfacto or instant-ngp: a checkpoint, its config.yml, or
            the folder of the training.
        out: A new folder for the run.
        size: Width and height of the image, where it is one: the file doesn't say.
        data: The capture it was trained on, where the file has no cameras; None for the place that
            nerfstudio's config.yml names, if that is there.
        overwrite: Replace the run at `out`.
        reporter: What is printed; None prints warnings alone.

    Returns:
        The model, on the CPU.

    Raises:
        InputError: the file can't be read or says what we can't express, or the folder is taken.
        MissingBackend: msgpack is missing; the message names the extra.
        WriteError: the system couldn't write it.
    """
    reporter = reporter or Reporter(quiet=True)
    run, place = Run(Path(out).expanduser()), Path(file).expanduser()
    plan(run, {}, False, overwrite)
    found = read_model(place, size, None if data is None else Path(data).expanduser())
    for line in found.warnings:
        reporter.warn(line)
    # Lenses that can't be undone are told before anything is written.
    views = Cameras.stack(found.cameras) if found.cameras else None
    run.make()
    with locked(run.path):
        plan(run, {}, False, overwrite)
        _write(found, views, run, place)
    cameras = len(found.cameras or (found.capture.names("train") if found.capture else ()))
    seen = f", {cameras} cameras" if cameras else ""
    values = found.model.size().trainable
    reporter.say(f"{run.path}: {found.model.kind} of {found.program}, {values} values{seen}")
    return found.model


def _write(found: Imported, views: Cameras | None, run: Run, source: Path) -> None:
    """The files of a run; config.yaml as a fit would have left it."""
    model = found.model
    about = model.describe()
    parts = {key: about[key] for key in PARTS if key in about}
    task = from_tree(task_class(model.kind), parts, "the model")
    run.begin(
        {
            "polyfield": versions()["polyfield"],
            "kind": model.kind,
            "data": os.path.abspath(found.data or source),
            "preset": found.program,
            "seed": 0,
            "threads": 1,
            **task.tree(),
        }
    )
    save_model(run.file("model.safetensors"), model)
    if found.capture is not None:
        write_capture(run.file("cameras.json"), found.capture)
    elif views is not None:
        names = {"train": found.names}
        write_cameras(run.file("cameras.json"), {"train": views}, names, model.bounds)
    told = {"imported_from": found.program, "imported_steps": found.steps}
    update_metrics(run, {**facts(run, model), **told})


@dataclass(frozen=True)
class Flags:
    """Turn another program's trained model into a run, to render, export or distil it."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """instant-ngp's .msgpack or .ingp; nerfstudio's .ckpt, its config.yml or their folder."""
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """A new folder for the run."""
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="WIDTH HEIGHT")] = None
    """Of an image, whose file doesn't say."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="DATA")] = None
    """The capture of a model whose file has no cameras; default where its config.yml says."""
    overwrite: bool = False
    """Replace the run at --out."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given: Any = config_cli.parse(Flags, arguments, "import")
    with Reporter(given.quiet) as reporter:
        import_model(
            given.file,
            given.out,
            size=given.size,
            data=given.data,
            overwrite=given.overwrite,
            reporter=reporter,
        )
