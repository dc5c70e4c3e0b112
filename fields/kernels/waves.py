"""Activations made of sines and exponentials, elementwise and as one op.

    sine:    sin z (SIREN)
    damped:  sin z sqrt|z|, its slope finite at 0 (SPDER)
    finer:   sin(w (|z| + 1) z) (FINER)
    bell:    exp(-z^2) (Gaussian activations)
    decay:   exp(-max(z, 0) / 2) (Gaussian kernels, of squared distances)

Symbols: z any tensor, w a constant. Arguments of the sine up to 1e5 keep their accuracy; the kernel
makes exponentials below 1e-26 zero.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import op

Kind = Literal["sine", "damped", "finer", "bell", "decay"]
TINY = 1e-30
"""Least |z| under a root: its square root is a normal float32."""


def reference(z: Float[Tensor, "*n"], kind: str, w: float) -> Float[Tensor, "*n"]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    if kind == "sine":
        return z.sin()
    if kind == "damped":
        # The clamp has no gradient where it holds: at 0, where the sine's own is enough.
        return z.sin() * z.abs().clamp(min=TINY).sqrt()
    if kind == "bell":
        return (-z.square()).exp()
    if kind == "decay":
        return (-0.5 * z.clamp(min=0)).exp()
    return (w * (z.abs() + 1) * z).sin()


def wave(z: Float[Tensor, "*n"], kind: Kind, w: float = 1.0) -> Float[Tensor, "*n"]:
    """Apply an activation to each value."""
    if not dispatch.use_numba(z):
        return reference(z, kind, w)
    return _wave(z, kind, w)


@op("polyfield::wave", "cpu")
def _wave(z: Tensor, kind: str, w: float) -> Tensor:
    from polyfield.fields.kernels import waves_numba

    return waves_numba.forward(z, kind, w, TINY)


@torch.library.register_fake(_wave)
def _(z: Tensor, kind: str, w: float) -> Tensor:
    return z.new_empty(z.shape)


@op("polyfield::wave_backward", "cpu")
def _wave_backward(grad: Tensor, z: Tensor, kind: str, w: float) -> Tensor:
    """Gradient of sum(grad * wave(z)) in z."""
    from polyfield.fields.kernels import waves_numba

    return waves_numba.backward(grad, z, kind, w, TINY)


@torch.library.register_fake(_wave_backward)
def _(grad: Tensor, z: Tensor, kind: str, w: float) -> Tensor:
    return z.new_empty(z.shape)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    z, ctx.kind, ctx.w = inputs
    ctx.save_for_backward(z)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    (z,) = ctx.saved_tensors
    return _wave_backward(grad, z, ctx.kind, ctx.w), None, None


def _remember_backward(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    grad, z, ctx.kind, ctx.w = inputs
    ctx.save_for_backward(grad, z)


def _backward_twice(ctx, along: Tensor):  # type: ignore[no-untyped-def]
    """Gradients of the gradient, by the reference: losses on slopes need them."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
        y = reference(leaves[1], ctx.kind, ctx.w)
        (first,) = torch.autograd.grad(y, leaves[1], leaves[0], create_graph=True)
        found = torch.autograd.grad(first, leaves, along, allow_unused=True)
    return *found, None, None


torch.library.register_autograd(_wave, _backward, setup_context=_remember)
torch.library.register_autograd(_wave_backward, _backward_twice, setup_context=_remember_backward)
