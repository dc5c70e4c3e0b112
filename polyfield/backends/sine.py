"""Sine and cosine of short vectors, for numba kernels.

An argument a = h pi + r with whole h and |r| <= pi / 2 has sin a = (-1)^h sin r. pi is the sum of
two floats, so that r is exact to a rounding of its own size for |a| up to 1e5. sin r is a
polynomial of degree 9, fitted for the smallest largest error (5e-9) on that interval.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from polyfield.backends.simd import floor, fma, splat

_PER_PI = np.float32(0.31830987334251404)
_PI_HIGH = np.float32(3.1415927410125732)
_PI_LOW = np.float32(-8.742277657347586e-08)
_TERMS = tuple(
    np.float32(term)
    for term in (
        -0.16666656732559204,
        0.008333015255630016,
        -0.0001980647793971002,
        2.599750359877362e-06,
    )
)


@njit(inline="always")
def _sine_of(a, half, turns, like):
    """Sine of r = a - turns * pi, negative where half is odd."""
    one = splat(np.float32(1), like)
    r = fma(turns, splat(-_PI_HIGH, like), a)
    r = fma(turns, splat(-_PI_LOW, like), r)
    two = splat(np.float32(2), like)
    odd = half - two * floor(half * splat(np.float32(0.5), like))
    square = r * r
    series = splat(_TERMS[3], like)
    series = fma(series, square, splat(_TERMS[2], like))
    series = fma(series, square, splat(_TERMS[1], like))
    series = fma(series, square, splat(_TERMS[0], like))
    return fma(r * square, series, r) * (one - two * odd)


@njit(inline="always")
def sine(a, like):
    """Sine, lane by lane; `like` says how many lanes."""
    half = floor(fma(a, splat(_PER_PI, like), splat(np.float32(0.5), like)))
    return _sine_of(a, half, half, like)


@njit(inline="always")
def cosine(a, like):
    """Cosine, lane by lane: the sine of a + pi / 2."""
    half = floor(fma(a, splat(_PER_PI, like), splat(np.float32(1), like)))
    return _sine_of(a, half, half - splat(np.float32(0.5), like), like)
