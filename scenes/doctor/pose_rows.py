"""Rows of poses that no pixel is needed for: rotations, doubles, where cameras look, the box."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float

from polyfield.scenes.base import Capture
from polyfield.scenes.bounds import CommonView, at_one_point, common_view
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.checks import ROTATION_TOLERANCE
from polyfield.scenes.doctor.mends import drop, orthonormal
from polyfield.scenes.doctor.raw import Raw, RawFrame
from polyfield.scenes.doctor.rows import Row
from polyfield.wording import listed

HUDDLED = 0.2
"""World-to-camera translations are all much the same where cameras look at one point: positions
that spread less than this share of what inverting makes of them are those."""
SAME_PLACE, SAME_TURN = 1e-4, 1e-3
"""Two poses are one if they differ by less of the cameras' extent, and in rotation entries."""
ROUNDED = 0.05
"""A block that is less than this from a scaled rotation was one."""
LOOKED_AT = 5
"""Views that are decoded to see whether they show a thing in front of nothing."""
SEEN = 0.5
"""Share of the scene's points inside the box below which it is told."""


def matrix_rows(raw: Raw) -> list[Row]:
    """What the matrices of a capture in JSON are, as they stand."""
    bad = [f for f in raw.frames if f.matrix is None]
    if bad:
        return [
            Row(
                "matrices",
                "fault",
                f"{len(bad)} of {len(raw.frames)} frames have none of 4x4 numbers, such as"
                f" {_name(bad[0])}",
                "write the camera-to-world matrix, or --fix OUT drops them",
                drop([f.place for f in bad], "without a matrix"),
            )
        ]
    wild = [f for f in raw.frames if not np.isfinite(_matrix(f)).all()]
    if wild:
        return [
            Row(
                "matrices",
                "fault",
                f"{len(wild)} of {len(raw.frames)} have NaN or infinity: {_name(wild[0])}",
                "pose them again, or --fix OUT drops them",
                drop([f.place for f in wild], "whose pose is not finite"),
            )
        ]
    return [_rotations(raw)]


def _rotations(raw: Raw) -> Row:
    matrices = np.stack([_matrix(frame) for frame in raw.frames])
    block = matrices[:, :3, :3]
    gram = np.swapaxes(block, 1, 2) @ block
    scale = np.sqrt(np.maximum(np.trace(gram, axis1=1, axis2=2) / 3, 0))
    off = np.abs(gram / np.maximum(scale, 1e-300)[:, None, None] ** 2 - np.eye(3)).max((1, 2))
    rows = np.abs(matrices[:, 3] - [0, 0, 0, 1]).max(1)
    count = len(matrices)
    if (rows > 1e-6).any():
        at = int(rows.argmax())
        turned = np.abs(matrices[:, :3, 3]).max() < 1e-9
        hint = "transposed: write rows, not columns; see axes" if turned else "see axes"
        found = f"{int((rows > 1e-6).sum())} of {count} end with another row than 0 0 0 1"
        return Row("matrices", "fault", f"{found}, such as {_name(raw.frames[at])}", hint)
    bad = off > ROTATION_TOLERANCE
    if bad.any():
        at = int(off.argmax())
        found = f"{int(bad.sum())} of {count} have a 3x3 block that isn't orthonormal"
        mend = orthonormal() if off.max() < ROUNDED else None
        hint = "write more digits, or --fix OUT" if mend else "pose the capture again"
        return Row("matrices", "fault", f"{found}, such as {_name(raw.frames[at])}", hint, mend)
    if np.abs(scale - 1).max() > ROTATION_TOLERANCE / 2:
        return Row(
            "matrices",
            "fault",
            f"rotations scaled by {float(np.median(scale)):.4g}",
            "divide the 3x3 block by that, or --fix OUT",
            orthonormal(),
        )
    mirrored = np.linalg.det(block) < 0
    if mirrored.any():
        found = f"{int(mirrored.sum())} of {count} mirror (determinant -1)"
        if mirrored.all():
            return Row("matrices", "fault", found, "an axis is flipped, or two swapped: see axes")
        places = [f.place for f, is_bad in zip(raw.frames, mirrored, strict=True) if is_bad]
        hint = "pose them again, or --fix OUT drops them"
        return Row("matrices", "fault", found, hint, drop(places, "whose pose mirrors"))
    return Row("matrices", "ok", f"{count} rigid motions")


def _matrix(frame: RawFrame) -> np.ndarray:
    assert frame.matrix is not None
    return frame.matrix


def _name(frame: RawFrame) -> str:
    return frame.name or f"frame {frame.place.index}"


def capture_rows(capture: Capture) -> list[Row]:
    """What the poses of a capture of any format give away; decodes a few images on suspicion."""
    names = [name for split in capture.splits for name in capture.names(split)]
    poses = np.concatenate([capture.cameras(split).user_poses for split in capture.splits])
    train = capture.cameras("train" if "train" in capture.splits else capture.splits[0])
    return [
        _doubles(poses, names),
        directions_row(train, lambda: _shows_a_thing(capture)),
        _box(capture, train),
    ]


