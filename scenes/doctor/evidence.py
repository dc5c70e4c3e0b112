"""Rows that features decide: axes of the poses, the focal length, the sign of the distortion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polyfield.errors import MissingBackend
from polyfield.scenes.doctor.conventions import OURS, Convention, Poses, conventions, readable
from polyfield.scenes.doctor.epipolar import (
    CAP,
    Agreement,
    Evidence,
    agreement,
    gather,
    triangulated,
)
from polyfield.scenes.doctor.features import ANCHORS, Matches, match_neighbours
from polyfield.scenes.doctor.mends import flip_distortion, reread, scale_focal
from polyfield.scenes.doctor.rows import Row
from polyfield.scenes.doctor.shots import Shot

ENOUGH = 80
"""Matches below which nothing is judged."""
FITS = 0.5
"""Share of the matches that agree where poses are right; those of shuffled poses are near 0.1."""
SURELY = 0.7
"""Share with which no other focal length is tried."""
CLEARLY = 0.2
"""By how much another convention's share must be larger."""
TRIED = 700
"""Matches that every convention is tried on."""
COARSE = (1.0, 0.5, 0.7, 1.4, 2.0)
"""Focal lengths, of the one given, under which conventions are tried."""
SWEEP = np.exp(np.linspace(-1.0, 1.0, 81))
"""Focal lengths tried once the convention is known."""
OFF, FAR_OFF = 0.03, 0.1
"""Relative error of a focal length that is told, and that is a fault."""
BETTER, MUCH, NOISE = 0.75, 0.4, 0.3
"""Cost of another focal length, of that of the one given, below which it is believed if it also
mends the poses: its median error is below that share of the given one's, or is the features' own
(pixels). Poses that are inexact by themselves gain a little by another one, but stay inexact."""
SMALLER, CHANCE = 0.95, 5.0
"""The same of another distortion, and by how many deviations errors must be smaller."""
BENT = 0.5
"""Pixels by which a lens must distort for its sign to be judged."""
_NAMES = ("axes", "focal length", "distortion")


@dataclass(frozen=True)
class Judged:
    """What features say."""

    rows: list[Row]
    points: Float[np.ndarray, "n 3"]
    """Of matches that agree with the poses as they are."""


def judge(
    shots: Sequence[Shot], count: Callable[[int, int], None], anchors: int = ANCHORS
) -> Judged:
    """Match neighbouring views and try what the poses may mean.

    Args:
        shots: views with any poses.
        count: called with how many images are looked at, of how many.
        anchors: views that are matched with two others each.
    """
    if len(shots) < 3:
        return _unjudged("fewer than three views")
    try:
        matches = match_neighbours(shots, count, anchors)
    except MissingBackend as error:
        return _unjudged(str(error).rpartition("; ")[2])
    return weigh(shots, matches)


def weigh(shots: Sequence[Shot], matches: Sequence[Matches]) -> Judged:
    """What matches say of the poses and lenses of views."""
    if sum(len(pair.a) for pair in matches) < ENOUGH:
        return _unjudged("too few features in common between neighbouring views")
    evidence = gather(shots, matches)
    matrices = np.stack([shot.pose for shot in shots])
    candidates = readable(matrices, conventions())
    ours = next((poses for convention, poses in candidates if convention == OURS), None)
    given = None if ours is None else agreement(evidence, ours)
    if given is not None and not np.isfinite(given.median):
        return _unjudged("the cameras stand at one point")
    best = _best(evidence, candidates, given)
    if best is None:
        row = Row(
            "axes", "fault", "matrices that are poses under no convention",
            "pose the capture again: polyfield process",
        )  # fmt: skip
        return Judged([row, *_unjudged("no poses", _NAMES[1:]).rows], np.zeros((0, 3)))
    rows = [_axes(best, given, len(evidence))]
    points = np.zeros((0, 3))
    if ours is not None and given is not None and given.share >= FITS:
        points = triangulated(evidence, ours, given)
    if best.share < FITS:
        return Judged([*rows, *_unjudged("the poses don't fit", _NAMES[1:]).rows], points)
    rows.append(_focal(evidence, best.poses))
    rows.append(_distortion(evidence, best.poses))
    return Judged(rows, points)


def _unjudged(why: str, names: Sequence[str] = _NAMES) -> Judged:
    return Judged([Row(name, "not checked", why) for name in names], np.zeros((0, 3)))


@dataclass(frozen=True)
class _Best:
    convention: Convention
    poses: Poses
    share: float
    median: float


