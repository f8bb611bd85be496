"""Products of matrices, and small linear systems solved by elimination.

Elimination picks its pivots by selects, not by branches, so that one Program holds wherever the
largest entry of a column is.
"""

from collections.abc import Callable

import numpy as np

from gradsweep.program import arrays
from gradsweep.program.matrices import elimination
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.recorder.expression import Expression, apply, where
from gradsweep.tracing.torch.recorder.rules.batches import of_each, stacked
from gradsweep.tracing.torch.recorder.rules.formulas import conj, log

__all__ = ["RULES"]


def _bilinear(contract: tuple, batch: tuple = ((), ())) -> Callable:
    def rule(call, a, b) -> Expression:
        a, b = call(a), call(b)
        if not all((*a.shape, *b.shape)):
            return a.zeros(call.out.shape)
        return a.of(arrays.dot_general(a.builder, a.variables, b.variables, contract, batch))

    return rule


_MATRIX = _bilinear(((1,), (0,)))
_BATCHED = _bilinear(((2,), (1,)), ((0,), (0,)))
_VECTOR = _bilinear(((0,), (0,)))


def _vdot(call, a, b) -> Expression:
    a, b = conj(call(a)), call(b)
    if not a.shape[0]:
        return a.zeros()
    return a.of(arrays.dot_general(a.builder, a.variables, b.variables, ((0,), (0,))))


def _added(product: Callable) -> Callable:
    def rule(call, bias, a, b, *, beta=1, alpha=1) -> Expression:
        result = product(call, a, b)
        if alpha != 1:
            result = result * alpha
        bias = call(bias)
        return result if beta == 0 else result + (bias if beta == 1 else bias * beta)

    return rule


def _linear(call, x, weight, bias=None) -> Expression:
    x, weight = call(x), call(weight)
    contract = ((len(x.shape) - 1,), (len(weight.shape) - 1,))
    y = x.of(arrays.dot_general(x.builder, x.variables, weight.variables, contract))
    return y if bias is None else y + call(bias)


def _cross(call, a, b, *, dim=-1) -> Expression:
    a, b = call(a), call(b)
    u, v = (
        [e.of(np.take(np.broadcast_to(e.variables, call.out.shape), i, dim)) for i in range(3)]
        for e in (a, b)
    )
    entries = [u[i - 2] * v[i - 1] - u[i - 1] * v[i - 2] for i in range(3)]
    return a.of(np.stack([entry.variables for entry in entries], axis=dim))


Rows = list[list[Expression]]


def _rows(matrix: Expression) -> Rows:
    n, m = matrix.shape
    return [[matrix[i, j] for j in range(m)] for i in range(n)]


def _joined(rows: Rows) -> Expression:
    return rows[0][0].of(np.array([[int(e.variables) for e in row] for row in rows]))


def _swap(x: Rows, k: int, pivot: Expression) -> None:
    """Exchange row k with the row that the pivot, which counts from 1, names."""
    for i in range(k + 1, len(x)):
        taken = pivot.equals(i + 1)
        pairs = list(zip(x[k], x[i]))
        x[k] = [where(taken, lower, upper) for upper, lower in pairs]
        x[i] = [where(taken, upper, lower) for upper, lower in pairs]


def _factor(matrix: Expression) -> tuple[Rows, list[Expression]]:
    """Return L below the diagonal and U on and above it, with P A = L U, and the pivots."""
    n = matrix.shape[-1]
    if matrix.shape != (n, n) or not 0 < n <= elimination.LARGEST_SYSTEM:
        raise NotAProgram(f"it factors a matrix of shape {matrix.shape}")
    rows = _rows(matrix)
    integer = Expression(matrix.builder, np.array(0), "int64")
    pivots = []
    for k in range(n):
        best, pivot = abs(rows[k][k]), integer.lift(k + 1)
        for i in range(k + 1, n):
            size = abs(rows[i][k])
            larger = size > best
            best, pivot = where(larger, size, best), where(larger, i + 1, pivot)
        pivots.append(pivot)
        _swap(rows, k, pivot)
        is_zero = rows[k][k].equals(0)  # and so are all entries below it
        for i in range(k + 1, n):
            factor = where(is_zero, rows[i][k], rows[i][k] / rows[k][k])
            trailing = zip(rows[i][k + 1 :], rows[k][k + 1 :])
            rows[i] = [*rows[i][:k], factor, *(e - factor * upper for e, upper in trailing)]
    return rows, pivots


def _substitute(matrix: Rows, x: Rows, lower: bool, unit: bool) -> None:
    """Solve a triangular system in place."""
    x[:] = _rows(_solved_triangle(_joined(matrix), _joined(x), lower, unit))


def _solved_triangle(
    matrix: Expression, columns: Expression, lower: bool, unit: bool = False
) -> Expression:
    solved = elimination.substitute(
        matrix.builder, matrix.variables, columns.variables, lower, unit
    )
    return columns.of(solved)


def _solve(
    rows: Rows, pivots: list[Expression], b: Expression, left: bool = True, adjoint: bool = False
) -> Expression:
    """Return X with A X = B, or X A = B unless left; with the transpose of A if adjoint."""
    if len(b.shape) == 1:
        return _solve(rows, pivots, b.expand_dims([1]), True, adjoint)[:, 0]
    if not left:
        b = b.of(b.variables.T)
    x = _rows(b)
    if adjoint:
        rows = [[conj(entry) for entry in row] for row in rows]
    if adjoint == left:  # with A transposed: U' L' P X = B
        transposed = [list(column) for column in zip(*rows)]
        _substitute(transposed, x, lower=True, unit=False)
        _substitute(transposed, x, lower=False, unit=True)
        for k in reversed(range(len(pivots))):
            _swap(x, k, pivots[k])
    else:
        for k, pivot in enumerate(pivots):
            _swap(x, k, pivot)
        _substitute(rows, x, lower=True, unit=True)
        _substitute(rows, x, lower=False, unit=False)
    solution = _joined(x)
    return solution if left else solution.of(solution.variables.T)


