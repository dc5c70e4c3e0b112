"""Short vectors for numba kernels.

Numba leaves vectorisation to LLVM, which gives up on gathers, on loops around them and on register
tiles. This module adds a numba type for LLVM's own vectors, so that a kernel can say what it wants:
`load`, `store`, arithmetic with operators, `fma`, `floor`, `clamp`. A vector lives in registers
only; memory is always a plain contiguous array, addressed by an element offset. A number of lanes
must be known when a kernel is compiled: it is a constant, or a tuple of that length (so that one
kernel can be compiled for several).

Symbols: LANES is the number of 32-bit lanes of the widest vector of this machine (16 with AVX-512,
8 with AVX2, else 4). Source: LLVM language reference (vector types, `llvm.fma`, `llvm.floor`).
"""

from __future__ import annotations

import operator
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model


def _machine_lanes() -> int:
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx2") else 4


LANES = _machine_lanes()
"""32-bit lanes of the machine's widest vector register."""


class Vector(types.Type):
    """A register of `lanes` values of the numba scalar type `dtype` (float32, int32 or uint32)."""

    def __init__(self, dtype: Any, lanes: int) -> None:
        self.dtype = dtype
        self.lanes = lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, _ir_vector(fe_type))


def _ir_vector(vector: Vector) -> ir.VectorType:
    scalar = ir.FloatType() if vector.dtype == types.float32 else ir.IntType(32)
    return ir.VectorType(scalar, vector.lanes)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Address of element `offset` of a contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def prefetch(builder: Any, place: Any) -> None:
    """Ask for the cache line of an address that will be read soon; any address will do."""
    place = builder.bitcast(place, ir.IntType(8).as_pointer())
    number = ir.IntType(32)
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [place.type, number, number, number]),
        "llvm.prefetch.p0i8" if str(place.type) == "i8*" else "llvm.prefetch.p0",
    )
    # For reading, into all levels of cache, data.
    builder.call(function, [place, number(0), number(2), number(1)])


def _spread(builder: Any, scalar: Any, vector_type: ir.VectorType) -> Any:
    """The scalar in every lane."""
    one = builder.insert_element(ir.Constant(vector_type, ir.Undefined), scalar, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vector_type.count), [0] * vector_type.count)
    return builder.shuffle_vector(one, ir.Constant(vector_type, ir.Undefined), mask)


def _count(lanes: Any) -> int:
    """A compile-time number of lanes: an integer literal, or the length of a tuple."""
    return lanes.literal_value if isinstance(lanes, types.IntegerLiteral) else len(lanes)


@intrinsic(prefer_literal=True)
def load(typingctx: Any, array: Any, offset: Any, lanes: Any) -> Any:
    """`lanes` consecutive elements of a contiguous array, from element `offset`."""
    vector = Vector(array.dtype, _count(lanes))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, args[0], args[1])
        return builder.load(builder.bitcast(pointer, _ir_vector(vector).as_pointer()), align=4)

    return vector(array, types.intp, lanes), codegen


@intrinsic
def gather(typingctx: Any, array: Any, index: Any) -> Any:
    """Elements of a contiguous float32 array at uint32 indices."""
    vector = Vector(array.dtype, index.lanes)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = _ir_vector(vector)
        data = context.make_array(array)(context, builder, args[0]).data
        result = ir.Constant(kind, ir.Undefined)
        for lane in range(index.lanes):
            position = ir.IntType(32)(lane)
            element = builder.zext(builder.extract_element(args[1], position), ir.IntType(64))
            value = builder.load(builder.gep(data, [element]))
            result = builder.insert_element(result, value, position)
        return result

    return vector(array, index), codegen


@intrinsic
def fetch(typingctx: Any, array: Any, offset: Any) -> Any:
    """Ask for element `offset` of a contiguous array, which will be read soon."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        prefetch(builder, _pointer(context, builder, array, args[0], args[1]))
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def store(typingctx: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write a vector to consecutive elements of a contiguous array, from element `offset`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, args[0], args[1])
        builder.store(args[2], builder.bitcast(pointer, _ir_vector(value).as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic(prefer_literal=True)
def splat(typingctx: Any, scalar: Any, lanes: Any) -> Any:
    """The same scalar in every lane; the scalar must be a float32, int32 or uint32."""
    scalar = types.unliteral(scalar)
    vector = Vector(scalar, _count(lanes))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread(builder, args[0], _ir_vector(vector))

    return vector(scalar, lanes), codegen


def _llvm_function(builder: Any, name: str, vector: Vector, arguments: Any) -> Any:
    kind = _ir_vector(vector)
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(kind, [kind] * len(arguments)),
        f"llvm.{name}.v{vector.lanes}f32",
    )
    return builder.call(function, arguments)


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """A * b + c, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _llvm_function(builder, "fma", a, args)

    return a(a, a, a), codegen


