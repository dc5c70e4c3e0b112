"""How well matches agree with poses: Sampson's error, and whether things lie ahead of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from polyfield.scenes.doctor.features import Matches
from polyfield.scenes.doctor.shots import Shot

GOOD = 2.0
"""Pixels within which a match agrees."""
CAP = 4.0
"""Larger errors count as this: such matches are wrong, whatever the poses."""
PARALLAX = np.radians(0.3)
"""Two rays under a smaller angle don't tell where they meet."""
PER_PAIR = 200
"""Matches of a pair that are looked at."""

Planes = Float[np.ndarray, "_n 2"]


@dataclass(frozen=True)
class Evidence:
    """All matches as points in front of their cameras."""

    first: np.ndarray
    """Number of the pair's first view, for each match, int [n]."""
    second: np.ndarray
    ideal_a: Planes
    """Without distortion, focal lengths right and down."""
    ideal_b: Planes
    plain_a: Planes
    """With it."""
    plain_b: Planes
    focal: Float[np.ndarray, " n"]
    """Mean focal length of the two views, pixels."""

    def __len__(self) -> int:
        return len(self.first)

    def thinned(self, most: int) -> Evidence:
        """Every n-th match, so that at most so many are left."""
        step = -(-len(self) // most)
        return Evidence(
            self.first[::step],
            self.second[::step],
            self.ideal_a[::step],
            self.ideal_b[::step],
            self.plain_a[::step],
            self.plain_b[::step],
            self.focal[::step],
        )

    def distorted(self, amount: float) -> Evidence:
        """With so much of the lens's correction: 1 as it is, 0 none, -1 the other way.

        To first order the last is the lens whose coefficients have the other sign.
        """
        a = self.plain_a + amount * (self.ideal_a - self.plain_a)
        b = self.plain_b + amount * (self.ideal_b - self.plain_b)
        return Evidence(self.first, self.second, a, b, self.plain_a, self.plain_b, self.focal)


def gather(shots: Sequence[Shot], matches: Sequence[Matches]) -> Evidence:
    """All matches, at most `PER_PAIR` of each pair."""
    rows: list[tuple[np.ndarray, ...]] = []
    for pair in matches:
        one, two = shots[pair.first], shots[pair.second]
        step = max(len(pair.a) // PER_PAIR, 1)
        a, b = pair.a[::step][:PER_PAIR], pair.b[::step][:PER_PAIR]
        n = len(a)
        focal = (sum(one.focal) + sum(two.focal)) / 4
        rows.append(
            (
                np.full(n, pair.first),
                np.full(n, pair.second),
                one.ideal(a),
                two.ideal(b),
                one.plain(a),
                two.plain(b),
                np.full(n, focal),
            )
        )
    joined = [np.concatenate(column) for column in zip(*rows, strict=True)]
    finite = np.isfinite(joined[2]).all(1) & np.isfinite(joined[3]).all(1)
    first, second, ideal_a, ideal_b, plain_a, plain_b, focal = (c[finite] for c in joined)
    return Evidence(first, second, ideal_a, ideal_b, plain_a, plain_b, focal)


@dataclass(frozen=True)
class Agreement:
    """How matches agree with poses."""

    error: Float[np.ndarray, " n"]
    """Sampson's error, pixels."""
    ahead: Bool[np.ndarray, " n"]
    """Whether the point lies ahead of both cameras, as far as can be told."""

    @property
    def share(self) -> float:
        """Of the matches, how many agree and lie ahead."""
        return float(((self.error < GOOD) & self.ahead).mean()) if len(self.error) else 0.0

    @property
    def median(self) -> float:
        """Pixels."""
        return float(np.median(self.error)) if len(self.error) else float("inf")

    @property
    def cost(self) -> float:
        """Mean of the better 70 %, larger errors capped: what a wrong lens raises."""
        if not len(self.error):
            return CAP
        kept = np.sort(np.minimum(self.error, CAP))[: max(int(0.7 * len(self.error)), 1)]
        return float(kept.mean())


def agreement(
    evidence: Evidence, poses: Float[np.ndarray, "v 4 4"], scale: float = 1.0
) -> Agreement:
    """Look at matches under poses.

    Args:
        evidence: the matches.
        poses: camera-to-world in OpenGL axes; rigid.
        scale: what the focal lengths are multiplied by.

    Returns:
        Errors in pixels; infinite where two cameras stand at one point.

    Source: Hartley and Zisserman 2004, "Multiple View Geometry", 11.4.3.
    """
    a, b = (_rays(plane / scale) for plane in (evidence.ideal_a, evidence.ideal_b))
    one, two = poses[evidence.first], poses[evidence.second]
    # Of the first camera's point x: R x + t in the second one's axes.
    turn = np.swapaxes(two[:, :3, :3], 1, 2) @ one[:, :3, :3]
    move = np.einsum("nji,nj->ni", two[:, :3, :3], one[:, :3, 3] - two[:, :3, 3])
    turned = np.einsum("nij,nj->ni", turn, a)
    length = np.linalg.norm(move, axis=1)
    unit = move / np.maximum(length, 1e-300)[:, None]
    line_b = np.cross(unit, turned)
    line_a = np.einsum("nji,nj->ni", turn, np.cross(b, unit))
    residual = (b * line_b).sum(1)
    slope = (line_a[:, :2] ** 2).sum(1) + (line_b[:, :2] ** 2).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(residual) / np.sqrt(slope) * evidence.focal * scale
    error = np.where(np.isfinite(error) & (length > 1e-12), error, np.inf)
    return Agreement(error, _ahead(turned, b, unit))


def _rays(plane: Planes) -> Float[np.ndarray, "n 3"]:
    """Points right and down of the axis as directions in OpenGL axes, one ahead."""
    return np.stack([plane[:, 0], -plane[:, 1], -np.ones(len(plane))], axis=1)


def _ahead(
    turned: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "n 3"], move: Float[np.ndarray, "n 3"]
) -> Bool[np.ndarray, " n"]:
    """Whether s, r > 0 in s turned + move = r b, by least squares; true for parallel rays."""
    depth_a, depth_b, parallel = _depths(turned, b, move)
    return ((depth_a > 0) & (depth_b > 0)) | parallel


def _depths(
    turned: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "n 3"], move: Float[np.ndarray, "n 3"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    aa, bb, ab = (turned**2).sum(1), (b**2).sum(1), (turned * b).sum(1)
    am, bm = (turned * move).sum(1), (b * move).sum(1)
    # Never 0: parallel rays are told by their angle.
    det = aa * bb - ab**2
    parallel = det < np.sin(PARALLAX) ** 2 * aa * bb
    safe = np.where(parallel, 1.0, det)
    return (ab * bm - bb * am) / safe, (aa * bm - ab * am) / safe, parallel


def triangulated(
    evidence: Evidence, poses: Float[np.ndarray, "v 4 4"], found: Agreement
) -> Float[np.ndarray, "m 3"]:
    """The points of matches that agree, in the frame of the poses."""
    good = (found.error < GOOD) & found.ahead
    one, two = poses[evidence.first[good]], poses[evidence.second[good]]
    a = np.einsum("nij,nj->ni", one[:, :3, :3], _rays(evidence.ideal_a[good]))
    b = np.einsum("nij,nj->ni", two[:, :3, :3], _rays(evidence.ideal_b[good]))
    depth_a, _, parallel = _depths(a, b, one[:, :3, 3] - two[:, :3, 3])
    points = one[:, :3, 3] + depth_a[:, None] * a
    return np.asarray(points[~parallel & (depth_a > 0)])
