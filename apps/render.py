"""`polyfield render` and `polyfield.render`: a run drawn into a file or a folder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from polyfield.apps import config_cli
from polyfield.apps.choices import task_of
from polyfield.devices import resolve
from polyfield.machine import use_threads
from polyfield.training.run import Run, load_as
from polyfield.training.watchers.console import Reporter


def render(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    options: Any = None,
    overwrite: bool = False,
    threads: int | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> None:
    """Draw a run: a scene along a camera path, an image at another size.

    Args:
        run: Its folder.
        out: A file or a folder, as the kind is written.
        options: Of the run's kind, such as SceneDrawing(path="test"); None for the defaults.
        overwrite: Replace what is at `out`.
        threads: CPU threads; None for PyTorch's own choice.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.
        reporter: What is printed; None prints warnings alone.

    Raises:
        InputError: the run, `out`, an option or the device can't be used.
    """
    reporter = reporter or Reporter(quiet=True)
    place, folder = Path(out).expanduser(), Run(Path(run))
    use_threads(threads)
    there = resolve(device)
    task = task_of(folder)
    options = options or task.drawing()()
    task.check_out(options, place, overwrite)
    model = load_as(folder, task.kind, there)
    reporter.say(task.draw(model, folder, options, place, reporter))


@dataclass(frozen=True)
class RenderFlags:
    """Draw a run: a scene along a camera path, an image at another size."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE|DIR")]
    """A film (.mp4) or a folder for images; other kinds have files of their own."""
    threads: int | None = None
    """CPU threads."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one."""
    overwrite: bool = False
    """Replace what is at --out."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(arguments: Sequence[str]) -> None:
    """The command line: the flags of the run's kind beside those of every kind."""
    drawing = _drawing(arguments)
    fields: list[Any] = [("own", RenderFlags)]
    if drawing is not None:
        fields.append(("options", drawing, dataclasses.field(default_factory=drawing)))
    command: Any = make_dataclass("Flags", fields, namespace={"__doc__": RenderFlags.__doc__})
    given = config_cli.parse(command, arguments, "render")
    own: RenderFlags = given.own
    with Reporter(own.quiet) as reporter:
        render(
            own.run,
            own.out,
            options=None if drawing is None else given.options,
            overwrite=own.overwrite,
            threads=own.threads,
            device=own.device,
            reporter=reporter,
        )


def _drawing(arguments: Sequence[str]) -> type | None:
    """Options of the kind of the run that is named; those of a scene if none is."""
    for word in arguments:
        run = Run(Path(word))
        if not word.startswith("-") and run.is_there:
            return task_of(run).drawing()
    from polyfield.apps.tasks import KINDS, task_class

    found: type = task_class(next(iter(KINDS))).drawing()
    return found
