"""CPU kernels on several threads: each is compiled once, and numba's pool runs it by its address.

A kernel does a run of its tasks, `kernel(first, last, *arguments)`. numba's own `parallel=True`
would compile the same code about three times over: for the loop's body, for its wrapper, and for
the function around it. Here a few lines of machine code for each list of types hand the arguments
to the same pool, and each thread calls the kernel.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numba
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typing import signature
from numba.extending import intrinsic
from numba.np.ufunc import parallel as pool

from polyfield.backends import dispatch
from polyfield.backends.jit import njit


@intrinsic
def _spread(
    typingctx: Any, address: Any, tasks: Any, pieces: Any, threads: Any, arguments: Any
) -> Any:
    """Have the pool call the kernel at an address for `pieces` runs of the tasks.

    Returns whether all went well: what a kernel raised is lost, for no thread of the pool is
    Python's.
    """
    kinds = [types.intp, types.intp, *arguments.types]
    found = signature(types.boolean, types.intp, types.intp, types.intp, types.intp, arguments)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word, byte = context.get_value_type(types.intp), ir.IntType(8)
        pointer = byte.as_pointer()
        where, tasks_, pieces_, threads_, given = args
        values = _unowned(context, builder, sig.args[-1], given)
        failed = cgutils.alloca_once_value(builder, ir.Constant(byte, 0))
        job = cgutils.pack_struct(builder, [where, tasks_, pieces_, failed, values])
        place = cgutils.alloca_once_value(builder, job)
        task = _task(context, builder.module, f"{builder.function.name}.task", job.type, kinds)
        # The pool moves an address on by a step for each piece: from nothing by one, it counts.
        nothing = cgutils.alloca_once_value(builder, ir.Constant(pointer, None))
        one = cgutils.alloca_once_value(builder, ir.Constant(word, 1))
        count = cgutils.alloca_once_value(builder, pieces_)
        each = ir.FunctionType(ir.VoidType(), [pointer] * 5 + [word] * 3)
        spread = cgutils.get_or_insert_function(builder.module, each, "numba_parallel_for")
        what = [builder.bitcast(v, pointer) for v in (task, nothing, count, one, place)]
        builder.call(spread, [*what, ir.Constant(word, 0), ir.Constant(word, 1), threads_])
        return builder.icmp_unsigned("==", builder.load(failed), ir.Constant(byte, 0))

    return found, codegen


@intrinsic
def call(typingctx: Any, address: Any, arguments: Any) -> Any:
    """Call a kernel at its `address_of`, inside another kernel: its code is not compiled again.

    The arguments, a tuple, must have the very types that the address was asked with. Returns
    whether all went well.
    """
    kinds = list(arguments.types)
    if tuple(kinds[2:]) not in _asked:
        raise TypingError(f"no address was asked for arguments of {kinds[2:]}")
    found = signature(types.boolean, types.intp, arguments)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where, given = args
        called = context.call_conv.get_function_type(types.none, kinds)
        kernel = builder.inttoptr(where, called.as_pointer())
        values = cgutils.unpack_tuple(builder, given, len(kinds))
        status, _ = context.call_conv.call_function(builder, kernel, types.none, kinds, values)
        return builder.not_(status.is_error)

    return found, codegen


def _unowned(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
    """The arguments with arrays that nobody owns, as the caller holds them meanwhile.

    Each slice of an owned array counts its owners up and down, in one place for all threads: they
    would wait for each other.
    """
    for number, kind in enumerate(kinds.types):
        if isinstance(kind, types.Array):
            value = builder.extract_value(values, number)
            array = context.make_array(kind)(context, builder, value=value)
            array.meminfo = ir.Constant(array.meminfo.type, None)
            values = builder.insert_value(values, array._getvalue(), number)
    return values


def _task(context: Any, module: Any, name: str, job: Any, kinds: list[Any]) -> Any:
    """What the pool calls: void(char **places, size_t *counts, size_t *steps, void *job)."""
    word, byte = context.get_value_type(types.intp), ir.IntType(8)
    pointer = byte.as_pointer()
    shape = [pointer.as_pointer(), word.as_pointer(), word.as_pointer(), pointer]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), shape), name=name)
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    places, counts, _, data = function.args
    held = builder.load(builder.bitcast(data, job.as_pointer()))
    where, tasks, pieces, failed, values = (builder.extract_value(held, i) for i in range(5))
    begin = builder.ptrtoint(builder.load(places), word)
    end = builder.add(begin, builder.load(counts))
    first, last = (builder.sdiv(builder.mul(tasks, n), pieces) for n in (begin, end))
    called = context.call_conv.get_function_type(types.none, kinds)
    kernel = builder.inttoptr(where, called.as_pointer())
    unpacked = cgutils.unpack_tuple(builder, values, len(kinds) - 2)
    status, _ = context.call_conv.call_function(
        builder, kernel, types.none, kinds, [first, last, *unpacked]
    )
    with cgutils.if_unlikely(builder, status.is_error):
        builder.store(ir.Constant(byte, 1), failed)
    builder.ret_void()
    return function


@njit(cache=True, nogil=True)
def _launch(address, tasks, pieces, threads, *arguments):  # type: ignore[no-untyped-def]
    return _spread(address, tasks, pieces, threads, arguments)


_addresses: dict[tuple[Any, Any], int] = {}
"""Of kernels, by what their arguments are like."""
_asked: set[tuple[Any, ...]] = set()
"""Types that addresses were asked with: another list of types would be read as if it were one."""
_lock = threading.Lock()
"""Two Python threads in numba's pool end the process, where it is `workqueue`."""
_alone = False
"""Whether this process was forked: OpenMP's threads did not come with it."""


def _forked() -> None:
    global _alone, _lock
    _alone, _lock = True, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def run(kernel: Callable[..., Any], tasks: int, *arguments: Any) -> None:
    """Run a kernel's tasks on as many threads as torch uses.

    Args:
        kernel: Compiled by `njit`; called as `kernel(first, last, *arguments)` for runs
            first..last-1 of the tasks, which touch no memory that another task writes.
        tasks: 0 or more.
        arguments: The same for each run.

    Raises:
        RuntimeError: the kernel failed, for want of memory.
    """
    if tasks <= 0:
        return
    if _alone:
        kernel(0, tasks, *arguments)
        return
    threads = min(dispatch.threads(), numba.config.NUMBA_NUM_THREADS, tasks)
    with _lock:
        address = _address(kernel, arguments)
        if not _launch(address, tasks, threads, threads, *arguments):
            raise RuntimeError(f"{kernel.__qualname__} failed: out of memory")


def address_of(kernel: Any, *arguments: Any) -> int:
    """Where a kernel begins, for `call`: `arguments` are like those after first and last."""
    with _lock:
        return _address(kernel, arguments)


def _address(kernel: Any, arguments: tuple[Any, ...]) -> int:
    """Where a kernel's machine code for these arguments begins; compiled if need be."""
    key = (kernel, numba._dispatcher.compute_fingerprint(arguments))
    found = _addresses.get(key)
    if found is None:
        _start_pool()
        kinds = (types.intp, types.intp, *(numba.typeof(a) for a in arguments))
        _asked.add(kinds[2:])
        kernel.compile(kinds)
        compiled = kernel.overloads[kinds]
        found = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        _addresses[key] = found
    return found


def _start_pool() -> None:
    count = torch.get_num_threads()
    pool._launch_threads()
    if torch.get_num_threads() != count:
        # It told the OpenMP that torch may share with it to use every core.
        torch.set_num_threads(count)
