"""Camera paths: around or before the scene, through its cameras, a split of the run, or a file.

`CameraPathKind` is the list of them; `path_of` picks one by what the user says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.interpolate import interpolate
from polyfield.scenes.orbit import orbit
from polyfield.scenes.path_formats import CameraPath, Source, read_camera_path
from polyfield.scenes.path_formats.source import FRAMES
from polyfield.scenes.spiral import spiral
from polyfield.scenes.view_order import Order, chosen_views, nearest_order
from polyfield.scenes.viewpoints import check_frames, check_size, sized, with_field_of_view

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class RunCameras:
    """What a run knows about where it was seen from; no images are needed."""

    splits: Mapping[str, Sequence[Camera]]
    """Its cameras.json: cameras by split, at least one in train."""
    bounds: Float[Tensor, "2 3"]
    """Corners of the scene's box, the user's frame."""
    data: Path | None = None
    """Where its data was; it needn't be there any more."""

    def of(self, split: str) -> Sequence[Camera]:
        """The cameras of a split.

        Raises:
            InputError: it has none.
        """
        if not self.splits.get(split):
            have = ", ".join(name for name, cameras in self.splits.items() if cameras)
            raise InputError(
                f"cameras of the {split} split in the run's cameras.json",
                have or "none",
                "choose another --path",
            )
        return self.splits[split]


@dataclass(frozen=True)
class Orbit:
    """Once around the scene."""

    def cameras(self, run: RunCameras, frames: int | None) -> CameraPath:
        """The views; 60 where no number is asked for."""
        return CameraPath(orbit(run.of("train"), run.bounds, _number(frames)))


@dataclass(frozen=True)
class Spiral:
    """Two turns before a scene that is seen from one side."""

    def cameras(self, run: RunCameras, frames: int | None) -> CameraPath:
        """The views; 120 where no number is asked for.

        Raises:
            InputError: the cameras look all over.
        """
        return CameraPath(spiral(run.of("train"), run.bounds, _number(frames, 2 * FRAMES)))


@dataclass(frozen=True)
class Interpolate:
    """Through views of the run."""

    through: str | None = None
    """Which, as `chosen_views` takes it; None for the test cameras, which are usually a path of
    their own, else the training ones."""
    order: Order = "capture"
    """As they are listed, or from each to the nearest."""

    def cameras(self, run: RunCameras, frames: int | None) -> CameraPath:
        """The views; 60 where no number is asked for.

        Raises:
            InputError: no such views.
        """
        if self.through is not None:
            steps: Sequence[Camera] = chosen_views(run.splits, self.through)
        else:
            steps = run.splits.get("test", ())
            steps = steps if len(steps) > 1 else run.of("train")
        steps = nearest_order(steps) if self.order == "nearest" else steps
        return CameraPath(interpolate(steps, _number(frames)))


@dataclass(frozen=True)
class Split:
    """The cameras of a split, one view each."""

    name: str
    """train, val or test."""

    def cameras(self, run: RunCameras, frames: int | None) -> CameraPath:
        """The views.

        Raises:
            InputError: no such split, or a number of frames is asked for.
        """
        if frames is not None:
            raise InputError("no --frames with a split", str(frames), "leave it out")
        return CameraPath(list(run.of(self.name)))


@dataclass(frozen=True)
class PathFile:
    """A file of any form in `scenes/path_formats/`."""

    path: Path
    """Where it is."""

    def cameras(self, run: RunCameras, frames: int | None) -> CameraPath:
        """The views.

        Raises:
            InputError: not such a file, or frames are asked for and the file has its own.
        """
        if frames is not None:
            check_frames(frames, "--frames")
        found = read_camera_path(Source(self.path, run.of("train")[0], frames, run.data))
        if frames not in (None, len(found.cameras)):
            raise InputError(
                f"no --frames with {self.path}, which has its own",
                f"{frames}, not {len(found.cameras)}",
                "leave it out",
            )
        return found


CameraPathKind = Orbit | Spiral | Interpolate | Split | PathFile
"""Every kind of camera path."""


def path_of(text: str, through: str | None = None, order: Order = "capture") -> CameraPathKind:
    """The path that a user names: orbit, spiral, interpolate, a split of the run, or a JSON file.

    Args:
        text: its word, or the file.
        through: of interpolate, the views; None for its own choice.
        order: of interpolate, that of the views.

    Raises:
        InputError: none of these, or views for another path than interpolate.
    """
    if text == "interpolate":
        return Interpolate(through, order)
    for flag, given in (("--through", through is not None), ("--order", order != "capture")):
        if given:
            raise InputError(
                f"{flag} with --path interpolate", repr(text[:60]), f"leave out {flag}"
            )
    if text == "orbit":
        return Orbit()
    if text == "spiral":
        return Spiral()
    if text in SPLITS:
        return Split(text)
    if not text.lower().endswith(".json"):
        raise InputError(
            f"--path orbit, spiral, interpolate, {', '.join(SPLITS)} or FILE.json",
            repr(text[:60]),
            "pick one of them",
        )
    return PathFile(Path(text))


def same_size(cameras: Sequence[Camera], size: tuple[int, int] | None) -> list[Camera]:
    """All views at the size asked for, else at that of the first.

    Raises:
        InputError: a size that can't be drawn here.
    """
    width, height = size or (cameras[0].width, cameras[0].height)
    check_size(width, height, "--size" if size else "the camera path")
    return [sized(camera, width, height) for camera in cameras]


def ramped(cameras: Sequence[Camera], first: float, last: float) -> list[Camera]:
    """The same views with a vertical field of view, degrees, that changes evenly along the path."""
    steps = max(len(cameras) - 1, 1)
    return [
        with_field_of_view(camera, first + (last - first) * i / steps)
        for i, camera in enumerate(cameras)
    ]


def _number(frames: int | None, usual: int = FRAMES) -> int:
    count = usual if frames is None else frames
    check_frames(count, "--frames")
    return count
