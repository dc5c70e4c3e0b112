"""The exponential of short vectors, for numba kernels.

exp a = 2^n exp r with whole n and |r| <= ln 2 / 2; ln 2 is the sum of two floats. exp r is its
Taylor polynomial of degree 7 (error 5e-9 there). Below LEAST it is 0: numbers near the smallest
ones make a CPU's arithmetic a hundred times slower, and so does all that is computed of them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from polyfield.backends.simd import clamp, floor, fma, power_of_two, rectified, splat, where_nonzero

LEAST = np.float32(-60.0)
"""exp(-60) is 9e-27."""
_MOST = np.float32(89.0)
_PER_LN2 = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_TERMS = tuple(np.float32(1 / n) for n in (5040, 720, 120, 24, 6, 2))


@njit(inline="always")
def exponential(a, like):
    """Exp a, lane by lane; `like` says how many lanes. 0 below LEAST; NaN stays NaN."""
    one = splat(np.float32(1), like)
    held = clamp(a, splat(LEAST, like), splat(_MOST, like))
    n = floor(fma(held, splat(_PER_LN2, like), splat(np.float32(0.5), like)))
    r = fma(n, splat(-_LN2_HIGH, like), held)
    r = fma(n, splat(-_LN2_LOW, like), r)
    series = splat(_TERMS[0], like)
    series = fma(series, r, splat(_TERMS[1], like))
    series = fma(series, r, splat(_TERMS[2], like))
    series = fma(series, r, splat(_TERMS[3], like))
    series = fma(series, r, splat(_TERMS[4], like))
    series = fma(series, r, splat(_TERMS[5], like))
    found = fma(r * r, series, r + one) * power_of_two(n)
    # Nothing where a <= LEAST; a NaN counts as above.
    return where_nonzero(rectified(a - splat(LEAST, like)), found, one - one)
