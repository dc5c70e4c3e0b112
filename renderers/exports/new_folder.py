"""A folder that appears whole or not at all, and replaces only what the same verb has made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from polyfield.errors import InputError, shown
from polyfield.renderers.exports.writing import check_place, staged, writing


def check_new_folder(out: Path, overwrite: bool, mark: str, source: Path) -> None:
    """Raise before any work if a folder can't be written there.

    Args:
        out: The folder.
        overwrite: It may be there, if it is one of ours.
        mark: A file in it that says so.
        source: What it is made from, which must survive.

    Raises:
        InputError: something is there; or it isn't ours, or holds the source.
    """
    check_place(out, overwrite)
    if not os.path.lexists(out):
        _check_apart(out, source)
        return
    if not out.is_dir() or out.is_symlink():
        raise InputError("a folder for --out", f"{shown(out)}, which is none", "choose another")
    _check_apart(out, source)
    if any(out.iterdir()) and not (out / mark).is_file():
        raise InputError(
            f"a folder for --overwrite that holds {mark}, as we write it",
            f"{shown(out)}, which holds other things",
            "choose another, or remove it yourself",
        )


def _check_apart(out: Path, source: Path) -> None:
    target, origin = Path(os.path.realpath(out)), Path(os.path.realpath(source))
    if target == origin or target in origin.parents or origin in target.parents:
        raise InputError(
            f"a folder for --out apart from {shown(source)}", shown(out), "choose another"
        )


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """An empty folder to fill; when the block ends well it takes the place of `out`.

    Raises:
        WriteError: the system doesn't let it.
    """
    with staged(out) as staging:
        fresh = staging / "new"
        with writing(out):
            fresh.mkdir()
        yield fresh
        with writing(out):
            if os.path.lexists(out):
                os.rename(out, staging / "old")
            os.rename(fresh, out)
