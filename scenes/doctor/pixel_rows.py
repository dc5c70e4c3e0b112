"""Rows of pixels: transparency, background, exposure, blur, images that are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polyfield.errors import InputError
from polyfield.scenes.doctor.features import unit_columns
from polyfield.scenes.doctor.pose_rows import is_transparent
from polyfield.scenes.doctor.rows import Row
from polyfield.scenes.doctor.shots import Shot
from polyfield.scenes.sfm.sharpness import grey, sharpness, shrunk
from polyfield.wording import listed

MOST = 400
"""Images that are decoded, evenly spread."""
THUMB = 24
"""Sides of what images are compared by."""
ALIKE = 0.004
"""Mean difference of thumbnails, of full brightness, below which images are nearly the same ..."""
SAME = 0.1
"""... and of the image's own contrast."""
BLURRED = 0.3
"""Of its neighbours' sharpness, below which an image is blurred ..."""
AROUND = 5
"""... on either side."""
DARK = 0.02
"""Brightness, of full, below which what is seen counts for more than exposure."""
JUMP = 0.6
"""Change of brightness from image to image, in octaves, beside its neighbours'."""
BORDER = 0.9
"""Share of border pixels near to one colour that makes it the background."""


@dataclass(frozen=True)
class Look:
    """What is kept of an image."""

    name: str
    split: str
    digest: bytes
    thumb: Float[np.ndarray, "a a"]
    brightness: float
    """Mean, 0 to 1; of the opaque pixels."""
    sharpness: float
    is_transparent: bool
    has_alpha: bool
    rotation: Float[np.ndarray, "3 3"]
    """Of its pose, as the data has it."""
    border: tuple[float, ...]
    """Median colour of the border, and the share of it that is near."""


def look(shots: Sequence[Shot], count: Callable[[int, int], None]) -> tuple[list[Look], list[str]]:
    """Decode images one after the other.

    Returns:
        What was seen, and one line on each that can't be read.
    """
    step = max(len(shots) / MOST, 1.0)
    chosen = [shots[int(i * step)] for i in range(min(len(shots), MOST))]
    found, unread = [], []
    for i, shot in enumerate(chosen):
        count(i, len(chosen))
        try:
            found.append(_look(shot, shot.read()))
        except InputError as error:
            unread.append(str(error))
    return found, unread


def _look(shot: Shot, array: np.ndarray) -> Look:
    image = grey(array)
    if array.dtype.kind == "f":
        image = np.clip(image, 0, 1)
    clear = is_transparent(array)
    weight = array[..., -1] > 0 if clear else np.ones(image.shape, bool)
    return Look(
        shot.name,
        shot.split,
        hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest(),
        _thumb(image),
        float(image[weight].mean()) if weight.any() else 0.0,
        sharpness(image),
        clear,
        array.shape[2] in (2, 4),
        unit_columns(shot.pose[:3, :3]),
        _border(array),
    )


def _thumb(image: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "a a"]:
    small = shrunk(image, THUMB)
    rows = np.linspace(0, small.shape[0] - 1, THUMB).round().astype(int)
    columns = np.linspace(0, small.shape[1] - 1, THUMB).round().astype(int)
    return small[rows][:, columns]


def _border(array: np.ndarray) -> tuple[float, ...]:
    edge = np.concatenate([array[0], array[-1], array[:, 0], array[:, -1]]).astype(np.float64)
    top = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1.0
    color = edge[:, : 3 if array.shape[1] and array.shape[2] >= 3 else 1] / top
    middle = np.median(color, axis=0)
    near = float((np.abs(color - middle).max(1) < 0.1).mean())
    return (*middle.tolist(), near)


def pixel_rows(looks: Sequence[Look], unread: Sequence[str]) -> list[Row]:
    """What the pixels give away."""
    rows = []
    if unread:
        found = f"{len(unread)}: {unread[0]}"
        rows.append(Row("unreadable images", "fault", found, "copy them again"))
    if not looks:
        return rows
    return [*rows, _same(looks), _nearly(looks), _alpha(looks), _exposure(looks), _blur(looks)]


def _same(looks: Sequence[Look]) -> Row:
    groups: dict[bytes, list[Look]] = {}
    for one in looks:
        groups.setdefault(one.digest, []).append(one)
    twice = [group for group in groups.values() if len(group) > 1]
    if not twice:
        return Row("equal images", "ok", f"none of {len(looks)}")
    names = listed(f"{group[0].name} and {group[1].name}" for group in twice)
    across = any(len({one.split for one in group}) > 1 for group in twice)
    hint = "leave one of them out, or --fix OUT"
    found = f"{len(twice)} pairs or more have the same pixels: {names}"
    if across:
        found += "; some are in two splits, so scores say nothing of unseen views"
    return Row("equal images", "warning", found, hint)


