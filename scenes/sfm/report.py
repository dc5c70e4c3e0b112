"""What came of it: how many images have a pose, how well, and why the others have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from polyfield.scenes.sfm.intake import Prepared
from polyfield.scenes.sfm.mapping import Mapped
from polyfield.wording import listed

FEW_FEATURES = 60
"""Fewer, and an image is taken to show nothing that can be found again."""
FEW_MATCHES = 30
"""Fewer with its best partner, and an image can't be placed: COLMAP asks for as many."""
Why = Literal["too few features", "too few matches", "not connected"]


@dataclass(frozen=True)
class Failed:
    """An image without a pose."""

    name: str
    why: Why
    features: int
    matches: int
    """With the image it has most with."""


@dataclass(frozen=True)
class ProcessReport:
    """What `process` did."""

    images: int
    registered: int
    """How many have a pose."""
    points: int
    reprojection_error: float
    """Mean, pixels of what features were found in."""
    cameras: str
    """How they were chosen."""
    groups: list[int]
    """Images of each model; the first is written, the others don't connect to it."""
    failed: list[Failed]
    refused: list[str]
    """Image files that can't be read, one line each."""
    notes: list[str]
    """What was done to the images."""

    @property
    def warnings(self) -> list[str]:
        """What a user has to know, loudest first."""
        found = []
        if len(self.groups) > 1:
            sizes = " and ".join(map(str, self.groups))
            found.append(
                f"the images fall into {len(self.groups)} groups that don't connect, of {sizes}:"
                f" only the largest is written; take more that overlap between them"
            )
        if 2 * self.registered < self.images:
            found.append(
                f"only {self.registered} of {self.images} images have a pose: take them closer"
                " together, sharper, with more texture in sight"
            )
        for why in ("too few features", "too few matches", "not connected"):
            names = [failed.name for failed in self.failed if failed.why == why]
            if names:
                found.append(f"{len(names)} without a pose, {_WORDS[why]}: {listed(names)}")
        return [*found, *self.refused]

    @property
    def summary(self) -> str:
        """One line."""
        return (
            f"{self.registered} of {self.images} images have a pose, {self.points} points,"
            f" reprojection error {self.reprojection_error:.2f} px"
        )

    def as_json(self) -> dict[str, Any]:
        """For process.json."""
        return {**asdict(self), "warnings": self.warnings}


_WORDS = {
    "too few features": "too few features (blurred, dark or without texture)",
    "too few matches": "too few matches (nothing else shows the same)",
    "not connected": "not connected to the rest",
}


def report_of(
    mapped: Mapped,
    images: Sequence[Prepared],
    cameras: str,
    refused: list[str],
    notes: list[str],
) -> ProcessReport:
    """The report of a mapping."""
    model = mapped.model
    placed = {view.image for view in model.views} if model else set()
    failed = [
        Failed(
            image.name, _why(mapped.features[i], mapped.matches[i]),
            mapped.features[i], mapped.matches[i],
        )
        for i, image in enumerate(images)
        if i not in placed
    ]  # fmt: skip
    return ProcessReport(
        images=len(images) + len(refused),
        registered=len(placed),
        points=len(model.points) if model else 0,
        reprojection_error=model.error if model else 0.0,
        cameras=cameras,
        groups=[len(placed), *(len(other) for other in mapped.others)],
        failed=failed,
        refused=refused,
        notes=notes,
    )


def _why(features: int, matches: int) -> Why:
    if features < FEW_FEATURES:
        return "too few features"
    return "too few matches" if matches < FEW_MATCHES else "not connected"
