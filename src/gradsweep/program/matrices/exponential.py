"""The exponential of a matrix: halved until it is small, then squared as often.

How often is decided at each point, by Loops. Nothing is divided or pivoted, so the zeros of a block
triangle, by which derivatives are taken, stay what they are.
Knows nothing of frameworks.

Reference: Higham (2008), Functions of Matrices, ch. 10.
"""

import math

import numpy as np

from gradsweep.program.arrays import Variables, elementwise, matmul, reduce
from gradsweep.program.builder import Builder
from gradsweep.program.rolled_loops import Operands, Step, find_body

__all__ = ["MOST_PRODUCTS", "exponential"]

# The most products of numbers in a square of the matrix, of which the exponential takes seven and
# more. A second derivative takes a matrix of eight times the order, most of whose blocks are zeros.
MOST_PRODUCTS = 2**12

# Taylor's series ends at the 20th power, in five groups of four terms and one more. Where the norm
# is at most 1, what follows is less than 1 / 21! + ... < 2.1e-20.
_GROUP, _N_GROUPS = 4, 5


def exponential(b: Builder, matrix: Variables) -> Variables:
    """Return exp(A) of a square matrix A."""
    sizes = elementwise(b, "abs", matrix)
    norm = int(reduce(b, "max", reduce(b, "add", sizes, [0]), [0]))
    scale, n_halvings = _halvings(b, norm)
    small = elementwise(b, "mul", matrix, np.array(scale))
    return _squared(b, _series(b, small), n_halvings)


def _halvings(b: Builder, norm: int) -> tuple[int, int]:
    """Return the power of 1/2 that makes a norm at most 1, and its exponent."""
    dtype = b.dtype(norm)
    if b.is_constant(norm):
        size = b.value(norm)
        n_halvings = math.ceil(math.log2(size)) if 1 < size < math.inf else 0
        return b.constant(0.5**n_halvings, dtype), b.constant(n_halvings, "int64")
    initial = [b.constant(1.0, dtype), norm, b.constant(0, "int64")]

    def write(inner: Builder, carries: list[int], given: list[int], row: list[int]) -> Step:
        scale, size, count = carries
        half = inner.constant(0.5, dtype)
        is_large = inner.emit("gt", size, inner.constant(1.0, dtype))
        going = inner.emit("and", is_large, inner.emit("isfinite", size))
        halved = [inner.emit("mul", number, half) for number in (scale, size)]
        return Step([*halved, inner.emit("add", count, inner.constant(1, "int64"))], [], going)

    carries, _ = find_body(b, write, Operands(initial, [], []), None, (0, 2)).roll(b)
    return carries[0], carries[2]


def _series(b: Builder, x: Variables) -> Variables:
    """Return the sum of X**k / k!, k up to 20, by powers of X**4 (Paterson and Stockmeyer)."""
    dtype = b.dtype(int(x[0, 0]))
    one, nothing = b.constant(1.0, dtype), b.structural_zero(dtype)
    powers = [np.where(np.eye(len(x), dtype=bool), one, nothing), x]
    while len(powers) <= _GROUP:
        powers.append(matmul(b, powers[-1], x))
    *low, highest = powers

    def term(power: Variables, k: int) -> Variables:
        factor = np.array(b.constant(1.0 / math.factorial(k), dtype))
        return elementwise(b, "mul", power, factor)

    total = term(highest, _GROUP * _N_GROUPS)
    for group in reversed(range(_N_GROUPS)):
        for k, power in reversed([*enumerate(low)]):
            total = elementwise(b, "add", total, term(power, _GROUP * group + k))
        if group:
            total = matmul(b, highest, total)
    return total


def _squared(b: Builder, matrix: Variables, n_times: int) -> Variables:
    """Square a matrix some number of times."""
    n = len(matrix)
    if b.is_constant(n_times):
        for _ in range(b.value(n_times)):
            matrix = matmul(b, matrix, matrix)
        return matrix

    def write(inner: Builder, carries: list[int], given: list[int], row: list[int]) -> Step:
        count, *entries = carries
        x = np.array(entries, dtype=np.int64).reshape(n, n)
        going = inner.emit("gt", count, inner.constant(0, "int64"))
        following = inner.emit("sub", count, inner.constant(1, "int64"))
        return Step([following, *matmul(inner, x, x).ravel().tolist()], [], going)

    initial = [n_times, *matrix.ravel().tolist()]
    body = find_body(b, write, Operands(initial, [], []), None, range(1, n * n + 1))
    carries, _ = body.roll(b)
    return np.array([carries[k] for k in range(1, n * n + 1)], dtype=np.int64).reshape(n, n)
