"""What the doctor says: rows with a verdict each, and what would mend them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "note", "warning", "fault", "not checked"]
"""How bad a row is. A note is worth knowing; with a warning training is worse than it could be;
with a fault it is wrong, or can't begin."""
Values = dict[str, Any]
"""A JSON object: a frame, or what stands at the top of a file."""


@dataclass(frozen=True)
class Place:
    """A frame of a file."""

    file: str
    """Name of the JSON."""
    index: int


@dataclass(frozen=True)
class Mend:
    """A change of a capture's JSON that mends a row."""

    what: str
    """In words, for the report."""
    frame: Callable[[Place, Values], Values | None] | None = None
    """A frame as it should be; None drops it."""
    shared: Callable[[Values], Values] | None = None
    """What stands at the top of the file, as it should be."""
    turn: Mapping[Place, int] = field(default_factory=dict)
    """Images to be stored upright: frame -> EXIF orientation."""


@dataclass(frozen=True)
class Row:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    found: str
    """What was found, in a line."""
    advice: str = ""
    """How to mend it."""
    mend: Mend | None = None
    """What `--fix` does about it; None where it can't."""


@dataclass(frozen=True)
class Diagnosis:
    """All rows of a capture."""

    path: str
    rows: Sequence[Row]

    @property
    def verdict(self) -> Literal["ok", "warning", "fault"]:
        """That of the worst row; notes are ok."""
        verdicts = {row.verdict for row in self.rows}
        return "fault" if "fault" in verdicts else "warning" if "warning" in verdicts else "ok"

    @property
    def troubles(self) -> list[Row]:
        """Warnings and faults, the worst first."""
        return [row for kind in ("fault", "warning") for row in self.rows if row.verdict == kind]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        rows = [
            {
                "name": row.name,
                "verdict": row.verdict,
                "found": row.found,
                "mend": row.advice,
                "fix": row.mend.what if row.mend else None,
            }
            for row in self.rows
        ]
        return {"path": self.path, "verdict": self.verdict, "rows": rows}


def line(row: Row) -> str:
    """A row as one line of a warning."""
    return f"{row.name}: {row.found}" + (f"; {row.advice}" if row.advice else "")
