"""One example of the fuzzer: a command line and the files it finds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Fifo:
    """A named pipe that nobody writes to."""


@dataclass(frozen=True)
class Folder:
    """An empty folder in the place of a file."""


Entry = bytes | Link | Fifo | Folder
Files = dict[str, Entry]


@dataclass(frozen=True)
class Case:
    """What is run, in a folder that holds these files and nothing else."""

    kind: str
    """Name of its generator."""
    arguments: tuple[str, ...]
    """The words after `polyfield`; paths are relative to the folder."""
    files: Mapping[str, Entry] = field(default_factory=dict)
    """Relative path -> content."""

    @property
    def size(self) -> int:
        """How much there is to read: of two cases with one fault the smaller is kept."""
        content = sum(len(e) if isinstance(e, bytes) else 8 for e in self.files.values())
        return content + 16 * len(self.files) + sum(len(word) + 4 for word in self.arguments)

    def write(self, folder: Path) -> None:
        """Make the folder anew with the files; a name the system refuses is left out."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, entry in self.files.items():
            path = folder / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(entry, bytes):
                    path.write_bytes(entry)
                elif isinstance(entry, Link):
                    path.symlink_to(entry.target)
                elif isinstance(entry, Fifo):
                    os.mkfifo(path)
                else:
                    path.mkdir(exist_ok=True)
            except (OSError, ValueError):
                continue

    def save(self, folder: Path) -> None:
        """Write arguments and files where a person will look at them."""
        folder.mkdir(parents=True, exist_ok=True)
        words = json.dumps(list(self.arguments), indent=1)
        (folder / "arguments.json").write_text(words + "\n")
        self.write(folder / "files")


def snapshot(folder: Path) -> dict[str, str]:
    """Every path below a folder, and a digest of what is there."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                what = f"link to {os.readlink(path)}"
            elif stat.S_ISREG(mode):
                what = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                what = "folder" if stat.S_ISDIR(mode) else "special"
            found[os.path.relpath(path, folder)] = what
    return found
