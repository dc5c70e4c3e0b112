"""Every claim about seeing a run and taking it away: viewer, pages, exports, imports.

python benchmarks/takeaway.py DATA OUT [--only WORD ...] [--list] [--table] [--threads N]

DATA holds nerf/fox, nerf_synthetic/lego and image/kodak. A row is kept in OUT/rows.json as it ends,
and skipped when it is there; so are the runs and exports that rows share, in OUT/runs and
OUT/exports. Budgets are steps (some of the twelve teachers': 60 seconds), and everything random has
a seed. Rows that fail are told and left out, so that the same command tries them again.

It needs the extras `test`, `viewer` and `onnx`, and Debian's chromium, which draws in software.
Rows that time something want a machine that does nothing else. `--table` prints what there is for
takeaway.md in place of measuring.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from taken import (
    frame_rate,
    graphs,
    pages,
    pictures,
    snapshots,
    surfaces,
    teachers,
    viewing,
    watched,
)
from taken.evidence import Evidence, Found
from taken.table import table

from polyfield.machine import use_threads

SUBJECTS = (pages, frame_rate, viewing, watched, surfaces, graphs, snapshots, pictures, teachers)
"""In order: what is timed first, what takes long last."""


def rows(evidence: Evidence) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Names of all rows, and what measures them."""
    for subject in SUBJECTS:
        yield from subject.rows(evidence)


def main() -> None:
    """The command line."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    ask.add_argument("data", type=Path)
    ask.add_argument("out", type=Path)
    ask.add_argument("--only", nargs="*", help="rows whose name contains one of these words")
    ask.add_argument("--list", action="store_true", help="names of the rows")
    ask.add_argument("--table", action="store_true", help="what there is, for takeaway.md")
    ask.add_argument("--threads", type=int, default=2)
    given = ask.parse_args()
    evidence = Evidence(given.data.absolute(), given.out.absolute(), given.threads)
    use_threads(given.threads)
    kept = evidence.out / "rows.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    if given.table:
        print(table(found))
        return
    failed = []
    for name, measure in rows(evidence):
        if given.only and not any(word in name for word in given.only):
            continue
        if given.list:
            print(name, "(there)" if name in found else "")
        elif name not in found:
            began = time.monotonic()
            try:
                row = measure()
            except Exception:
                failed.append(name)
                traceback.print_exc()
                continue
            found[name] = {**row, "row_seconds": time.monotonic() - began}
            kept.write_text(json.dumps(found, indent=1) + "\n")
            print(name, json.dumps(found[name]), flush=True)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
