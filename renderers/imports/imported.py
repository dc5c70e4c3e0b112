"""What an importer hands over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from polyfield.renderers.model import Model
from polyfield.scenes.cameras import Camera


@dataclass(frozen=True)
class Imported:
    """A model of another program, and what its file knows beside it."""

    model: Model
    program: str
    """Whose, for the record."""
    steps: int
    """Training steps it had; 0 where the file doesn't say."""
    cameras: Sequence[Camera] = ()
    """Training cameras, the user's frame; none of a kind that has none."""
    names: Sequence[str] = ()
    """Of their images."""
    warnings: Sequence[str] = ()
    """What of the file is passed over."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else a line may tell."""


class Importer(Protocol):
    """Reads the files of one program."""

    @property
    def name(self) -> str:
        """The program."""

    def found_at(self, start: bytes) -> bool:
        """Whether a file that begins with these bytes is one of its."""

    def open(self, path: Path, size: tuple[int, int] | None) -> Imported:
        """Read a file.

        Args:
            path: the file.
            size: width and height of an image whose file doesn't say.

        Raises:
            InputError: damaged, or what we can't express; the message says what.
        """