def _doubles(poses: Float[np.ndarray, "n 4 4"], names: Sequence[str]) -> Row:
    positions = poses[:, :3, 3]
    extent = float((positions.max(0) - positions.min(0)).max())
    order = np.argsort(positions[:, 0], kind="stable")
    found = []
    for rank, i in enumerate(order.tolist()):
        for j in order[rank + 1 :].tolist():
            if positions[j, 0] - positions[i, 0] > SAME_PLACE * extent:
                break
            near = np.abs(positions[j] - positions[i]).max() <= SAME_PLACE * extent
            if near and np.abs(poses[j, :3, :3] - poses[i, :3, :3]).max() < SAME_TURN:
                found.append(f"{names[i]} and {names[j]}")
        if len(found) > len(names):
            break
    if not found:
        return Row("poses", "ok", f"{len(poses)}, all different")
    return Row(
        "poses",
        "warning",
        f"{len(found)} pairs are the same: {listed(found)}",
        "is an image listed twice, or was the camera not moved? leave one of them out",
    )


def directions_row(cameras: Cameras, has_alpha: Callable[[], bool]) -> Row:
    """Whether the cameras look like another convention, or like a tripod.

    Args:
        cameras: those of the training split.
        has_alpha: whether the images show a thing in front of nothing; asked only on suspicion.
    """
    name = "viewing directions"
    if len(cameras) < 3:
        return Row(name, "ok", "too few to tell")
    if at_one_point(cameras):
        found = f"all {len(cameras)} cameras stand at one point: nothing can be known of distances"
        return Row(name, "warning", found, "if the poses are world-to-camera, invert them")
    if cameras.see_all_round:
        return Row(name, "ok", "all round")
    # Inverses of the matrices as they are given: in another frame they are others.
    poses = cameras.user_poses
    view, inverse = common_view(poses), torch.linalg.inv(poses)
    huddled = _spread(poses) < HUDDLED * _spread(inverse)
    if huddled or not _meet(view):
        if _meet(common_view(inverse)):
            found = (
                "the poses look like world-to-camera matrices: inverted, the cameras look at one"
                " point"
            )
            return Row(name, "warning", found, "camera-to-world in OpenGL axes is expected")
        return Row(name, "ok", "the axes don't meet: a walk or a panorama")
    up = cameras.poses[:, :3, 1].mean(0)
    if view.is_behind and (float(up[2]) < 0 or has_alpha()):
        found = "the cameras look away from the one point where their axes meet"
        hint = (
            "if the poses are in OpenCV axes (y down, z forward), negate their second and third"
            " column"
        )
        return Row(name, "warning", found, hint)
    return Row(name, "ok", "at one thing" if view.is_ahead else "outward")


def _spread(poses: Float[torch.Tensor, "n 4 4"]) -> float:
    """RMS distance of positions from their mean."""
    positions = poses[:, :3, 3].double()
    return float((positions - positions.mean(0)).square().sum(1).mean().sqrt())


def _meet(view: CommonView) -> bool:
    """Whether the axes meet, ahead of the cameras or behind."""
    return view.is_crossing and (view.is_ahead or view.is_behind)


def _shows_a_thing(capture: Capture) -> bool:
    """Whether most of a few views have pixels that aren't opaque."""
    split = capture.splits[0]
    count = len(capture.names(split))
    chosen = {round(i * (count - 1) / (LOOKED_AT - 1)) for i in range(LOOKED_AT)}
    clear = [is_transparent(capture.pixels(split, i)) for i in sorted(chosen)]
    return 2 * sum(clear) > len(clear)


def is_transparent(array: np.ndarray) -> bool:
    """Whether an image has a pixel that isn't opaque."""
    if array.shape[2] not in (2, 4):
        return False
    opaque = 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    return bool((array[..., -1] < opaque).any())


def _box(capture: Capture, cameras: Cameras) -> Row:
    low, high = capture.bounds[0], capture.bounds[1]
    positions = cameras.poses[:, :3, 3]
    inside = int(((positions >= low) & (positions <= high)).all(1).sum())
    kind = "unbounded" if capture.unbounded else "bounded"
    edges = " x ".join(f"{v:.3g}" for v in ((high - low) / capture.frame.scale).tolist())
    found = f"{kind}, a box of {edges}; {inside} of {len(positions)} cameras in it"
    return Row("bounds", "ok", found)


def points_row(capture: Capture, points: Float[np.ndarray, "n 3"]) -> Row:
    """Where the scene's points are, against the box.

    Args:
        capture: opened.
        points: in the user's frame.
    """
    if len(points) < 30:
        return Row("points in bounds", "not checked", "no points known")
    low, high = capture.frame.users(capture.bounds).numpy()
    share = float(((points >= low) & (points <= high)).all(1).mean())
    found = f"{share:.0%} of {len(points)} matched points lie in the box"
    if share >= SEEN or capture.unbounded:
        return Row("points in bounds", "ok", found)
    return Row("points in bounds", "warning", found, "give --bounds around what is to be seen")
