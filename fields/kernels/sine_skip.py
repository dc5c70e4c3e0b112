"""h + sin(h w) as one op: what the first layer of `SineSkip` hands on.

Symbols: h [n, C] outputs of the layer; w [C] multipliers, which get no gradient.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op


def reference(h: Float[Tensor, "n c"], w: Float[Tensor, "c"]) -> Float[Tensor, "n c"]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    return h + (h * w).sin()


def sine_skip(h: Float[Tensor, "n c"], w: Float[Tensor, "c"]) -> Float[Tensor, "n c"]:
    """Add to each output its own sine; |h w| up to 1e5."""
    if not dispatch.use_numba(h, w):
        return reference(h, w)
    return _sine_skip(h, w)


@op("polyfield::sine_skip", "cpu")
def _sine_skip(h: Tensor, w: Tensor) -> Tensor:
    from polyfield.fields.kernels import sine_skip_numba

    return sine_skip_numba.forward(h, w)


@torch.library.register_fake(_sine_skip)
def _(h: Tensor, w: Tensor) -> Tensor:
    return torch.empty_like(h)


@op("polyfield::sine_skip_backward", "cpu")
def _sine_skip_backward(grad: Tensor, h: Tensor, w: Tensor) -> Tensor:
    """Gradient of sum(grad * sine_skip(h)) in h."""
    from polyfield.fields.kernels import sine_skip_numba

    return sine_skip_numba.backward(grad, h, w)


@torch.library.register_fake(_sine_skip_backward)
def _(grad: Tensor, h: Tensor, w: Tensor) -> Tensor:
    return torch.empty_like(h)


no_gradient(_sine_skip_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    return _sine_skip_backward(grad.contiguous(), *ctx.saved_tensors), None


torch.library.register_autograd(_sine_skip, _backward, setup_context=_remember)
