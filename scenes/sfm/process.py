"""Photographs or a video -> a folder with images, transforms.json, points and a report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from polyfield.errors import InputError, shown
from polyfield.files import TEMPORARY, write_json
from polyfield.ranges import check
from polyfield.scenes.sfm.config import Sfm
from polyfield.scenes.sfm.frame import framed
from polyfield.scenes.sfm.intake import Places, Prepared, take_frames, take_photographs
from polyfield.scenes.sfm.lenses import Lens, check_source, choose_lenses, plainer_lenses
from polyfield.scenes.sfm.library import pycolmap
from polyfield.scenes.sfm.mapping import Mapped, solve
from polyfield.scenes.sfm.matching import Images, match
from polyfield.scenes.sfm.photographs import Photograph, photographs_in
from polyfield.scenes.sfm.report import ProcessReport, report_of
from polyfield.scenes.sfm.video import ENDINGS, sharpest_frames
from polyfield.scenes.sfm.writing import write_capture

REPORT = "process.json"
_STEPS = ("features: image", "matching: pair")


@runtime_checkable
class Listener(Protocol):
    """Who is told how far it is."""

    def say(self, line: str) -> None:
        """One line on what was decided."""

    def count(self, what: str, done: int, total: int) -> None:
        """How much of something is done; often."""


def reconstruct(
    source: Path, folder: Path, config: Sfm, threads: int, listener: Listener
) -> ProcessReport:
    """Pose photographs, or frames of a video.

    Args:
        source: a folder of photographs, or a video.
        folder: an empty one that becomes the capture; what is only needed on the way lies beside
            it and is gone afterwards.
        config: how.
        threads: of the CPU.
        listener: told of progress.

    Raises:
        MissingBackend: there is no pycolmap.
        InputError: nothing to read, intrinsics or masks that can't be used, or no image could be
            placed.
    """
    check(config)
    check_source(config)
    pycolmap("poses from photographs")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=TEMPORARY) as name:
        work = Path(name)
        places = Places(folder, work / "copies", work / "masks")
        places.make()
        images, refused, notes = _take(source, places, config, listener)
        for note in notes:
            listener.say(note)
        lenses, cameras = choose_lenses(images, config)
        listener.say(cameras)
        every = Images(images, places, work, config, threads)
        features, matching = (_counted(listener, what) for what in _STEPS)
        match(every, lenses, features, matching)
        mapped = _solved(every, lenses, listener)
        report = report_of(mapped, images, cameras, refused, notes)
        if mapped.model is None:
            raise InputError(
                f"images of {shown(source)} that show the same things",
                _nothing(report),
                "take sharp photographs that overlap by two thirds, from different places",
            )
        _drop_unplaced(folder, images, {view.image for view in mapped.model.views})
        write_capture(folder, framed(mapped.model), images)
    write_json(folder / REPORT, report.as_json())
    return report


def _solved(images: Images, lenses: list[Lens], listener: Listener) -> Mapped:
    """The poses; where some are missing, those with the best of some plainer lenses.

    Terms of distortion that too few images tell lead mapping astray.
    """
    count = _counted(listener, "mapping: image")
    best = solve(images, lenses, count)
    while best.placed < len(images.prepared) and images.config.camera_model == "auto":
        plainer = plainer_lenses(lenses)
        if plainer is None:
            break
        lenses = plainer
        listener.say(
            f"{best.placed} of {len(images.prepared)} images have a pose: trying plainer lenses,"
            f" {lenses[-1].model}"
        )
        found = solve(images, lenses, count)
        best = found if found.placed > best.placed else best
    return best


def _take(
    source: Path, places: Places, config: Sfm, listener: Listener
) -> tuple[list[Prepared], list[str], list[str]]:
    """The images, a line on each that can't be read, and lines on what was done to them."""
    if source.is_dir():
        photographs, refused = photographs_in(source, _counted(listener, "reading: image"))
        if len(photographs) < 2:
            raise InputError(f"two photographs or more in {shown(source)}", "one", "take more")
        counted = _counted(listener, "images: image")
        images = take_photographs(photographs, places, config, counted)
        return images, refused, _notes(photographs, images)
    if source.suffix.lower() not in ENDINGS and source.exists():
        raise InputError(
            f"a folder of photographs or a video ({', '.join(ENDINGS[:6])} ...)",
            shown(source),
            "give the folder of the photographs",
        )
    if config.masks is not None:
        raise InputError("photographs for --masks", "a video", "leave it out")
    counted = _counted(listener, "video: frame")
    images = take_frames(sharpest_frames(source, config.frames, counted), places, config)
    return images, [], [f"{len(images)} frames of {source.name}, the sharpest of each part"]


def _counted(listener: Listener, what: str) -> Callable[[int, int], None]:
    return lambda done, total: listener.count(what, done, total)


def _notes(photographs: list[Photograph], images: list[Prepared]) -> list[str]:
    """What was done to the pixels."""
    turned = sum(photograph.orientation != 1 for photograph in photographs)
    shrunk = sum(
        image.size != (photograph.width, photograph.height)
        for photograph, image in zip(photographs, images, strict=True)
    )
    notes = []
    if turned:
        notes.append(f"{turned} of {len(images)} images turned upright by their EXIF orientation")
    if shrunk:
        notes.append(f"{shrunk} of {len(images)} images shrunk")
    return notes


def _nothing(report: ProcessReport) -> str:
    """Why no image has a pose, in a few words."""
    counts = {failed.why: 0 for failed in report.failed}
    for failed in report.failed:
        counts[failed.why] += 1
    return f"no poses for {report.images}: " + ", ".join(
        f"{why} in {number}" for why, number in counts.items()
    )


def _drop_unplaced(folder: Path, images: list[Prepared], placed: set[int]) -> None:
    """Images without a pose are of no use to a reader of the capture."""
    for i, image in enumerate(images):
        for name in (image.image, image.mask) if i not in placed else ():
            if name is not None:
                (folder / name).unlink(missing_ok=True)
