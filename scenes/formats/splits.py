"""Which frames are for training and which for measuring: as the data says, else every n-th."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.keys import SPLITS
from polyfield.scenes.formats.listing import Listed

Split = dict[str, list[int]]
"""Numbers of the frames of each split, train first."""


def every_nth(count: int, every: int) -> tuple[list[int], list[int]]:
    """The split rule of formats without a split: every n-th from the first is for the test.

    Returns:
        Numbers of the training and of the test frames; `every` 0 keeps none for the test.
    """
    test = [i for i in range(count) if every and i % every == 0]
    return [i for i in range(count) if not every or i % every], test


def train_and_test(count: int, options: ReadOptions, where: str) -> Split:
    """The splits by that rule.

    Args:
        count: how many frames there are.
        options: `test_every`.
        where: the data, for the message.

    Raises:
        InputError: nothing is left to train on.
    """
    train, test = every_nth(count, options.test_every)
    if not train:
        raise InputError(
            f"at least two images for {where}, one of them for training",
            f"{count}, kept for the test",
            "add images, or set test-every to 0",
        )
    return {"train": train, "test": test} if test else {"train": train}


def check_each_once(listed: Sequence[Listed], path: Path) -> None:
    """An image listed twice, under whatever spelling, could be trained on and tested on.

    Raises:
        InputError: there is one.
    """
    seen: dict[tuple[int, int], str] = {}
    for frame in listed:
        before = seen.get(frame.identity)
        if before is not None:
            same = before == frame.name
            raise InputError(
                f"each image once in {path}",
                f"{frame.name} twice" if same else f"one image as {before} and as {frame.name}",
                "remove one of its frames",
            )
        seen[frame.identity] = frame.name


def overlap(splits: Mapping[str, Sequence[Listed]], path: Path) -> list[str]:
    """The warning that images of other splits are trained on."""
    train = {frame.identity for frame in splits.get("train", ())}
    warnings = []
    for split, frames in splits.items():
        both = [frame for frame in frames if frame.identity in train] if split != "train" else []
        if both:
            warnings.append(
                f"{len(both)} of {len(frames)} {split} images of {path} are training images"
                f" too, such as {both[0].name}: scores on them say nothing of unseen views"
            )
    return warnings


def named_splits(
    content: Mapping[str, object], listed: Sequence[Listed], missing: Sequence[str], path: Path
) -> tuple[Split, list[str]] | None:
    """The splits that a file names by lists of its images.

    Args:
        content: the file, parsed.
        listed: frames with an image.
        missing: names of images that are not there; those are left out of the lists.
        path: the file, for messages.

    Returns:
        The splits and one-line warnings; None where the file has no such list. Without a list for
        training, all frames that no other list names are for training.

    Raises:
        InputError: a list is no list of names, names an image that has no frame, or there is
            nothing to train on.
    """
    given = {split: content[key] for split, key in SPLITS.items() if content.get(key) is not None}
    if not given:
        return None
    number = {_plain(frame.name): i for i, frame in enumerate(listed)}
    gone = {_plain(name) for name in missing}
    splits: Split = {}
    for split, names in given.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(
                f"a list of image names for {SPLITS[split]} in {path}",
                repr(names)[:40],
                "write the file_path of each of its frames",
            )
        plain = [_plain(name) for name in names]
        strange = [name for name in plain if name not in number and name not in gone]
        if strange:
            raise InputError(
                f"images of frames in {SPLITS[split]} of {path}",
                strange[0][:100],
                "write names as in file_path, or remove it",
            )
        splits[split] = sorted({number[name] for name in plain if name in number})
    named = {i for frames in splits.values() for i in frames}
    left = [i for i in range(len(listed)) if i not in named]
    warnings = []
    if "train" not in splits:
        splits = {"train": left, **splits}
    elif left:
        warnings.append(
            f"{len(left)} frames of {path} are in none of its lists of splits and left out, such as"
            f" {listed[left[0]].name}"
        )
    if not splits["train"]:
        raise InputError(
            f"images to train on in {path}", f"none by its {SPLITS['train']}", "name some"
        )
    empty = [SPLITS[split] for split, frames in splits.items() if not frames]
    if empty:
        warnings.append(f"{' and '.join(empty)} of {path}: no images, so taken as no split")
    ordered = {split: splits[split] for split in SPLITS if splits.get(split)}
    pictures = {split: [listed[i] for i in frames] for split, frames in ordered.items()}
    return ordered, warnings + overlap(pictures, path)


def _plain(name: str) -> str:
    """A name without its way of spelling the same place."""
    return os.path.normpath(name.replace("\\", "/"))
