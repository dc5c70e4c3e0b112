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

from collections.abc import Iterator

import kept_rows
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
from taken.evidence import Evidence
from taken.table import table

from polyfield.machine import use_threads

SUBJECTS = (pages, frame_rate, viewing, watched, surfaces, graphs, snapshots, pictures, teachers)
"""In order: what is timed first, what takes long last."""


def rows(evidence: Evidence) -> Iterator[kept_rows.Row]:
    """Names of all rows, and what measures them."""
    for subject in SUBJECTS:
        yield from subject.rows(evidence)


def main() -> None:
    """The command line."""
    ask = kept_rows.parser(__doc__)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--table", action="store_true", help="what there is, for takeaway.md")
    given = ask.parse_args()
    evidence = Evidence(given.data.absolute(), given.out.absolute(), given.threads)
    use_threads(given.threads)
    if given.table:
        print(table(kept_rows.read(evidence.out)))
        return
    kept_rows.measure(rows(evidence), given)


if __name__ == "__main__":
    main()
