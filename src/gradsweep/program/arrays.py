"""Array operations written out as scalar equations.

An array of a Program under construction is a NumPy array of variable numbers, so everything that
only moves elements (reshape, transpose, slice, pad, gather with known indices) is NumPy's own
indexing on those numbers. The operations that compute elements are here, for every framework.

Knows nothing of frameworks.
"""

from collections.abc import Sequence
from functools import reduce as fold

import numpy as np

from gradsweep.program.builder import Builder
from gradsweep.program.equations import PART_DTYPES
from gradsweep.support.errors import NotAProgram

__all__ = [
    "MOST_COMPUTED",
    "cast",
    "count_products",
    "cumulative",
    "dot_general",
    "elementwise",
    "is_fixed",
    "joined",
    "lookup",
    "matmul",
    "parted",
    "reduce",
    "zeros",
]

Variables = np.ndarray  # of int64

# Entries that are computed at each point are compared one by one.
MOST_COMPUTED = 2**10

# A larger matrix product takes long to write out, and a framework's own is better.
_LARGEST_PRODUCT = 2**15

# Up to so many multiplications, those by a constant zero are looked for.
_MOST_LOOKED_AT = 2**18


def elementwise(builder: Builder, name: str, *operands: Variables) -> Variables:
    """Apply a primitive to every element of operands that broadcast against each other."""
    if all(operand.ndim == 0 for operand in operands):
        return np.array(builder.emit(name, *(int(operand) for operand in operands)))
    broadcast = np.broadcast_arrays(*operands)
    shape = broadcast[0].shape
    emit = builder.emit
    variables = [emit(name, *row) for row in zip(*(a.ravel().tolist() for a in broadcast))]
    return np.array(variables, dtype=np.int64).reshape(shape)


def cast(builder: Builder, operand: Variables, dtype: str) -> Variables:
    variables = [builder.cast(v, dtype) for v in operand.ravel().tolist()]
    return np.array(variables, dtype=np.int64).reshape(operand.shape)


def zeros(builder: Builder, shape: Sequence[int], dtype: str) -> Variables:
    """Return an array of structural zeros."""
    return np.full(tuple(shape), builder.structural_zero(dtype), dtype=np.int64)


def parted(builder: Builder, operand: Variables, dtype: str) -> Variables:
    """Return the real variables of an array: of complex numbers both parts, along a last axis."""
    if dtype not in PART_DTYPES:
        return operand
    parts = [builder.parts(variable) for variable in operand.ravel().tolist()]
    return np.array(parts, dtype=np.int64).reshape(*operand.shape, 2)


def joined(builder: Builder, parts: Variables, dtype: str) -> Variables:
    """Return the array of a dtype that `parted` took apart."""
    if dtype not in PART_DTYPES:
        return parts
    pairs = [builder.pair(*pair) for pair in parts.reshape(-1, 2).tolist()]
    return np.array(pairs, dtype=np.int64).reshape(parts.shape[:-1])


def reduce(builder: Builder, name: str, operand: Variables, axes: Sequence[int]) -> Variables:
    """Reduce over `axes` with an associative primitive; no axis may be empty.

    The terms are paired as a balanced tree, which keeps the rounding error at O(log n) ulp
    (Higham, Accuracy and Stability of Numerical Algorithms, 4.2).
    """
    axes = tuple(axis % operand.ndim for axis in axes)
    if not axes:
        return operand
    kept = [axis for axis in range(operand.ndim) if axis not in axes]
    shape = tuple(operand.shape[axis] for axis in kept)
    rows = np.transpose(operand, kept + list(axes)).reshape(*shape, -1)
    if rows.shape[-1] == 0:
        raise NotAProgram(f"{name} is reduced over an empty axis")
    result = np.empty(shape, dtype=np.int64)
    for index in np.ndindex(shape):
        result[index] = _tree(builder, name, rows[index].tolist())
    return result


def _tree(builder: Builder, name: str, terms: list[int]) -> int:
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return builder.emit(
        name, _tree(builder, name, terms[:half]), _tree(builder, name, terms[half:])
    )


