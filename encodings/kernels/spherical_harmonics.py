"""Real spherical harmonics of unit directions as one op, in the order and sign of tiny-cuda-nn.

Symbols: direction d = (x, y, z), |d| = 1; degree D (1 to 4) gives the D^2 functions of bands l < D,
    band l at l^2 ... l^2 + 2l.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op

MAX_DEGREE = 4


def reference(d: Float[Tensor, "n 3"], degree: int) -> Float[Tensor, "n c"]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    x, y, z = d.unbind(-1)
    out = [torch.full_like(x, 0.28209479177387814)]
    if degree > 1:
        out += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree > 2:
        out += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.9461746957575601 * z * z - 0.31539156525251999,
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ]
    if degree > 3:
        out += [
            0.5900435899266435 * y * (y * y - 3 * x * x),
            2.890611442640554 * x * y * z,
            0.4570457994644657 * y * (1 - 5 * z * z),
            0.3731763325901154 * z * (5 * z * z - 3),
            0.4570457994644657 * x * (1 - 5 * z * z),
            1.445305721320277 * z * (x * x - y * y),
            0.5900435899266435 * x * (3 * y * y - x * x),
        ]
    return torch.stack(out, -1)


def spherical_harmonics(d: Float[Tensor, "n 3"], degree: int) -> Float[Tensor, "n c"]:
    """Values of the first degree^2 functions.

    The fast kernel has no gradient in the directions: where they need one, the reference runs.
    """
    if d.requires_grad or not dispatch.use_numba(d):
        return reference(d, degree)
    return _spherical_harmonics(d, degree)


@op("polyfield::spherical_harmonics", "cpu")
def _spherical_harmonics(d: Tensor, degree: int) -> Tensor:
    from polyfield.encodings.kernels import spherical_harmonics_numba

    return spherical_harmonics_numba.forward(d, degree)


@torch.library.register_fake(_spherical_harmonics)
def _(d: Tensor, degree: int) -> Tensor:
    return d.new_empty(d.shape[0], degree * degree)


no_gradient(_spherical_harmonics)
