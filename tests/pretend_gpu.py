"""A pretend accelerator that finds mistakes: every tensor on it is a CPU tensor in a wrapper.

`torch.device("pretend")` takes the place of a GPU on a machine without one. As on CUDA, an op
raises where it mixes tensors of two devices, and numpy can't read a tensor that lies there. Two
rules are stricter than CUDA's: indices must lie on the device too (CUDA copies them each time), and
random numbers must be drawn on the CPU (CUDA draws others). `counted` tells how often the host
would have waited for a GPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._pytree import tree_flatten, tree_map

aten = torch.ops.aten
NAME = "pretend"


class _Module:
    """What torch asks of a device's module."""

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        pass

    @staticmethod
    def get_rng_state(device: Any = None) -> Tensor:
        return torch.empty(0, dtype=torch.uint8)

    @staticmethod
    def set_rng_state(state: Tensor, device: Any = None) -> None:
        pass


backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
DEVICE = torch.device(NAME, 0)
CPU = torch.device("cpu")

COPIES = {aten.copy_.default, aten._copy_from.default, aten._copy_from_and_resize.default}
MOVES = {aten._to_copy.default}
GATHERS = {
    aten.cat.default,
    aten.stack.default,
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_select.default,
    aten.gather.default,
    aten.scatter.src,
    aten.mm.default,
    aten.addmm.default,
}
"""Ops that take not even a single number from another device."""
READS = {aten._local_scalar_dense.default, aten.equal.default}
SIZES = {
    aten.nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.bincount.default,
    aten.repeat_interleave.Tensor,
}
"""Ops whose result is as large as the values say."""
RANDOM = {"rand", "randn", "randint", "randperm", "uniform_", "normal_", "bernoulli_", "random_"}

waits: Counter[str] = Counter()
"""How often the host would have waited, by op."""


class PretendTensor(Tensor):
    """A tensor on the pretend device; `inner` holds its values."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> PretendTensor:
        return Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __repr__(self, **_: Any) -> str:
        return f"PretendTensor({self.inner})"

    def tolist(self) -> Any:
        waits["tolist"] += 1
        return self.inner.tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert a tensor of the pretend device to numpy: use .cpu() first")

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(op, args, kwargs or {})


def _run(op: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an op on what the wrappers hold, if that would work on a GPU."""
    flat, _ = tree_flatten((args, kwargs))
    there = [x for x in flat if isinstance(x, PretendTensor)]
    here = [x for x in flat if isinstance(x, Tensor) and not isinstance(x, PretendTensor)]
    asked = kwargs.get("device")
    if op not in COPIES:
        _check_devices(op, there, here)
    _check_random(op, kwargs, bool(there) or asked == DEVICE)
    _count(op, args, kwargs, there)
    owners = {id(x.inner): x for x in there}
    found = op(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    assert all(x.shape == x.inner.shape for x in there), f"{op} resizes a wrapped tensor"
    if op in COPIES:
        return args[1] if op is not aten.copy_.default else args[0]
    on_device = asked == DEVICE if asked is not None else bool(there)

    def outer(x: Any) -> Any:
        if not isinstance(x, Tensor) or not on_device:
            return x
        return owners[id(x)] if id(x) in owners else PretendTensor(x)

    return tree_map(outer, found)


def _inner(x: Any) -> Any:
    if isinstance(x, PretendTensor):
        return x.inner
    return CPU if x == DEVICE and isinstance(x, torch.device) else x


def _check_devices(op: Any, there: list[PretendTensor], here: list[Tensor]) -> None:
    if not there or not here:
        return
    # CUDA takes a single number from the CPU, but not the other way round.
    if op in GATHERS or any(x.dim() for x in here):
        shapes = [tuple(x.shape) for x in here]
        raise RuntimeError(f"expected all tensors on one device; {op} got {shapes} of the CPU")


def _check_random(op: Any, kwargs: dict[str, Any], on_device: bool) -> None:
    if on_device and op.overloadpacket.__name__ in RANDOM:
        raise RuntimeError(f"{op} draws on the device: draw on the CPU and move")


def _count(op: Any, args: Any, kwargs: dict[str, Any], there: list[PretendTensor]) -> None:
    name = str(op)
    if op in READS or op in SIZES and there:
        waits[name] += 1
    if op in MOVES and there and kwargs.get("device") == CPU:
        waits["to the CPU"] += 1
    if op in COPIES and not isinstance(args[0 if op is aten.copy_.default else 1], PretendTensor):
        waits["to the CPU"] += 1
    if op in (aten.index.Tensor, aten.index_put_.default) and there:
        masks = [x for x in args[1] if x is not None and x.dtype in (torch.bool, torch.uint8)]
        # A single value put where a mask says needs no indices.
        single = op is aten.index_put_.default and args[2].dim() == 0
        waits[name] += bool(masks) and not single


_library, _aten = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
# Ops without a tensor on the device among their arguments: factories, and copies to the CPU.
_library.fallback(lambda op, *args, **kwargs: _run(op, args, kwargs), "PrivateUse1")


def _register(op: Any) -> None:
    _aten.impl(op, lambda *args, **kwargs: _run(op, args, kwargs), "PrivateUse1")


# torch.tensor and scalars that are assigned go past __torch_dispatch__; the rest would be made
# empty and then resized, which a wrapper can't be.
for _op in (
    aten.copy_.default,
    aten.fill_.Scalar,
    aten.fill_.Tensor,
    aten.zero_.default,
    aten.arange.default,
    aten.arange.start,
    aten.arange.start_step,
    aten.linspace.default,
    aten.eye.default,
):
    _register(_op)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """What would have made the host wait inside the block."""
    before = Counter(waits)
    found: Counter[str] = Counter()
    try:
        yield found
    finally:
        found.update(waits - before)
