"""Environment variables that threads and memory of a process of ours want.

They are read when torch and numba load, so they are set before, and only by a process that is ours:
the command line. A Python program that imports polyfield keeps its environment as it is; where it
shares its cores it may set the same before it starts.
"""

from __future__ import annotations

import os

HELPFUL = {
    # Threads of OpenMP wait for work by spinning, 300,000 turns unless told otherwise. torch and
    # numba bring a pool each, and the spinning of one, or of another program, takes the cores that
    # the other computes on: then training is several times slower.
    "GOMP_SPINCOUNT": "300",
    # Fresh arrays of megabytes come in huge pages where Linux offers them: faster to touch and to
    # read at random.
    "THP_MEM_ALLOC_ENABLE": "1",
}
"""Name -> value."""


def prepare() -> None:
    """Set what is helpful and not set yet. Call it before torch or numba is imported."""
    for name, value in HELPFUL.items():
        os.environ.setdefault(name, value)
