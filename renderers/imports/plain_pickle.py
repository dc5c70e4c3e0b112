"""What a pickle of tensors says, read opcode by opcode; nothing in it is called or imported.

A pickle is a program for a small machine. Only the opcodes that build plain values run here, on
values of our own: names of functions and classes are words, and a call of one is looked up in a
list of a few, each of which makes plain data. Everything else ends the reading.
"""

from __future__ import annotations

import math
import pickletools
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from polyfield.errors import InputError

MOST = 1 << 22
"""Bytes of a pickle: a checkpoint's has some 100 kB, tensors lie beside it."""
LARGE = 1 << 40
"""Above a tensor's sides, steps, offset and numbers."""
DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
"""Of torch's storages, as numpy says them."""
_KEYS = (str, int, float, bool, bytes, type(None))
_SAVE = "give a file that the program itself saved"


@dataclass(frozen=True)
class Storage:
    """Numbers that lie beside the pickle."""

    key: str
    """The name of their record."""
    kind: str
    """The storage's class, or its dtype where that is none of those read here."""
    count: int
    """How many."""


@dataclass(frozen=True)
class Stored:
    """A tensor, its numbers not yet read."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """A function or class that the pickle names: a word, never looked up."""

    text: str


class _Mark:
    """Where a list on the stack begins."""


_DAMAGED = (
    ValueError, IndexError, TypeError, KeyError, OverflowError, struct.error, DeprecationWarning,
)  # fmt: skip
"""What a pickle that is not whole makes Python raise."""


class _Refused(Exception):
    """What is not allowed, for the line."""


def read_pickle(content: bytes, where: str) -> Any:
    """The value of a pickle: dicts, lists, tuples, numbers, words, bytes and `Stored` tensors.

    Args:
        content: the pickle.
        where: its file, for messages.

    Raises:
        InputError: damaged, too long, or it holds what is no plain data; the line names it.
    """
    if len(content) > MOST:
        raise InputError(f"a pickle of at most {MOST >> 20} MiB in {where}", "more", _SAVE)
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            # Escapes that Python no longer knows.
            warnings.simplefilter("error", DeprecationWarning)
            for opcode, argument, _ in pickletools.genops(content):
                machine.step(opcode.name, argument)
            return machine.result()
    except _Refused as refused:
        raise InputError(
            f"tensors and plain values alone in {where}", str(refused)[:120], _SAVE
        ) from None
    except _DAMAGED as error:
        why = " ".join(str(error).split())[:80] or type(error).__name__
        raise InputError(f"a whole pickle in {where}", why, _SAVE) from None


class _Machine:
    """The stack and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.done = False

    def result(self) -> Any:
        """What is left when it stops."""
        if not self.done or len(self.stack) != 1 or isinstance(self.stack[0], (_Mark, _Name)):
            raise ValueError("it ends in its middle")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        """One opcode.

        Raises:
            _Refused: it could do more than build a plain value.
        """
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _MADE:
            self.stack.append(_MADE[name]())
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in _IDLE:
            raise _Refused(f"the opcode {name}")

    def pop(self) -> Any:
        """The value on top."""
        if isinstance(self.stack[-1], _Mark):
            raise ValueError("a value is missing")
        return self.stack.pop()

    def listed(self) -> list[Any]:
        """What lies above the last mark, which goes too."""
        for at in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[at], _Mark):
                found = self.stack[at + 1 :]
                del self.stack[at:]
                return found
        raise ValueError("a mark is missing")


def _remember(machine: _Machine, argument: Any) -> None:
    value = machine.pop()
    machine.stack.append(value)
    machine.memo[len(machine.memo) if argument is None else argument] = value


def _append(machine: _Machine, values: list[Any]) -> None:
    found = machine.stack[-1]
    if not isinstance(found, list):
        raise ValueError("values for what is no list")
    found.extend(values)


def _set(machine: _Machine, values: list[Any]) -> None:
    found = machine.stack[-1]
    if not isinstance(found, dict) or len(values) % 2:
        raise ValueError("pairs for what is no dict")
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not isinstance(key, _KEYS):
            raise _Refused(f"a key that is a {type(key).__name__}")
        found[key] = value


def _pair(machine: _Machine) -> list[Any]:
    value, key = machine.pop(), machine.pop()
    return [key, value]


def _tuple(count: int) -> Callable[[_Machine, Any], None]:
    def make(machine: _Machine, _: Any) -> None:
        values = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(values)))

    return make


