"""Functions that torch sees as one op: its compiler doesn't look inside, autograd gets a formula.

`torch.library.custom_op` does the same, but imports torch's compiler at the first call, which takes
seconds and is of use only to who compiles. The pieces that it is made of don't.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch


def op(name: str, device: str | None = None) -> Callable[[Callable[..., Any]], Any]:
    """Make a function of tensors and numbers, which changes none of them, an op.

    What else it needs is told by `torch.library.register_fake`, and by
    `torch.library.register_autograd` or `no_gradient`.

    Args:
        name: "polyfield::" and the op's own.
        device: The one kind it runs on; None for any.
    """

    def define(function: Callable[..., Any]) -> Any:
        schema = torch.library.infer_schema(function, mutates_args=())
        torch.library.define(name, schema, tags=(torch.Tag.pt2_compliant_tag,))
        torch.library.impl(name, device or "CompositeExplicitAutograd", function)
        space, _, own = name.partition("::")
        return getattr(getattr(torch.ops, space), own).default

    return define


def no_gradient(defined: Any) -> None:
    """Make it an error to ask for the gradient of an op: torch alone would take it to be zero."""

    def fail(context: Any, *grads: Any) -> NoReturn:
        raise RuntimeError(f"{defined} has no gradient")

    torch.library.register_autograd(defined, fail)
