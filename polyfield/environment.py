"""Environment variables that threads, memory and compilers of a process of ours want.

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
    "GOMP_SPINCOUNT": "5000",
    # Fresh arrays of megabytes come in huge pages where Linux offers them: faster to touch and to
    # read at random.
    "THP_MEM_ALLOC_ENABLE": "1",
    # Triton 3.9 warns until it is told whether products and sums may be fused: they may. Who uses
    # a GPU from Python gets this one set too, at the first use.
    "TRITON_DEFAULT_FP_FUSION": "1",
}
"""Name -> value."""


def prepare(*names: str) -> None:
    """Set what is helpful and not set yet. Call it before torch or numba is imported.

    Args:
        names: Of HELPFUL; all of them if there are none.
    """
    for name in names or HELPFUL:
        os.environ.setdefault(name, HELPFUL[name])