def _global(machine: _Machine, argument: Any) -> None:
    machine.stack.append(_known(str(argument).replace(" ", ".", 1)))


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    if not (type(name) is str and type(module) is str):
        raise ValueError("a name that is no word")
    machine.stack.append(_known(f"{module}.{name}"))


def _known(text: str) -> _Name:
    kind = text.removeprefix("torch.")
    if text not in _CALLS and not (text.startswith("torch.") and kind in DTYPES):
        if text.startswith("torch.") and kind.endswith("Storage") and kind.isidentifier():
            return _Name(text)  # of a kind that is refused where its numbers are asked for
        raise _Refused(f"the name {text[:80]}")
    return _Name(text)


def _call(machine: _Machine, _: Any) -> None:
    arguments, name = machine.pop(), machine.pop()
    if not isinstance(name, _Name) or name.text not in _CALLS or type(arguments) is not tuple:
        what = name.text if isinstance(name, _Name) else type(name).__name__
        raise _Refused(f"a call of {what[:80]}")
    machine.stack.append(_CALLS[name.text](*arguments))


def _build(machine: _Machine, _: Any) -> None:
    """Attributes of a dict (its versions) and the state of a numpy dtype: passed over."""
    machine.pop()
    if not isinstance(machine.stack[-1], (dict, _Dtype)):
        raise _Refused(f"attributes of a {type(machine.stack[-1]).__name__}")


def _persistent(machine: _Machine, _: Any) -> None:
    found = machine.pop()
    match found:
        case ("storage", _Name(text), str(key), str(), int(count)) if text.endswith("Storage"):
            machine.stack.append(Storage(key, text.removeprefix("torch."), count))
        case _:
            raise _Refused("a reference that is no storage")


def _tensor(*arguments: Any) -> Stored:
    match arguments[:4]:
        case (Storage() as storage, int(offset), tuple(shape), tuple(strides)):
            pass
        case _:
            raise ValueError("a tensor without its numbers")
    whole = all(type(n) is int and 0 <= n < LARGE for n in (offset, *shape, *strides))
    if not whole or len(shape) != len(strides) or len(shape) > 16:
        raise ValueError("a tensor of no shape")
    if math.prod(max(n, 1) for n in shape) >= LARGE:  # an empty one has strides too
        raise ValueError("a tensor of too large a shape")
    return Stored(storage, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Stored:
    if not isinstance(data, Stored):
        raise ValueError("a parameter that is no tensor")
    return data


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    if not isinstance(pairs, (list, tuple)) or pairs:
        raise ValueError("an OrderedDict with values in its call")
    return {}


@dataclass(frozen=True)
class _Dtype:
    """A dtype of numpy."""

    text: str


def _dtype(text: Any, *_: Any) -> _Dtype:
    if type(text) is not str:
        raise ValueError("a dtype that is no word")
    return _Dtype(text)


def _scalar(dtype: Any, content: Any) -> Any:
    """A number of numpy's: learning rates are such."""
    if not isinstance(dtype, _Dtype) or type(content) is not bytes:
        raise ValueError("a number without its bytes")
    codes = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i", "b1": "<?"}
    if dtype.text not in codes:
        raise _Refused(f"a number of kind {dtype.text[:20]}")
    return struct.unpack(codes[dtype.text], content)[0]


def _encoded(text: Any, encoding: Any) -> bytes:
    """Bytes, as the second version of pickle writes them."""
    if type(text) is not str or encoding != "latin1":
        raise ValueError("bytes in another encoding")
    return text.encode("latin-1")


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.dtype": _dtype,
    "_codecs.encode": _encoded,
}
"""THE list of what may be called, and what makes its value."""

_IDLE = {"PROTO", "FRAME"}
_VALUES = {
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8",
}  # fmt: skip
_MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": _Mark,
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "STOP": lambda machine, _: setattr(machine, "done", True),
    "PUT": _remember,
    "BINPUT": _remember,
    "LONG_BINPUT": _remember,
    "MEMOIZE": _remember,
    "GET": lambda machine, argument: machine.stack.append(machine.memo[argument]),
    "BINGET": lambda machine, argument: machine.stack.append(machine.memo[argument]),
    "LONG_BINGET": lambda machine, argument: machine.stack.append(machine.memo[argument]),
    "APPEND": lambda machine, _: _append(machine, [machine.pop()]),
    "APPENDS": lambda machine, _: _append(machine, machine.listed()),
    "SETITEM": lambda machine, _: _set(machine, _pair(machine)),
    "SETITEMS": lambda machine, _: _set(machine, machine.listed()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.listed())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "LIST": lambda machine, _: machine.stack.append(machine.listed()),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _call,
    "BUILD": _build,
    "BINPERSID": _persistent,
}