def equal_names(looks: Sequence[Look]) -> set[tuple[str, str]]:
    """Split and name of images whose pixels an earlier one has."""
    seen: set[bytes] = set()
    found = set()
    for one in looks:
        if one.digest in seen:
            found.add((one.split, one.name))
        seen.add(one.digest)
    return found


def _nearly(looks: Sequence[Look]) -> Row:
    thumbs = np.stack([one.thumb.ravel() for one in looks]).astype(np.float32)
    found = []
    for i in range(len(looks) - 1):
        near = np.abs(thumbs[i + 1 :] - thumbs[i]).mean(1) < min(ALIKE, SAME * thumbs[i].std())
        for j in (np.flatnonzero(near) + i + 1).tolist():
            if looks[i].digest != looks[j].digest:
                found.append(f"{looks[i].name} and {looks[j].name}")
    if not found:
        return Row("nearly equal images", "ok", "none")
    told = f"{len(found)} pairs: {listed(found)}"
    return Row("nearly equal images", "note", told, "they add little: leave some out")


def _alpha(looks: Sequence[Look]) -> Row:
    clear = sum(one.is_transparent for one in looks)
    able = sum(one.has_alpha for one in looks)
    if 0 < clear < len(looks):
        found = f"{clear} of {len(looks)} images have transparent pixels, the others none"
        hint = "give all of them alpha, or none" if 4 * clear < 3 * len(looks) else ""
        return Row("transparency", "note", found, hint)
    if clear:
        return Row("transparency", "ok", "all images show a thing in front of nothing")
    opaque = " (an alpha channel that is 1 everywhere)" if able else ""
    colors = np.array([one.border[:-1] for one in looks if len(one.border) == 4])
    near = np.array([one.border[-1] for one in looks])
    if len(colors) and near.mean() > BORDER and np.abs(colors - np.median(colors, 0)).max() < 0.1:
        color = ",".join(f"{value:.2g}" for value in np.median(colors, axis=0).tolist())
        return Row("transparency", "ok", f"none{opaque}; one background, {color}")
    return Row("transparency", "ok", f"none{opaque}; backgrounds differ")


def _exposure(looks: Sequence[Look]) -> Row:
    """Images much brighter or darker than those before and after, and than those that look alike.

    Either alone says little: a next image may show something else, and a near pose may be wrong.
    """
    level = np.log2(np.array([one.brightness for one in looks]) + DARK)
    if len(level) < 5:
        return Row("exposure", "ok", "too few images to tell")
    padded = np.pad(level, 2, mode="reflect")
    around = np.stack([padded[k : k + len(level)] for k in (0, 1, 3, 4)])
    usual = np.median(around, axis=0)
    rotations = np.stack([one.rotation for one in looks])
    likeness = np.einsum("iab,jab->ij", rotations, rotations)
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.argsort(-likeness, axis=1)[:, :4]
    alike = level - np.median(level[nearest], axis=1)
    spread = float(np.median(np.abs(level - usual)))
    least = np.minimum(np.abs(level - usual), np.abs(alike))
    odd = np.flatnonzero((least > JUMP) & ((level - usual) * alike > 0))
    if not len(odd):
        return Row("exposure", "ok", f"steps of {spread:.2f} octaves between neighbours")
    names = listed(f"{looks[i].name} ({level[i] - usual[i]:+.1f})" for i in odd.tolist())
    return Row(
        "exposure",
        "warning",
        f"{len(odd)} of {len(looks)} images jump in brightness, octaves: {names}",
        "leave them out, or fix the camera's exposure",
    )


def _blur(looks: Sequence[Look]) -> Row:
    sharp = np.array([one.sharpness for one in looks])
    if len(sharp) < 5:
        return Row("blur", "ok", "too few images to tell")
    usual = np.array(
        [
            np.median(sharp[max(i - AROUND, 0) : i + AROUND + 1])
            for i in range(len(sharp))
        ]
    )  # fmt: skip
    bad = np.flatnonzero(sharp < BLURRED * usual)
    if not len(bad):
        least = float((sharp / np.maximum(usual, 1e-9)).min())
        return Row("blur", "ok", f"the least sharp has {least:.0%} of its neighbours' sharpness")
    names = listed(looks[i].name for i in bad.tolist())
    return Row(
        "blur",
        "warning" if 10 * len(bad) > len(sharp) else "note",
        f"{len(bad)} of {len(looks)} are blurred beside their neighbours: {names}",
        "leave them out",
    )
