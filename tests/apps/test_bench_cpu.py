"""The CPU benchmark runs from end to end, and its bounds are what they say."""

import pytest

from polyfield.apps.benchmarks import cpu, cpu_limits
from polyfield.apps.benchmarks.cpu_limits import Limits
from polyfield.backends import dispatch

pytestmark = pytest.mark.skipif(dispatch.why_no_numba() is not None, reason="no numba")
BOUNDED = {"hash-grid", "mlp", "linear", "image-step"}


@pytest.mark.parametrize("name", ["memory", *sorted(BOUNDED)])
def test_every_row_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "POINTS", 256)
    monkeypatch.setattr(cpu, "BATCH", 256)
    monkeypatch.setattr(cpu_limits, "COUNT", 256)
    monkeypatch.setattr(cpu_limits, "EDGE", 32)
    monkeypatch.setattr(cpu_limits, "SIZES", (1 << 10, 1 << 12))
    cpu_limits.limits.cache_clear()
    try:
        rows = list(cpu.KERNELS[name]())
    finally:
        cpu_limits.limits.cache_clear()
    assert rows and all(row.seconds > 0 and row.per_second > 0 for row in rows)
    assert all((row.share_of_bound is not None) == (name in BOUNDED) for row in rows)


def test_bounds() -> None:
    limits = Limits((1e9, 5e8, 1e8, 1e7), (1e9, 5e8, 2e7, 1e7), 1e10, 1e10, ())
    # Two levels, in the first cache and in the last one; eight corners of two floats.
    assert limits.grid([100, 1 << 18], 2, 1000, adds=False) == pytest.approx(8e3 / 1e9 + 8e3 / 1e8)
    assert limits.grid([1 << 18], 4, 1000, adds=True) == pytest.approx(2 * 8e3 / 2e7)
    assert limits.grid([1 << 26], 2, 1000, adds=True) == pytest.approx(8e3 / 1e7)
    assert limits.network([32, 64, 3], 10, False) == pytest.approx(10 * (32 * 64 + 64 * 3) / 1e10)
    assert limits.network([32, 64, 3], 10, True) == pytest.approx(30 * (32 * 64 + 64 * 3) / 1e10)
