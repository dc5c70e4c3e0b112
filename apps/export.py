"""`polyfield export` and `polyfield.export`: a run taken away as a file that others read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from polyfield.apps import config_cli
from polyfield.devices import resolve
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.ranges import check
from polyfield.renderers.exports.models import EXPORTS, ModelExport, check_target, export_named
from polyfield.renderers.exports.source import Source, Tell
from polyfield.scenes.camera_files import read_cameras
from polyfield.training.distillation.baking import learn_to_look_alike
from polyfield.training.run import Run, load
from polyfield.training.watchers.console import Reporter


def export(
    run: str | os.PathLike[str],
    to: str | ModelExport,
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    threads: int | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> None:
    """Write a trained model in a form that other programs read, in the data's own frame and units.

    Args:
        run: Its folder, or a model.safetensors alone.
        to: mesh, web, points, splats, volume, images or onnx; or one of these with options, such as
            Mesh(resolution=512).
        out: The file; its ending says the form. A folder for images.
        overwrite: Replace what is at `out`.
        threads: CPU threads; None for PyTorch's own choice.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.
        reporter: What is printed; None prints warnings alone.

    Raises:
        InputError: the run, `out`, an option or the device can't be used, or the model can't be
            exported so.
        MissingBackend: an optional package is missing; the message names it.
        WriteError: the system couldn't write it.
    """
    reporter = reporter or Reporter(quiet=True)
    place = Path(out).expanduser()
    what = export_named(to)() if isinstance(to, str) else to
    check(what)
    check_target(what, place, overwrite)
    use_threads(threads)
    source = source_of(run, device)
    reporter.say(f"{place}: {what.write(source, place, reporter.say)}")


def source_of(run: str | os.PathLike[str], device: str = "auto") -> Source:
    """A run's model and cameras.

    Raises:
        InputError: no run or model there, a damaged one, or no such device.
    """
    resolve(device)
    model, folder = load(run, device), Path(run)
    if not folder.is_dir():
        return Source(model, folder.stem, {})
    file = Run(folder).file("cameras.json")
    cameras = read_cameras(file) if file.is_file() else {}
    views = cameras.get("train") or next(iter(cameras.values()), [])

    def learn(teacher: Any, student: Any, steps: int, tell: Tell) -> None:
        learn_to_look_alike(teacher, student, list(views), steps, tell)

    return Source(model, Path(os.path.abspath(folder)).name, cameras, learn)


@dataclass(frozen=True)
class ExportFlags:
    """Write a run as a page, a mesh, points, splats, a volume, images or ONNX, in its own frame."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, or a model.safetensors."""
    to: Annotated[str, tyro.conf.arg(metavar="|".join(EXPORTS))]
    """As what; the other flags are those of it."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE|DIR")]
    """Where to; the ending says the form."""
    threads: int | None = None
    """CPU threads."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one."""
    overwrite: bool = False
    """Replace what is at --out."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(arguments: Sequence[str]) -> None:
    """The command line: the flags of what is written beside those of every export."""
    named = config_cli.value_of("--to", arguments)
    kind = next(iter(EXPORTS.values())) if named is None else export_named(named)
    config_cli.refuse_foreign(arguments, "--to", kind, EXPORTS)
    fields: list[Any] = [
        ("own", ExportFlags),
        ("options", kind, dataclasses.field(default_factory=kind)),
    ]
    command: Any = make_dataclass("Flags", fields, namespace={"__doc__": ExportFlags.__doc__})
    given = config_cli.parse(command, arguments, "export")
    own: ExportFlags = given.own
    if own.out == Path():
        raise InputError("--out FILE", "none", "name one")
    with Reporter(own.quiet) as reporter:
        export(
            own.run,
            given.options,
            own.out,
            overwrite=own.overwrite,
            threads=own.threads,
            device=own.device,
            reporter=reporter,
        )
