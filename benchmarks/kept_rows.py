"""Rows of a benchmark, measured one at a time and kept as each ends."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = tuple[str, Callable[[], dict[str, Any]]]
"""Its name, and what measures it."""


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Options that all scripts of rows have, described by the first line of a docstring."""
    ask = argparse.ArgumentParser(description=(doc or "").split("\n", 1)[0])
    ask.add_argument("data", type=Path)
    ask.add_argument("out", type=Path, help="rows.json, runs and what rows share")
    ask.add_argument("--only", nargs="*", help="rows whose name contains one of these words")
    ask.add_argument("--list", action="store_true", help="names of the rows")
    return ask


def read(out: Path) -> dict[str, Any]:
    """The rows that are there."""
    file = out / "rows.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def measure(rows: Iterable[Row], given: argparse.Namespace) -> None:
    """Measure the rows that are not there; those that fail are told and left out."""
    found, failed = read(given.out), []
    for name, row in rows:
        if given.only and not any(word in name for word in given.only):
            continue
        if given.list:
            print(name, "(there)" if name in found else "")
        elif name not in found:
            began = time.monotonic()
            try:
                values = row()
            except Exception:
                failed.append(name)
                traceback.print_exc()
                continue
            found[name] = {**values, "row_seconds": time.monotonic() - began}
            (given.out / "rows.json").write_text(json.dumps(found, indent=1) + "\n")
            print(name, json.dumps(found[name]), flush=True)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")
