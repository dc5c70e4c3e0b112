"""`polyfield process` and `polyfield.process`: poses for photographs or a video."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from polyfield.apps import config_cli
from polyfield.machine import use_threads
from polyfield.renderers.exports.new_folder import check_new_folder, new_folder
from polyfield.scenes.sfm.config import Sfm
from polyfield.scenes.sfm.process import REPORT, reconstruct
from polyfield.scenes.sfm.report import ProcessReport
from polyfield.training.watchers.console import Reporter


def process(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    options: Sfm | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> ProcessReport:
    """Find the poses of photographs, or of frames of a video, and write them as a capture.

    Args:
        source: A folder of photographs, or a video.
        out: The folder to write: images/, transforms.json, sparse_pc.ply, process.json. It appears
            when it is whole.
        options: How; None for the defaults.
        overwrite: Replace a folder that `process` has written.
        threads: CPU threads; None for PyTorch's own choice.
        reporter: What is printed; None prints warnings alone.

    Returns:
        How many images have a pose, how well, and why the others have none.

    Raises:
        MissingBackend: pycolmap is not installed.
        InputError: nothing to read, options that don't fit, or no image could be placed.
        WriteError: the system doesn't let it be written.
    """
    reporter = reporter or Reporter(quiet=True)
    origin, place = Path(source).expanduser(), Path(out).expanduser()
    check_new_folder(place, overwrite, REPORT, origin)
    count = use_threads(threads)
    with new_folder(place) as folder:
        report = reconstruct(origin, folder, options or Sfm(), count, reporter)
    for warning in report.warnings:
        reporter.warn(warning)
    reporter.say(f"{report.summary}, in {place}")
    return report


@dataclass(frozen=True)
class Flags:
    """Find the poses of photographs or of a video: features, matches and mapping by pycolmap."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTOS|VIDEO")]
    """Folder of photographs, or a video."""
    out: Annotated[Path, tyro.conf.arg(metavar="DATA")]
    """Folder to write: images, transforms.json, points, process.json."""
    options: Sfm = field(default_factory=Sfm)
    """How."""
    threads: int | None = None
    """CPU threads."""
    overwrite: bool = False
    """Replace a folder that process has written."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given = config_cli.parse(Flags, arguments, "process")
    with Reporter(given.quiet) as reporter:
        process(
            given.source,
            given.out,
            options=given.options,
            overwrite=given.overwrite,
            threads=given.threads,
            reporter=reporter,
        )
