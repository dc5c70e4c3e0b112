"""The CPU kernel of `adam`.

One pass over the five arrays, a vector at a time, untouched vectors not even read.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.backends.simd import (
    LANES,
    any_nonzero,
    at_most,
    fma,
    gather,
    load,
    splat,
    sqrt,
    store,
    where_nonzero,
)
from polyfield.training.kernels.adam import HORIZON, AdamNumbers, corrections

BLOCK = 1 << 14


@njit(inline="always")
def _vector(p, g, m, v, c, at, rate, b1, b2, eps, decay, fix1, fix2, skip):
    grad = load(g, at, LANES)
    if skip and not any_nonzero(grad):
        return
    one = splat(np.float32(1), LANES)
    old_m, old_v, old_p, old_c = (
        load(m, at, LANES),
        load(v, at, LANES),
        load(p, at, LANES),
        load(c, at, LANES),
    )
    new_c = old_c + splat(np.uint32(1), LANES)
    new_m = fma(splat(np.float32(1 - b1), LANES), grad - old_m, old_m)
    new_v = fma(splat(np.float32(1 - b2), LANES), grad * grad - old_v, old_v)
    index = at_most(new_c, splat(np.uint32(HORIZON), LANES))
    root = sqrt(new_v * gather(fix2, index)) + splat(np.float32(eps), LANES)
    move = splat(np.float32(rate), LANES) * (new_m * gather(fix1, index)) / root
    new_p = old_p * splat(np.float32(1 - rate * decay), LANES) - move
    test = grad if skip else one
    store(p, at, where_nonzero(test, new_p, old_p))
    store(m, at, where_nonzero(test, new_m, old_m))
    store(v, at, where_nonzero(test, new_v, old_v))
    store(c, at, where_nonzero(test, new_c, old_c))


@njit(cache=True, nogil=True)
def _step(first, last, p, g, m, v, c, rate, b1, b2, eps, decay, fix1, fix2, skip):
    at, end = first * BLOCK, min(p.size, last * BLOCK)
    while at + LANES <= end:
        _vector(p, g, m, v, c, at, rate, b1, b2, eps, decay, fix1, fix2, skip)
        at += LANES
    if at < end:
        # The tail goes through a padded copy; padding has gradient 0 and is not copied back.
        rest = end - at
        tail = np.zeros((4, LANES), np.float32)
        steps = np.zeros(LANES, np.uint32)
        for i in range(rest):
            tail[0, i], tail[1, i], tail[2, i], tail[3, i] = (
                p[at + i],
                g[at + i],
                m[at + i],
                v[at + i],
            )
            steps[i] = c[at + i]
        _vector(
            tail[0], tail[1], tail[2], tail[3], steps, 0, rate, b1, b2, eps, decay, fix1, fix2, skip
        )
        for i in range(rest):
            p[at + i], m[at + i], v[at + i] = tail[0, i], tail[2, i], tail[3, i]
            c[at + i] = steps[i]


def step(
    param: Tensor,
    grad: Tensor,
    first: Tensor,
    second: Tensor,
    count: Tensor,
    numbers: AdamNumbers,
    skip: bool,
) -> None:
    """See `adam.adam`."""
    fix1, fix2 = corrections(numbers.beta1, numbers.beta2)
    parallel.run(
        _step,
        -(-param.numel() // BLOCK),
        dispatch.flat(param),
        dispatch.flat(grad),
        dispatch.flat(first),
        dispatch.flat(second),
        dispatch.flat(count).view(np.uint32),
        numbers.rate,
        numbers.beta1,
        numbers.beta2,
        numbers.eps,
        numbers.decay,
        dispatch.flat(fix1),
        dispatch.flat(fix2),
        skip,
    )
