"""Masks: images that say which pixels of a photograph count.

Two conventions. nerfstudio's `mask_path` of a frame: one channel, 0 is ignored, all else is kept.
instant-ngp's `dynamic_mask_NAME.png` beside NAME.png: black is kept, every other colour is ignored.

Source: nerfstudio's data/utils/data_utils.py (get_image_mask_tensor_from_path) and instant-ngp's
src/nerf_loader.cu, facts alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from polyfield.errors import InputError, shown
from polyfield.scenes.formats.pictures import Pictures
from polyfield.scenes.images import read_image, read_info
from polyfield.scenes.lens_keys import is_set

KEY = "mask_path"
"""The key of a frame that names its mask."""


@dataclass(frozen=True)
class Mask:
    """A mask of an image on disk."""

    path: Path
    hides: bool
    """Whether what isn't black is ignored (instant-ngp), not kept (nerfstudio)."""

    def check(self, width: int, height: int, where: str) -> None:
        """Look at its header.

        Args:
            width: of the image it belongs to, in pixels.
            height: the same.
            where: the frame, for messages.

        Raises:
            InputError: not an image, or of another size.
        """
        info = read_info(self.path)
        if (info.width, info.height) != (width, height):
            raise InputError(
                f"a mask of {width}x{height} pixels, as its image, in {where}",
                f"{info.width}x{info.height} in {shown(self.path)}",
                "scale the mask with its image",
            )

    def kept(self, factor: int) -> np.ndarray:
        """Which pixels count, bool [h, w], once images are shrunk.

        A block with an ignored pixel is ignored: its mean would carry what isn't to be seen.

        Args:
            factor: the downscale; a remainder is cropped, as of images.

        Raises:
            InputError: it can't be read, or it is transparent in parts.
        """
        array = read_image(self.path)
        if array.shape[2] in (2, 4):
            alpha = array[..., -1]
            if (alpha != alpha.flat[0]).any():
                raise InputError(
                    f"a mask in black and white at {shown(self.path)}",
                    "transparent pixels",
                    "store what is kept as white and what is ignored as black, without alpha",
                )
            array = array[..., :-1]
        kept = (array != 0).any(-1)
        kept = ~kept if self.hides else kept
        height, width = (n // factor for n in kept.shape)
        blocks = kept[: height * factor, : width * factor].reshape(height, factor, width, factor)
        return blocks.all(axis=(1, 3))


def check_shared(content: Mapping[str, object], path: Path) -> None:
    """Raise for a mask that a file names beside its frames: no one says what that means.

    Raises:
        InputError: there is one.
    """
    if is_set(content.get(KEY)):
        raise InputError(
            f"{KEY} in the frames of {path}", "one for the whole file", "write it into each frame"
        )


def find_mask(
    frame: Mapping[str, object], image: Path, pictures: Pictures, where: str
) -> Mask | None:
    """The mask of a frame; None where all its pixels count.

    Args:
        frame: as parsed.
        image: its image on disk.
        pictures: finds files that the data names.
        where: the frame, for messages.

    Raises:
        InputError: the name is none, its file isn't there, or there are masks of both kinds.
    """
    name, beside = frame.get(KEY), image.with_name(f"dynamic_mask_{image.stem}.png")
    if not is_set(name):
        return Mask(beside, True) if beside.is_file() else None
    if not isinstance(name, str):
        raise InputError(f"a file name for {KEY} in {where}", repr(name)[:40], "correct it")
    if beside.is_file():
        raise InputError(
            f"one mask for {where}", f"{KEY} and {beside.name}", "remove one of the two"
        )
    path = pictures.find(name.replace("\\", "/"), where)
    if path is None:
        raise InputError(
            f"the mask {name[:100]} of {where}", "no such file", f"add it, or remove {KEY}"
        )
    return Mask(path, False)


@dataclass(frozen=True, eq=False)
class KeptPixels:
    """The pixels that count of a flat buffer of views, as runs of them one after the other.

    A run costs 16 bytes whatever its length, and to draw one pixel of many is a binary search.
    """

    start: Int64[Tensor, " runs"]
    """Number of the first pixel of each run; on the CPU, as all of it."""
    before: Int64[Tensor, " runs"]
    """How many kept pixels there are before each run."""
    total: int
    """Kept pixels in all."""
    ignored: Int64[Tensor, " n"]
    """How many pixels of each view are ignored."""

    @classmethod
    def of(
        cls, kept: Iterable[np.ndarray | None], first: Int64[Tensor, " edges"]
    ) -> KeptPixels | None:
        """The kept pixels of views.

        Args:
            kept: bool [h, w] of each view; None where all count.
            first: where each view begins in the buffer, and where the last one ends.

        Returns:
            None where all pixels of all views count.
        """
        starts, lengths, ignored = [], [], []
        for mask, begin, end in zip(kept, first[:-1].tolist(), first[1:].tolist(), strict=True):
            start, length = _runs(mask, end - begin)
            starts.append(start + begin)
            lengths.append(length)
            ignored.append(end - begin - int(length.sum()))
        if not any(ignored):
            return None
        counts = np.concatenate(lengths)
        before = np.cumsum(counts) - counts
        return cls(
            torch.from_numpy(np.concatenate(starts)),
            torch.from_numpy(before),
            int(counts.sum()),
            torch.tensor(ignored),
        )

    def pixels(self, rank: Int64[Tensor, " m"]) -> Int64[Tensor, " m"]:
        """Numbers of kept pixels in the buffer, by their ranks among them, 0 to `total` - 1."""
        run = torch.searchsorted(self.before, rank, right=True) - 1
        return self.start[run] + (rank - self.before[run])

    def mask(self, first: int, last: int) -> Bool[Tensor, " m"]:
        """Whether each pixel of a view counts, from its first in the buffer to its last."""
        # No run crosses from one view into the next.
        begin, end = (int(torch.searchsorted(self.start, edge)) for edge in (first, last))
        start = self.start[begin:end] - first
        ends = torch.cat([self.before[begin + 1 : end + 1], torch.tensor([self.total])])
        stop = start + ends[: end - begin] - self.before[begin:end]
        edges = torch.zeros(last - first + 1, dtype=torch.int8)
        edges[start] = 1
        edges[stop] -= 1
        return edges[:-1].cumsum(0, dtype=torch.int8) > 0


def _runs(kept: np.ndarray | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of kept pixels start in a view, and how long they are."""
    if kept is None:
        return np.zeros(1, np.int64), np.full(1, count, np.int64)
    assert kept.size == count, (kept.shape, count)
    flat = np.concatenate([[False], kept.reshape(-1), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1]).astype(np.int64)
    return edges[::2], edges[1::2] - edges[::2]
