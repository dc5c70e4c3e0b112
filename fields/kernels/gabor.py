"""Gabor wavelets of complex numbers, kept as pairs of real ones, as one op: WIRE's activation.

    exp(i w z - |s z|^2) of z = a + i b  =  exp(-w b - s^2 (a^2 + b^2)) (cos(w a) + i sin(w a))

Symbols: u complex values a row; z is [a | b], or a alone where b = 0; w and s constants. Arguments
of the sine up to 1e5 keep their accuracy; the kernel makes what is below 1e-26 zero.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import op


def reference(z: Float[Tensor, "n z"], units: int, w: float, s: float) -> Float[Tensor, "n y"]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    a, b = z[:, :units], z[:, units:]
    exponent = -(s**2) * a.square()
    if b.shape[1]:
        exponent = exponent - w * b - s**2 * b.square()
    envelope, phase = exponent.exp(), w * a
    return torch.cat([envelope * phase.cos(), envelope * phase.sin()], 1)


def gabor(z: Float[Tensor, "n z"], units: int, w: float, s: float) -> Float[Tensor, "n y"]:
    """Apply the wavelet to each complex value.

    Args:
        z: [n, 2u] real and imaginary parts, or [n, u] real values.
        units: u.
        w: frequency.
        s: scale, the wavelet's width is 1 / s.

    Returns:
        [n, 2u], real parts and imaginary parts.
    """
    assert z.shape[1] in (units, 2 * units), (z.shape, units)
    if not dispatch.use_numba(z):
        return reference(z, units, w, s)
    return _gabor(z, units, w, s)


@op("polyfield::gabor", "cpu")
def _gabor(z: Tensor, units: int, w: float, s: float) -> Tensor:
    from polyfield.fields.kernels import gabor_numba

    return gabor_numba.forward(z, units, w, s)


@torch.library.register_fake(_gabor)
def _(z: Tensor, units: int, w: float, s: float) -> Tensor:
    return z.new_empty(z.shape[0], 2 * units)


@op("polyfield::gabor_backward", "cpu")
def _gabor_backward(grad: Tensor, z: Tensor, y: Tensor, units: int, w: float, s: float) -> Tensor:
    """Gradient of sum(grad * gabor(z)) in z, given y = gabor(z)."""
    from polyfield.fields.kernels import gabor_numba

    return gabor_numba.backward(grad, z, y, units, w, s)


@torch.library.register_fake(_gabor_backward)
def _(grad: Tensor, z: Tensor, y: Tensor, units: int, w: float, s: float) -> Tensor:
    return z.new_empty(z.shape)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    z, *ctx.numbers = inputs
    ctx.save_for_backward(z, output)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    z, y = ctx.saved_tensors
    return _gabor_backward(grad, z, y, *ctx.numbers), None, None, None


def _remember_backward(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    grad, z, _, *ctx.numbers = inputs
    ctx.save_for_backward(grad, z)


def _backward_twice(ctx, along: Tensor):  # type: ignore[no-untyped-def]
    """Gradients of the gradient, by the reference: losses on slopes need them.

    All of them are in grad and z: y is a function of z.
    """
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
        found = reference(leaves[1], *ctx.numbers)
        (first,) = torch.autograd.grad(found, leaves[1], leaves[0], create_graph=True)
        in_grad, in_z = torch.autograd.grad(first, leaves, along, allow_unused=True)
    return in_grad, in_z, None, None, None, None


torch.library.register_autograd(_gabor, _backward, setup_context=_remember)
torch.library.register_autograd(_gabor_backward, _backward_twice, setup_context=_remember_backward)