def _determinant(rows: Rows, pivots: list[Expression]) -> Expression:
    product = rows[0][0].lift(1.0)
    for k, pivot in enumerate(pivots):
        entry = rows[k][k]
        product = product * where(pivot.equals(k + 1), entry, -entry)
    return product


def _identity(like: Expression) -> Expression:
    n = like.shape[0]
    entries = np.full((n, n), int(like.zeros().variables))
    np.fill_diagonal(entries, int(like.lift(1.0).variables))
    return like.of(entries)


def _unstacked(pivots: Expression) -> list[Expression]:
    return [pivots[k] for k in range(pivots.shape[0])]


def _no_error(like: Expression) -> Expression:
    return Expression(like.builder, np.array(0), "int64").lift(0)


def _solved(a: Expression, b: Expression, *, left=True, check_errors=False) -> tuple:
    rows, pivots = _factor(a)
    return _solve(rows, pivots, b, left), _joined(rows), stacked(pivots), _no_error(a)


def _solve_rule(call, a, b, **options) -> tuple:
    of_vectors = b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])
    return of_each(_solved, 2, 1 if of_vectors else 2)(call, a, b, **options)


def _solved_from_factors(
    lu: Expression, pivots: Expression, b: Expression, *, left=True, adjoint=False
) -> Expression:
    return _solve(_rows(lu), _unstacked(pivots), b, left, adjoint)


def _inverse(a: Expression, *, check_errors=False) -> tuple:
    rows, pivots = _factor(a)
    return _solve(rows, pivots, _identity(a)), _no_error(a)


def _as_torch_factors(core: Callable) -> Callable:
    # torch factors the transpose of a contiguous real matrix, and its derivative relies on that.
    def rule(call, a):
        is_transposed = a.is_contiguous() and not a.is_complex()

        def of_one(matrix: Expression) -> tuple:
            return core(matrix.of(matrix.variables.T) if is_transposed else matrix)

        return of_each(of_one, 2)(call, a)

    return rule


def _with_factors(matrix: Expression) -> tuple:
    rows, pivots = _factor(matrix)
    return _determinant(rows, pivots), _joined(rows), stacked(pivots)


def _log_determinant(matrix: Expression) -> tuple:
    rows, pivots = _factor(matrix)
    determinant = _determinant(rows, pivots)
    size = abs(rows[0][0])
    total = log(size)
    for k in range(1, len(rows)):
        total = total + log(abs(rows[k][k]))
    return apply("sign", determinant), total, _joined(rows), stacked(pivots)


def _cholesky(matrix: Expression, *, upper=False, check_errors=False) -> tuple:
    """Return L with A = L L' from the lower triangle of A; if `upper`, L' from the upper one."""
    n = matrix.shape[-1]
    if matrix.shape != (n, n) or not 0 < n <= elimination.LARGEST_TRIANGLE:
        raise NotAProgram(f"it factors a matrix of shape {matrix.shape}")
    variables = matrix.variables.T if upper else matrix.variables
    factor = matrix.of(elimination.cholesky(matrix.builder, variables)[0])
    return (factor.of(factor.variables.T) if upper else factor), _no_error(matrix)


def _cholesky_solved(b: Expression, factor: Expression, upper: bool = False) -> Expression:
    """Return X with L L' X = B, or U' U X = B."""
    if not 0 < factor.shape[-1] <= elimination.LARGEST_TRIANGLE:
        raise NotAProgram(f"it solves a system of shape {factor.shape}")
    turned = factor.of(factor.variables.T)
    first, second = (turned, factor) if upper else (factor, turned)
    return _solved_triangle(second, _solved_triangle(first, b, lower=True), lower=False)


def _cholesky_inverse(factor: Expression, upper: bool = False) -> Expression:
    return _cholesky_solved(_identity(factor), factor, upper)


def _triangular(
    matrix: Expression, columns: Expression, *, upper, left=True, unitriangular=False
) -> Expression:
    if not left:  # X A = B is A' X' = B'
        matrix, columns = matrix.of(matrix.variables.T), columns.of(columns.variables.T)
        upper = not upper
    solution = _solved_triangle(matrix, columns, lower=not upper, unit=unitriangular)
    return solution if left else solution.of(solution.variables.T)


RULES: dict[str, Callable] = {
    "mm": _MATRIX,
    "mv": _MATRIX,
    "bmm": _BATCHED,
    "dot": _VECTOR,
    "vdot": _vdot,
    "addmm": _added(_MATRIX),
    "addmv": _added(_MATRIX),
    "baddbmm": _added(_BATCHED),
    "linear": _linear,
    "linalg_cross": _cross,
    "_linalg_solve_ex": _solve_rule,
    "linalg_lu_solve": of_each(_solved_from_factors, 2, 1, 2),
    "linalg_inv_ex": of_each(_inverse, 2),
    "_linalg_det": _as_torch_factors(_with_factors),
    "_linalg_slogdet": _as_torch_factors(_log_determinant),
    "linalg_cholesky_ex": of_each(_cholesky, 2),
    "cholesky_solve": of_each(_cholesky_solved, 2, 2),
    "cholesky_inverse": of_each(_cholesky_inverse, 2),
    "linalg_solve_triangular": of_each(_triangular, 2, 2),
}
