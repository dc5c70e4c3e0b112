"""A register-tiled product of small matrices that stay in cache, for use inside numba kernels.

C[m, n] = sum_k A(m, k) B[k, n], float32. B and C have contiguous rows whose length is a multiple of
the vector length; A(m, k) lies at a_start + m * a_row + k * a_column, so A may be transposed for
free. One tile keeps rows x vectors accumulators in registers and reads each A value once per tile,
as a broadcast. That is the whole arithmetic of a small MLP: its forward pass, the gradient of its
inputs and (with A transposed) the gradient of its weights.

Symbols: M, N, K sizes of the product; MODE what happens to a finished tile.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from polyfield.backends.simd import LANES, prefetch

WRITE, ADD, RELU, MASK = 0, 1, 2, 3
"""MODE.

C = bias + AB;  C += AB;  C = max(bias + AB, 0);  C = bias + AB where the mask is > 0, else 0.
"""

# Accumulators fill the register file but for one row of B and a broadcast: 32 registers with
# AVX-512 (and NEON),
# 16 with AVX2.
ROWS_OF_4, ROWS_OF_2, ROWS_OF_1 = (6, 12, 12) if LANES != 8 else (2, 5, 8)
# What is left is done in tiles with just enough accumulators to keep two FMA units busy.
REST_OF_4, REST_OF_2, REST_OF_1 = 2, 4, 4


@intrinsic(prefer_literal=True)
def _tile(
    typingctx: Any,
    a: Any,
    a_start: Any,
    a_row: Any,
    a_column: Any,
    b: Any,
    b_start: Any,
    b_row: Any,
    c: Any,
    c_start: Any,
    c_row: Any,
    depth: Any,
    bias: Any,
    bias_start: Any,
    mask: Any,
    distance: Any,
    mode: Any,
    ahead: Any,
    rows: Any,
    vectors: Any,
) -> Any:
    """One rows x (vectors * LANES) tile of C; `mask` has the layout of C.

    With `ahead`, what lies `distance` elements behind each value of B is asked for as well.
    """
    index = types.intp
    signature = types.void(
        a, index, index, index, b, index, index, c, index, index, index, bias, index, mask, index,
        mode, ahead, rows, vectors,
    )  # fmt: skip
    n_rows, n_vectors, how = rows.literal_value, vectors.literal_value, mode.literal_value

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.FloatType(), LANES)
        word = context.get_value_type(index)

        def data(position: int) -> Any:
            return context.make_array(sig.args[position])(context, builder, args[position]).data

        a_data, b_data, c_data, bias_data, mask_data = (data(i) for i in (0, 4, 7, 11, 13))
        a_at, a_step, a_next, b_at, b_step, c_at, c_step, length, bias_at, far = (
            args[i] for i in (1, 2, 3, 5, 6, 8, 9, 10, 12, 14)
        )

        def address(pointer: Any, offset: Any) -> Any:
            return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

        def spread(scalar: Any) -> Any:
            nothing = ir.Constant(vector, ir.Undefined)
            one = builder.insert_element(nothing, scalar, ir.IntType(32)(0))
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return builder.shuffle_vector(one, nothing, lanes)

        multiply_add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f32"
        )
        zero = ir.Constant(vector, [0.0] * LANES)

        def column(j: int) -> Any:
            return ir.Constant(word, j * LANES)

        c_rows = [
            builder.add(c_at, builder.mul(c_step, ir.Constant(word, i))) for i in range(n_rows)
        ]
        start: list[Any] = []
        for i in range(n_rows):
            for j in range(n_vectors):
                if how == ADD:
                    place = address(c_data, builder.add(c_rows[i], column(j)))
                else:
                    place = address(bias_data, builder.add(bias_at, column(j)))
                start.append(builder.load(place, align=4))
        a_rows = [
            builder.gep(a_data, [builder.add(a_at, builder.mul(a_step, ir.Constant(word, i)))])
            for i in range(n_rows)
        ]

        before = builder.basic_block
        body = builder.append_basic_block("tile.body")
        after = builder.append_basic_block("tile.after")
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(word)
        k.add_incoming(ir.Constant(word, 0), before)
        sums = []
        for value in start:
            phi = builder.phi(vector)
            phi.add_incoming(value, before)
            sums.append(phi)
        b_now = builder.add(b_at, builder.mul(k, b_step))
        b_values = [
            builder.load(address(b_data, builder.add(b_now, column(j))), align=4)
            for j in range(n_vectors)
        ]
        if ahead.literal_value:
            b_later = builder.add(b_now, far)
            for j in range(n_vectors):
                prefetch(builder, builder.gep(b_data, [builder.add(b_later, column(j))]))
        a_now = builder.mul(k, a_next)
        results = []
        for i in range(n_rows):
            a_value = spread(builder.load(builder.gep(a_rows[i], [a_now])))
            for j in range(n_vectors):
                results.append(
                    builder.call(multiply_add, [a_value, b_values[j], sums[i * n_vectors + j]])
                )
        for phi, value in zip(sums, results, strict=True):
            phi.add_incoming(value, body)
        following = builder.add(k, ir.Constant(word, 1))
        k.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", following, length), body, after)

        builder.position_at_end(after)
        for i in range(n_rows):
            for j in range(n_vectors):
                value = results[i * n_vectors + j]
                place = builder.add(c_rows[i], column(j))
                if how == RELU:
                    # In this order a NaN stays one, and it is still a single instruction.
                    value = builder.select(builder.fcmp_ordered(">", zero, value), zero, value)
                elif how == MASK:
                    gate = builder.load(address(mask_data, place), align=4)
                    value = builder.select(builder.fcmp_ordered(">", gate, zero), value, zero)
                builder.store(value, address(c_data, place), align=4)
        return context.get_dummy_value()

    return signature, codegen


def _product(mode: int, ahead: int = 0) -> Any:
    """The blocked product with one MODE; with `ahead` it asks for B's successor.

    Tiles of 4, 2 and 1 vectors; for what is left of the rows smaller tiles, then single rows.
    """

    def multiply(a, a_start, a_row, a_column, b, b_start, b_row, c, c_start, c_row,
                 m, n, k, bias, bias_start, mask, distance=0):  # fmt: skip
        j = 0
        while j + 4 * LANES <= n:
            i = 0
            while i + ROWS_OF_4 <= m:
                _tile(a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                      c, c_start + i * c_row + j, c_row, k, bias, bias_start + j, mask,
                      distance, mode, ahead, ROWS_OF_4, 4)  # fmt: skip
                i += ROWS_OF_4
            while i + REST_OF_4 <= m:
                _tile(a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                      c, c_start + i * c_row + j, c_row, k, bias, bias_start + j, mask,
                      distance, mode, ahead, REST_OF_4, 4)  # fmt: skip
                i += REST_OF_4
            while i < m:
                _tile(a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                      c, c_start + i * c_row + j, c_row, k, bias, bias_start + j, mask,
                      distance, mode, ahead, 1, 4)  # fmt: skip
                i += 1
            j += 4 * LANES
        while j + 2 * LANES <= n:
            i = 0
            while i + ROWS_OF_2 <= m:
                _tile(a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                      c, c_start + i * c_row + j, c_row, k, bias, bias_start + j, mask,
                      distance, mode, ahead, ROWS_OF_2, 2)  # fmt: skip
                i += ROWS_OF_2
            while i + REST_OF_2 <= m:
                _tile(a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                      c, c_start + i * c_row + j, c_row, k, bias, bias_start + j, mask,
                      distance, mode, ahead, REST_OF_2, 2)  # fmt: skip
                i += REST_OF_2
            while i < m:
                _tile(a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                      c, c_start + i * c_row + j, c_row, k, bias, bias_start + j, mask,
                      distance, mode, ahead, 1, 2)  # fmt: skip
                i += 1
            j += 2 * LANES
        while j < n:
            i = 0
            while i + ROWS_OF_1 <= m:
                _tile(a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                      c, c_start + i * c_row + j, c_row, k, bias, bias_start + j, mask,
                      distance, mode, ahead, ROWS_OF_1, 1)  # fmt: skip
                i += ROWS_OF_1
            while i + REST_OF_1 <= m:
                _tile(a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                      c, c_start + i * c_row + j, c_row, k, bias, bias_start + j, mask,
                      distance, mode, ahead, REST_OF_1, 1)  # fmt: skip
                i += REST_OF_1
            while i < m:
                _tile(a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                      c, c_start + i * c_row + j, c_row, k, bias, bias_start + j, mask,
                      distance, mode, ahead, 1, 1)  # fmt: skip
                i += 1
            j += LANES

    multiply.__qualname__ = f"product_{mode}_{ahead}"
    return njit(inline="never", nogil=True, boundscheck=False)(multiply)


product = _product(WRITE)
product_add = _product(ADD)
product_relu = _product(RELU)
product_mask = _product(MASK)
product_then, product_add_then, product_relu_then = (_product(m, 1) for m in (WRITE, ADD, RELU))
"""(a, a_start, a_row, a_column, b, b_start, b_row, c, c_start, c_row, m, n, k, bias, bias_start,
mask): C from A and B.

All arrays are one-dimensional contiguous float32; starts and strides count elements; n is a
multiple of LANES.
`bias` [n from bias_start] is unused by `product_add`; `mask` is read at C's offsets by
`product_mask` only. Those with `then` take a `distance` more: a matrix so many elements behind B
is the next to be used, and its cache lines are asked for while B's are.
"""