def cumulative(
    builder: Builder, name: str, operand: Variables, axis: int, reverse: bool = False
) -> Variables:
    """Reduce every prefix along `axis`, or every suffix when `reverse`."""
    result = np.array(operand)
    moved = np.moveaxis(result, axis, 0)
    if reverse:
        moved = moved[::-1]
    for index in range(1, len(moved)):
        moved[index] = elementwise(builder, name, moved[index - 1], moved[index])
    return result


def lookup(builder: Builder, places: Variables, table: Variables) -> Variables:
    """Return the rows of a table at places, the nearest beyond its ends.

    Args:
        table: its rows lie along the first axis.

    Returns:
        Variables in the shape of `places`, and then that of a row.
    """
    row = table.shape[1:]
    if len(table) == 1:
        return np.broadcast_to(table[0], (*places.shape, *row))
    columns = table.reshape(len(table), _size(row)).T.tolist()
    found = [builder.emit("lookup", p, *c) for p in places.ravel().tolist() for c in columns]
    return np.array(found, dtype=np.int64).reshape((*places.shape, *row))


def is_fixed(builder: Builder, table: Variables) -> bool:
    """Tell whether no entry of a table is computed: each is a constant or an argument's element."""
    return all(builder.equation(variable) is None for variable in table.ravel().tolist())


def matmul(builder: Builder, a: Variables, b: Variables) -> Variables:
    """Multiply matrices (m, k) and (k, n). A constant zero contributes no term."""
    (m, k), (_, n) = a.shape, b.shape
    _refuse_large(builder, a[None], b[None])
    result = np.empty((m, n), dtype=np.int64)
    if result.size == 0:
        return result
    if k == 0:
        raise NotAProgram("a matrix product contracts an empty axis")
    zero = builder.structural_zero(builder.dtype(int(a.flat[0])))
    for i, row in enumerate(a.tolist()):
        for j, column in enumerate(b.T.tolist()):
            terms = [builder.product(x, y) for x, y in zip(row, column)]
            terms = [term for term in terms if not builder.is_structural_zero(term)]
            result[i, j] = _tree(builder, "add", terms) if terms else zero
    return result


def dot_general(
    builder: Builder,
    a: Variables,
    b: Variables,
    contract: tuple[Sequence[int], Sequence[int]],
    batch: tuple[Sequence[int], Sequence[int]] = ((), ()),
) -> Variables:
    """Contract axes of a with axes of b, batched over others, with JAX's order of dims.

    Result dims: batch, then the free dims of a, then those of b.
    """
    a_free = [i for i in range(a.ndim) if i not in (*contract[0], *batch[0])]
    b_free = [i for i in range(b.ndim) if i not in (*contract[1], *batch[1])]
    batch_shape = tuple(a.shape[i] for i in batch[0])
    a_shape, b_shape = (tuple(a.shape[i] for i in a_free), tuple(b.shape[i] for i in b_free))
    n_terms = _size(a.shape[i] for i in contract[0])
    n_batch, n_rows, n_columns = _size(batch_shape), _size(a_shape), _size(b_shape)
    rows = a.transpose([*batch[0], *a_free, *contract[0]]).reshape(n_batch, n_rows, n_terms)
    columns = b.transpose([*batch[1], *contract[1], *b_free]).reshape(n_batch, n_terms, n_columns)
    _refuse_large(builder, rows, columns)
    result = np.empty((n_batch, n_rows, n_columns), dtype=np.int64)
    for index in range(n_batch):
        result[index] = matmul(builder, rows[index], columns[index])
    return result.reshape((*batch_shape, *a_shape, *b_shape))


def _size(shape) -> int:
    return fold(int.__mul__, map(int, shape), 1)


def count_products(builder: Builder, a: Variables, b: Variables) -> int:
    """Count the products of entries that are no constant zero in a product of two matrices, or of
    two batches of them."""
    left, right = (
        np.array([not builder.is_zero(v) for v in x.ravel().tolist()]).reshape(x.shape)
        for x in (a, b)
    )
    return int(np.sum(left.sum(axis=-2) * right.sum(axis=-1)))


def _refuse_large(builder: Builder, a: Variables, b: Variables) -> None:
    n_products = b.size * a.shape[1]
    if _LARGEST_PRODUCT < n_products <= _MOST_LOOKED_AT:
        n_products = count_products(builder, a, b)
    if n_products > _LARGEST_PRODUCT:
        raise NotAProgram(f"it contains a matrix product of {n_products:,} multiplications")