@intrinsic
def floor(typingctx: Any, a: Any) -> Any:
    """Largest whole number not above a, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _llvm_function(builder, "floor", a, args)

    return a(a), codegen


@intrinsic
def sqrt(typingctx: Any, a: Any) -> Any:
    """Square root, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _llvm_function(builder, "sqrt", a, args)

    return a(a), codegen


@intrinsic
def to_int(typingctx: Any, a: Any) -> Any:
    """Truncate float lanes to uint32 (values below 2^31)."""
    result = Vector(types.uint32, a.lanes)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fptosi(args[0], _ir_vector(result))

    return result(a), codegen


@intrinsic
def power_of_two(typingctx: Any, a: Any) -> Any:
    """2^a for whole float lanes from -126 to 128; 2^128 is infinite."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(ir.IntType(32), a.lanes)
        bias, bits = (ir.Constant(kind, [n] * a.lanes) for n in (127, 23))
        exponent = builder.add(builder.fptosi(args[0], kind), bias)
        return builder.bitcast(builder.shl(exponent, bits), _ir_vector(a))

    return a(a), codegen


@intrinsic
def rectified(typingctx: Any, a: Any) -> Any:
    """Max(a, 0), lane by lane; a NaN stays one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(_ir_vector(a), [0.0] * a.lanes)
        return builder.select(builder.fcmp_ordered(">", zero, args[0]), zero, args[0])

    return a(a), codegen


@intrinsic
def where_nonzero(typingctx: Any, test: Any, yes: Any, no: Any) -> Any:
    """`yes` in the lanes where test is not 0 (NaN counts as not 0), else `no`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(_ir_vector(test), [0.0] * test.lanes)
        return builder.select(builder.fcmp_unordered("!=", args[0], zero), args[1], args[2])

    return yes(test, yes, yes), codegen


@intrinsic
def any_nonzero(typingctx: Any, a: Any) -> Any:
    """True if some lane is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(_ir_vector(a), [0.0] * a.lanes)
        bits = builder.bitcast(builder.fcmp_unordered("!=", args[0], zero), ir.IntType(a.lanes))
        return builder.icmp_unsigned("!=", bits, ir.IntType(a.lanes)(0))

    return types.boolean(a), codegen


@intrinsic
def total(typingctx: Any, a: Any) -> Any:
    """The sum of all lanes, in the order that suits the machine."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        scalar = ir.FloatType()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(scalar, [scalar, _ir_vector(a)]),
            f"llvm.vector.reduce.fadd.v{a.lanes}f32",
        )
        return builder.call(function, [scalar(0.0), args[0]], fastmath=("reassoc",))

    return a.dtype(a), codegen


@intrinsic
def clamp(typingctx: Any, a: Any, low: Any, high: Any) -> Any:
    """a, but low where a < low and high where a > high; NaN stays NaN."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, lower, upper = args
        value = builder.select(builder.fcmp_ordered("<", value, lower), lower, value)
        return builder.select(builder.fcmp_ordered(">", value, upper), upper, value)

    return a(a, a, a), codegen


@intrinsic
def at_most(typingctx: Any, a: Any, limit: Any) -> Any:
    """The smaller of a and limit, unsigned."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.icmp_unsigned("<", args[0], args[1]), args[0], args[1])

    return a(a, a), codegen


@intrinsic
def wrap_once(typingctx: Any, index: Any, size: Any) -> Any:
    """`index` mod `size` for unsigned index < 2 * size: the smaller of index and index - size."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        less = builder.sub(args[0], args[1])
        return builder.select(builder.icmp_unsigned("<", args[0], less), args[0], less)

    return index(index, index), codegen


def _operator(function: Any, on_float: str, on_int: str) -> None:
    @intrinsic
    def emit(typingctx: Any, a: Any, b: Any) -> Any:
        method = on_float if a.dtype == types.float32 else on_int

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, method)(*args)

        return a(a, a), codegen

    @overload(function)
    def resolve(a: Any, b: Any) -> Any:
        def lanewise(a: Any, b: Any) -> Any:
            return emit(a, b)

        return lanewise if isinstance(a, Vector) and a == b else None


for _function, _on_float, _on_int in (
    (operator.add, "fadd", "add"),
    (operator.sub, "fsub", "sub"),
    (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", "udiv"),
    (operator.and_, "", "and_"),
    (operator.xor, "", "xor"),
):
    _operator(_function, _on_float, _on_int)
