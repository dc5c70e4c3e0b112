"""`polyfield check` and `polyfield.check`: the doctor of captures."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from polyfield import terminal
from polyfield.apps import config_cli
from polyfield.errors import InputError, shown, visible
from polyfield.files import as_json
from polyfield.machine import use_threads
from polyfield.renderers.exports.new_folder import check_new_folder, new_folder
from polyfield.renderers.exports.writing import check_place
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.captures import format_named
from polyfield.scenes.doctor.examine import Examination, examine, rigid_shots
from polyfield.scenes.doctor.fixing import STAMP, write_mended
from polyfield.scenes.doctor.picture import draw
from polyfield.scenes.doctor.rows import Diagnosis
from polyfield.training.watchers.console import Reporter


@dataclass(frozen=True)
class CheckOptions:
    """What the doctor does beside looking."""

    fix: Path | None = None
    """Write a mended copy to this folder; the data itself is never changed."""
    picture: Path | None = None
    """Draw cameras, bounds and matched points into this .png."""
    format: str | None = None
    """Format of the capture; found by itself by default."""
    overwrite: bool = False
    """Replace the picture, or a folder that --fix has written."""


def check(
    data: str | os.PathLike[str],
    *,
    options: CheckOptions | None = None,
    read: ReadOptions | None = None,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Diagnosis:
    """Look a capture over: files, sizes, poses, axes, lens, pixels, splits.

    Args:
        data: A folder, a transforms.json, or "demo".
        options: A mended copy, a picture; None for neither.
        read: How it is read; None for the defaults.
        threads: CPU threads; None for PyTorch's own choice.
        reporter: What is printed; None prints nothing.

    Returns:
        Rows with a verdict each, and how to mend them.

    Raises:
        InputError: nothing there that could be looked at, or a place that can't be written to.
        WriteError: the system doesn't let it be written.
    """
    options, reporter = options or CheckOptions(), reporter or Reporter(quiet=True)
    _check_places(Path(data), options)
    use_threads(threads)
    named = None if options.format is None else format_named(options.format)
    found = examine(data, read or ReadOptions(), named, reporter)
    if options.picture is not None:
        _draw(found, options.picture.expanduser(), reporter)
    if options.fix is not None:
        _fix(found, options.fix.expanduser(), reporter)
    return found.diagnosis


def _check_places(data: Path, options: CheckOptions) -> None:
    if options.fix is not None:
        check_new_folder(options.fix.expanduser(), options.overwrite, STAMP, data)
    if options.picture is not None:
        place = options.picture.expanduser()
        if place.suffix.lower() != ".png":
            raise InputError("--picture FILE.png", shown(place), "end it with .png")
        check_place(place, options.overwrite)
        if not place.parent.is_dir():
            raise InputError(f"a folder {shown(place.parent)}", "none", "make it first")


def _draw(found: Examination, path: Path, reporter: Reporter) -> None:
    shots = rigid_shots(found.shots)
    if not shots:
        reporter.warn(f"no picture in {path}: no pose can be drawn")
        return
    draw(path, found.diagnosis.path, shots, found.capture, found.points)
    reporter.say(f"picture in {path}")


def _fix(found: Examination, out: Path, reporter: Reporter) -> None:
    mends = [row.mend for row in found.diagnosis.rows if row.mend is not None]
    if found.raw is None:
        reporter.warn(f"nothing in {out}: --fix mends captures in transforms.json form alone")
        return
    if not mends:
        reporter.warn(f"nothing in {out}: no row that --fix can mend")
        return
    with new_folder(out) as folder:
        write_mended(found.raw, mends, folder)
    reporter.say(f"mended copy in {out}: {'; '.join(mend.what for mend in mends)}")


@dataclass(frozen=True)
class Flags:
    """Look a capture over: files, sizes, poses, axes, lens, pixels, splits; say how to mend it."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """Folder of a capture, a transforms.json, or demo."""
    options: CheckOptions = field(default_factory=CheckOptions)
    """What else to do."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """How it is read."""
    json: bool = False
    """Print JSON."""
    threads: int | None = None
    """CPU threads."""
    quiet: bool = False
    """Print faults and warnings alone."""


def main(arguments: Sequence[str]) -> None:
    """The command line; exit code 2 where there is a fault."""
    given = config_cli.parse(Flags, arguments, "check")
    with Reporter(given.quiet or given.json) as reporter:
        diagnosis = check(
            given.data,
            options=given.options,
            read=given.read,
            threads=given.threads,
            reporter=reporter,
        )
    if given.json:
        print(as_json(diagnosis.as_json()))
    else:
        _print(diagnosis, given.quiet)
    if diagnosis.verdict == "fault":
        raise SystemExit(2)


def _print(diagnosis: Diagnosis, quiet: bool) -> None:
    """Rows one below the other; a mend stands under its row."""
    for row in diagnosis.troubles if quiet else diagnosis.rows:
        terminal.say(f"{row.name:<26}{row.verdict:<13}{visible(row.found)}", sys.stdout)
        if row.advice:
            terminal.say(f"{'':<39}-> {visible(row.advice)}", sys.stdout)
    if not quiet:
        counts = [
            f"{sum(row.verdict == kind for row in diagnosis.rows)} {kind}s"
            for kind in ("fault", "warning", "note")
        ]
        terminal.say(f"verdict: {diagnosis.verdict} ({', '.join(counts)})", sys.stdout)
