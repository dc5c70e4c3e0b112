"""The GPU benchmark runs from end to end, in Triton's interpreter where there is no GPU."""

import pytest
import torch

pytest.importorskip("triton", reason="Triton comes with PyTorch for CUDA, or as a test tool")

from polyfield.apps.benchmarks import gpu  # noqa: E402
from polyfield.apps.benchmarks.limits import Sizes  # noqa: E402


def test_every_row_is_there() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = Sizes(points=256, log2_table=8, levels=2, networks=(3,), rays=8, repeats=1)
    rows = [row for name in gpu.KERNELS for row in gpu.rows(name, device, sizes)]
    ops = {row.op for row in rows if row.backend == "triton"}
    assert ops == {
        "L2 random read",
        "L2 random add",
        "hash-grid forward",
        "hash-grid backward",
        "mlp forward+backward",
        "bank forward",
        "march",
        "composite forward+backward",
        "adam",
    }
    for row in rows:
        assert row.seconds > 0 and row.per_second > 0
        bounded = row.backend == "triton" and row.op not in (
            "L2 random read",
            "L2 random add",
            "march",
        )
        assert (row.share_of_bound is not None) == bounded
