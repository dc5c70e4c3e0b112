"""Features of neighbouring views, matched: the evidence that poses and lenses are judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from polyfield.errors import InputError
from polyfield.quiet import quiet_stderr
from polyfield.scenes.doctor.shots import Points, Shot
from polyfield.scenes.sfm.library import pycolmap
from polyfield.scenes.sfm.sharpness import grey, shrunk

ANCHORS = 15
"""Views, evenly spread, that are matched with the one most alike in direction and the next one."""
SIDE = 640
"""Features are looked for in images shrunk to less than twice this many pixels."""
MOST = 3000
"""Features of an image."""
RATIO = 0.8
"""A match is kept if it is nearer than this share of the next best: Lowe 2004."""
LEAST = 15
"""Matches below which a pair says nothing."""
TURN = 0.5
"""Degrees below which two views may be one."""


@dataclass(frozen=True)
class Matches:
    """The same things seen in two views."""

    first: int
    """Number of a view."""
    second: int
    a: Points
    """Pixels in the first view."""
    b: Points
    """Pixels in the second."""


def match_neighbours(
    shots: Sequence[Shot], count: Callable[[int, int], None], anchors: int = ANCHORS
) -> list[Matches]:
    """Match up to `2 * anchors` pairs of neighbouring views.

    Args:
        shots: all views.
        count: called with how many images are looked at, of how many.
        anchors: views that are matched with two others each.

    Raises:
        MissingBackend: there is no pycolmap.
    """
    library = pycolmap("features")
    pairs = neighbours(shots, anchors)
    wanted = sorted({i for pair in pairs for i in pair})
    options = library.FeatureExtractionOptions()
    options.sift.max_num_features = MOST
    options.max_image_size = 4 * SIDE
    sift = library.FeatureExtractor.create(options, library.Device.cpu)
    found: dict[int, tuple[Points, Float[np.ndarray, "n 128"]]] = {}
    for done, i in enumerate(wanted):
        count(done, len(wanted))
        try:
            array = shots[i].read()
        except InputError:  # told by another row
            continue
        with quiet_stderr():
            found[i] = _features(library, sift, array)
    matched = []
    for i, j in pairs:
        if i not in found or j not in found:
            continue
        kept = _matched(found[i][1], found[j][1])
        if len(kept) >= LEAST:
            matched.append(Matches(i, j, found[i][0][kept[:, 0]], found[j][0][kept[:, 1]]))
    return matched


def neighbours(shots: Sequence[Shot], anchors: int = ANCHORS) -> list[tuple[int, int]]:
    """Pairs that most likely see the same, whatever convention the poses are in.

    The angle between two rotations is the same for camera-to-world and its inverse, and for any
    axes; the next view in order is taken too, for poses may be wrong altogether.
    """
    n = len(shots)
    chosen = sorted(set(np.linspace(0, n - 1, min(anchors, n)).round().astype(int).tolist()))
    rotations = np.stack([unit_columns(shot.pose[:3, :3]) for shot in shots])
    found: set[tuple[int, int]] = set()
    for i in chosen:
        cosine = (np.einsum("ab,nab->n", rotations[i], rotations) - 1) / 2
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        angle[angle < TURN] = np.inf
        angle[i] = np.inf
        j = int(angle.argmin())
        if np.isfinite(angle[j]):
            found.add((min(i, j), max(i, j)))
        if i + 1 < n:
            found.add((i, i + 1))
    return sorted(found)


def unit_columns(block: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """The block of a pose without its scale."""
    lengths = np.linalg.norm(block, axis=0, keepdims=True)
    return np.divide(block, lengths, out=np.zeros_like(block), where=lengths > 0)


def _features(
    library: Any, sift: Any, array: np.ndarray
) -> tuple[Points, Float[np.ndarray, "n 128"]]:
    """Places in pixels of the full image, and descriptors of length 1."""
    full = _opaque(array)
    small = shrunk(full, SIDE)
    scale = np.array([full.shape[1] / small.shape[1], full.shape[0] / small.shape[0]])
    values = np.ascontiguousarray(np.clip(small * 255, 0, 255).astype(np.uint8))
    keypoints, descriptors = sift.extract_from_uint8_array(values)
    places = library.keypoints_to_matrix(keypoints)[:, :2].astype(np.float64) * scale
    vectors = np.asarray(descriptors.data, np.float32).reshape(-1, 128)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return places, vectors / np.maximum(lengths, 1e-9)


def _opaque(array: np.ndarray) -> Float[np.ndarray, "h w"]:
    """Brightness over grey; floats brought to 0 to 1 as a screen would."""
    image = grey(array)
    if array.dtype.kind == "f":
        image = np.clip(image / max(float(np.quantile(image, 0.99)), 1e-6), 0, 1) ** 0.45
    if array.shape[2] in (2, 4) and array.dtype.kind == "u":
        alpha = array[..., -1].astype(np.float32) / np.iinfo(array.dtype).max
        image = image * alpha + 0.5 * (1 - alpha)
    return image.astype(np.float32)


def _matched(
    a: Float[np.ndarray, "n 128"], b: Float[np.ndarray, "m 128"]
) -> Int64[np.ndarray, "k 2"]:
    """Pairs that are nearest to each other, and clearly so."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros((0, 2), np.int64)
    likeness = a @ b.T
    there = likeness.argmax(1)
    back = likeness.argmax(0)
    best = likeness[np.arange(len(a)), there]
    likeness[np.arange(len(a)), there] = -1
    second = likeness.max(1)
    # Of unit vectors the squared distance is 2 - 2 cos.
    clear = 1 - best < RATIO**2 * (1 - second)
    mutual = back[there] == np.arange(len(a))
    rows = np.flatnonzero(clear & mutual)
    return np.stack([rows, there[rows]], axis=1).astype(np.int64)
