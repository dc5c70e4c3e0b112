"""The CPU kernel of `spherical_harmonics`: one pass over the directions."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit

BLOCK = 4096


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def harmonics(first, last, d, out, degree):
    """Values of blocks of BLOCK directions."""
    n = d.size // 3
    width = degree * degree
    for block in range(first, last):
        for i in range(block * BLOCK, min(n, (block + 1) * BLOCK)):
            x, y, z = d[3 * i], d[3 * i + 1], d[3 * i + 2]
            o = out[i * width : (i + 1) * width]
            o[0] = np.float32(0.28209479177387814)
            if degree > 1:
                o[1] = np.float32(-0.4886025119029199) * y
                o[2] = np.float32(0.4886025119029199) * z
                o[3] = np.float32(-0.4886025119029199) * x
            if degree > 2:
                o[4] = np.float32(1.0925484305920792) * x * y
                o[5] = np.float32(-1.0925484305920792) * y * z
                o[6] = np.float32(0.9461746957575601) * z * z - np.float32(0.31539156525251999)
                o[7] = np.float32(-1.0925484305920792) * x * z
                o[8] = np.float32(0.5462742152960396) * (x * x - y * y)
            if degree > 3:
                ring = np.float32(1) - np.float32(5) * z * z
                o[9] = np.float32(0.5900435899266435) * y * (y * y - np.float32(3) * x * x)
                o[10] = np.float32(2.890611442640554) * x * y * z
                o[11] = np.float32(0.4570457994644657) * y * ring
                o[12] = np.float32(0.3731763325901154) * z * (np.float32(5) * z * z - np.float32(3))
                o[13] = np.float32(0.4570457994644657) * x * ring
                o[14] = np.float32(1.445305721320277) * z * (x * x - y * y)
                o[15] = np.float32(0.5900435899266435) * x * (np.float32(3) * y * y - x * x)


def forward(d: Tensor, degree: int) -> Tensor:
    """See `spherical_harmonics.spherical_harmonics`."""
    out = dispatch.new(d.shape[0], degree * degree)
    if out.numel():
        parallel.run(harmonics, -(-len(d) // BLOCK), dispatch.flat(d), dispatch.flat(out), degree)
    return out