def _best(
    evidence: Evidence,
    candidates: Sequence[tuple[Convention, Poses]],
    given: Agreement | None,
) -> _Best | None:
    """The convention under which most matches agree; ours unless another is clearly better."""
    found: _Best | None = None
    few = evidence.thinned(TRIED)
    for scale in COARSE:
        for convention, poses in candidates:
            agreed = agreement(few, poses, scale)
            # The first of equals, for the likelier come first.
            if found is None or agreed.share > found.share + 0.02:
                found = _Best(convention, poses, agreed.share, agreed.median)
        if found is not None and found.share > SURELY:
            break
    ours = next((poses for convention, poses in candidates if convention == OURS), None)
    if found is None or ours is None or given is None:
        return found
    own = max((agreement(few, ours, scale) for scale in COARSE), key=lambda a: a.share)
    if found.share < max(own.share + CLEARLY, FITS):
        return _Best(OURS, ours, own.share, own.median)
    return found


def _axes(best: _Best, given: Agreement | None, count: int) -> Row:
    told = f"{best.share:.0%} of {count} matches agree, median {best.median:.2f} px"
    if best.share < FITS:
        hint = "pose the capture again: polyfield process"
        if best.share > FITS / 2:
            return Row("axes", "warning", f"the poses fit the images badly: {told}", hint)
        return Row("axes", "fault", f"the poses fit the images under no convention: {told}", hint)
    if best.convention.is_ours:
        return Row("axes", "ok", f"camera-to-world in OpenGL axes: {told}")
    now = "" if given is None else f" (as they are {given.share:.0%})"
    return Row(
        "axes",
        "fault",
        f"the matrices are {best.convention.words}: then {told}{now}",
        "convert them to camera-to-world in OpenGL axes, or --fix OUT",
        reread(best.convention),
    )


def _focal(evidence: Evidence, poses: Poses) -> Row:
    costs = np.array([agreement(evidence, poses, float(scale)).cost for scale in SWEEP])
    at = int(costs.argmin())
    own, there = agreement(evidence, poses), agreement(evidence, poses, float(SWEEP[at]))
    scale = _finest(costs, at)
    pixels = float(np.median(evidence.focal))
    if not 0 < at < len(costs) - 1:  # poses that are wrong by themselves are least so far away
        return Row("focal length", "not checked", f"{pixels:.4g} px; no other one fits clearly")
    told = f"{pixels:.4g} px; matches agree best with {pixels * scale:.4g} px, {scale:.3f} times"
    mends = there.median < MUCH * own.median or there.median < NOISE
    is_better = there.cost < BETTER * own.cost and mends
    if abs(scale - 1) < OFF or not is_better:
        return Row("focal length", "ok", f"{pixels:.4g} px (matches: {scale:.3f} times)")
    verdict = "fault" if abs(scale - 1) > FAR_OFF else "warning"
    return Row(
        "focal length",
        "fault" if verdict == "fault" else "warning",
        told,
        "scale fl_x and fl_y by that, or --fix OUT",
        scale_focal(scale),
    )


def _finest(costs: Float[np.ndarray, " n"], at: int) -> float:
    """The lowest place of a parabola through the best of the sweep and its neighbours."""
    if not 0 < at < len(costs) - 1:
        return float(SWEEP[at])
    low, middle, high = costs[at - 1 : at + 2]
    bend = low - 2 * middle + high
    shift = 0.5 * (low - high) / bend if bend > 0 else 0.0
    step = float(np.log(SWEEP[1] / SWEEP[0]))
    return float(SWEEP[at] * np.exp(shift * step))


def _distortion(evidence: Evidence, poses: Poses) -> Row:
    moved = np.abs(evidence.plain_a - evidence.ideal_a).max(1) * evidence.focal
    largest = float(np.quantile(moved, 0.95))
    if largest == 0:
        return Row("distortion", "ok", "none")
    if largest < BENT:
        return Row("distortion", "ok", f"at most {largest:.2g} px: too little to be judged")
    own, none, other = (agreement(evidence.distorted(k), poses) for k in (1.0, 0.0, -1.0))
    told = (
        f"up to {largest:.2g} px; cost {own.cost:.2f} as given, {none.cost:.2f} without,"
        f" {other.cost:.2f} with the other sign"
    )
    if _is_better(other, own) and other.cost < none.cost:
        return Row(
            "distortion", "fault", told, "negate k1 k2 p1 p2, or --fix OUT", flip_distortion(-1.0)
        )
    if _is_better(none, own):
        hint = "the images look undistorted: remove k1 k2 p1 p2, or --fix OUT"
        return Row("distortion", "fault", told, hint, flip_distortion(0.0))
    return Row("distortion", "ok", told)


def _is_better(other: Agreement, own: Agreement) -> bool:
    """Whether errors under another lens are smaller, and by more than chance.

    Noise of the features hides what a lens does to most of them, so errors are compared one by one:
    their mean difference against its own deviation.
    """
    gain = np.minimum(own.error, CAP) - np.minimum(other.error, CAP)
    deviation = float(gain.std()) / max(len(gain), 1) ** 0.5
    return other.cost < SMALLER * own.cost and float(gain.mean()) > CHANCE * deviation
