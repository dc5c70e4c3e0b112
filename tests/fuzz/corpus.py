"""Cases that once showed a fault, each small and made by code: every hunt begins with them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from case import Case, Fifo, Files, Folder, Link
from seeds import IMAGE, ONE


def cases() -> list[Case]:
    """All of them."""
    fit = ("fit", "image", "x.png", *IMAGE, *ONE, "--out", "o")
    return [
        Case("corpus", fit, {"x.png": Fifo()}),
        Case("corpus", fit, {"x.png": Link("/dev/zero")}),
        Case("corpus", fit, {"x.png": Folder()}),
        Case("corpus", fit, {"x.png": b""}),
    ]


def read_back(folder: Path) -> Files:
    """The files of a case that was saved."""
    files: Files = {}
    for path in sorted(folder.rglob("*")):
        name, mode = str(path.relative_to(folder)), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            files[name] = Link(os.readlink(path))
        elif stat.S_ISFIFO(mode):
            files[name] = Fifo()
        elif stat.S_ISREG(mode):
            files[name] = path.read_bytes()
        elif not any(path.iterdir()):
            files[name] = Folder()
    return files
