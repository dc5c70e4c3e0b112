"""Snapshots of instant-ngp with their tree or their bytes changed."""

from __future__ import annotations

import sys
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import hostile
import msgpack
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "renderers" / "imports"))

import hand_written  # noqa: E402

SIZE = ("--size", "12x8")
"""Of an image: snapshots don't say it."""


@cache
def tree(kind: str) -> Any:
    """A good one."""
    return hand_written.image_tree() if kind == "image" else hand_written.scene_tree()


@cache
def content(kind: str) -> bytes:
    """A good one as a file."""
    return bytes(msgpack.packb(tree(kind), use_bin_type=True))


@st.composite
def files(draw: st.DrawFn, kind: str) -> bytes:
    """A file that is not as it should be."""
    found = content(kind)
    how = draw(st.integers(0, 3))
    if how:
        try:
            found = msgpack.packb(draw(hostile.changed(tree(kind), 3)), use_bin_type=True)
        except (OverflowError, ValueError, TypeError, UnicodeEncodeError):
            pass  # More than the form can say.
    if how != 1:
        found = draw(hostile.damaged(found))
    if draw(st.booleans()):
        engine = zlib.compressobj(wbits=31)
        found = engine.compress(found) + engine.flush()
        if draw(st.booleans()):
            found = draw(hostile.damaged(found))
    return found
