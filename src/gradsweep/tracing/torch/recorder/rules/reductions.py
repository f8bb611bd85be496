"""Operations along an axis: sums, extrema, norms, running sums, sorting."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradsweep.program import arrays
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.recorder.expression import Expression, apply, where
from gradsweep.tracing.torch.recorder.rules.formulas import exp, is_infinite, is_nan, log, sqrt

__all__ = ["RULES", "norm", "total"]

# Sorting n elements takes n**2 comparisons, each a handful of equations.
_LARGEST_SORTED_AXIS = 64

Dims = int | Sequence[int] | None


def _axes(x: Expression, dims: Dims) -> tuple[int, ...]:
    n_dims = len(x.shape)
    if dims is None or (isinstance(dims, list | tuple) and not dims):
        return tuple(range(n_dims))
    dims = (dims,) if isinstance(dims, int) else dims
    return tuple(dim % n_dims for dim in dims) if n_dims else ()


def _n_terms(x: Expression, axes: Sequence[int]) -> int:
    return math.prod(x.shape[axis] for axis in axes)


def _reduced(x: Expression, primitive: str, dims: Dims, keepdim: bool, empty: Any) -> Expression:
    """Reduce axes with a primitive; `empty` is the result where there is no term."""
    axes = _axes(x, dims)
    if _n_terms(x, axes) == 0:
        shape = [n for axis, n in enumerate(x.shape) if axis not in axes]
        result = x.lift(empty)
        result = result.of(np.full(shape, int(result.variables), dtype=np.int64))
    else:
        result = x.reduce(primitive, axes)
    return result.expand_dims(sorted(axes)) if keepdim else result


def total(x: Expression, dims: Dims = None, keepdim: bool = False) -> Expression:
    return _reduced(x, "add", dims, keepdim, 0)


def largest(x: Expression, dims: Dims = None, keepdim: bool = False) -> Expression:
    return _reduced(x, "max", dims, keepdim, -math.inf)


def _sum(call, x, dims=None, keepdim=False, *, dtype=None) -> Expression:
    return total(call(x, call.dtype), dims, keepdim)


def _mean(call, x, dims=None, keepdim=False, *, dtype=None) -> Expression:
    x = call(x, call.dtype)
    return total(x, dims, keepdim) / _count(_n_terms(x, _axes(x, dims)))


def _count(n: int) -> float:
    return float(n) if n else math.nan


def _prod(call, x, dim=None, keepdim=False, *, dtype=None) -> Expression:
    return _reduced(call(x, call.dtype), "mul", dim, keepdim, 1)


def _extremum(primitive: str) -> Callable:
    def rule(call, x, dims=(), keepdim=False) -> Expression:
        return _reduced(call(x), primitive, dims, keepdim, math.nan)

    return rule


def _winner(x: Expression, dim: int, beats: str) -> tuple[Expression, Expression]:
    """Return the extreme entry along an axis and its index: the first of equals, or a NaN."""
    rows = np.moveaxis(x.variables, dim, 0)
    best = x.of(np.asarray(rows[0]))
    place = Expression(x.builder, np.full(rows.shape[1:], x.builder.constant(0, "int64")), "int64")
    for position in range(1, len(rows)):
        entry = x.of(np.asarray(rows[position]))
        wins = apply(beats, entry, best)
        if x.is_floating:
            wins = (wins | is_nan(entry)) & ~is_nan(best)
        best = where(wins, entry, best)
        place = where(wins, position, place)
    return best, place


def _extremum_along(beats: str) -> Callable:
    def rule(call, x, dim, keepdim=False) -> tuple[Expression, Expression]:
        x = call(x)
        if not x.shape:
            return x, call(0)
        best, place = _winner(x, dim, beats)
        if keepdim:
            best, place = best.expand_dims([dim]), place.expand_dims([dim])
        return best, place

    return rule


def _place_of_extremum(beats: str) -> Callable:
    def rule(call, x, dim=None, keepdim=False) -> Expression:
        x = call(x)
        if not x.shape:
            return call(0)
        flat = x.of(x.variables.reshape(-1)) if dim is None else x
        _, place = _winner(flat, dim or 0, beats)
        if not keepdim:
            return place
        return place.expand_dims(range(len(x.shape)) if dim is None else [dim])

    return rule


def _any(call, x, dims=None, keepdim=False) -> Expression:
    return _reduced(call(x).cast("bool"), "or", dims, keepdim, False)


def _all(call, x, dims=None, keepdim=False) -> Expression:
    return _reduced(call(x).cast("bool"), "and", dims, keepdim, True)


def _moments(x: Expression, dims: Dims, correction: float, keepdim: bool) -> tuple:
    axes = _axes(x, dims)
    n = _n_terms(x, axes)
    mean = total(x, axes, keepdim=True) / _count(n)
    deviation = x - mean
    divisor = max(n - correction, 0.0)
    sizes = abs(deviation) if deviation.is_complex else deviation
    squares = total(sizes * sizes, axes, keepdim)
    # 0 / 0 is NaN, as is torch's variance of one number.
    return squares / squares.lift(float(divisor)), mean


def _var(call, x, dims=None, correction=None, keepdim=False, **options) -> Expression:
    dims, correction, keepdim = _moment_options(dims, correction, keepdim, options)
    return _moments(call(x), dims, correction, keepdim)[0]


def _std(call, *args, **kwargs) -> Expression:
    return sqrt(_var(call, *args, **kwargs))


def _var_mean(call, x, dims=None, *, correction=None, keepdim=False) -> tuple:
    variance, mean = _moments(call(x), dims, 1.0 if correction is None else correction, True)
    if keepdim:
        return variance, mean
    axes = _axes(call(x), dims)
    return tuple(e.of(np.squeeze(e.variables, axes)) for e in (variance, mean))


def _moment_options(dims, correction, keepdim, options) -> tuple:
    if isinstance(dims, bool):  # the overload (self, unbiased)
        dims, correction = None, float(dims)
    unbiased = options.get("unbiased", correction)
    if isinstance(unbiased, bool):
        correction = float(unbiased)
    return dims, 1.0 if correction is None else float(correction), keepdim


def _logsumexp(call, x, dims, keepdim=False) -> Expression:
    x = call(x, call.dtype)
    if not x.shape:
        return x
    peak = largest(x, dims, keepdim=True)
    peak = where(is_infinite(peak), 0.0, peak)
    spread = log(total(exp(x - peak), dims, keepdim))
    if not keepdim:
        peak = peak.of(np.squeeze(peak.variables, _axes(x, dims)))
    return spread + peak


def _softmax(call, x, dim, half_to_float) -> Expression:
    x = call(x)
    if not x.shape:
        return x.lift(1.0)
    scaled = exp(x - largest(x, dim, keepdim=True))
    return scaled / total(scaled, dim, keepdim=True)


def _log_softmax(call, x, dim, half_to_float) -> Expression:
    x = call(x)
    if not x.shape:
        return x.lift(0.0)
    shifted = x - largest(x, dim, keepdim=True)
    return shifted - log(total(exp(shifted), dim, keepdim=True))


def _softmax_backward(call, g, y, dim, dtype) -> Expression:
    g, y = call(g), call(y)
    product = g * y
    return product - y * total(product, dim, keepdim=True) if y.shape else g.zeros()


def _log_softmax_backward(call, g, y, dim, dtype) -> Expression:
    g, y = call(g), call(y)
    return g - exp(y) * total(g, dim, keepdim=True) if y.shape else g.zeros()


def _norm(call, x, order=2, dims=None, keepdim=False, *, dtype=None) -> Expression:
    x = call(x)
    x = (abs(x) if x.is_complex else x).cast(call.dtype)
    return norm(x, 2.0 if order is None else float(order), dims, keepdim)


def norm(x: Expression, order: float, dims: Dims = None, keepdim: bool = False) -> Expression:
    match order:
        case 0.0:
            return total(x.differs(0).cast(x.dtype), dims, keepdim)
        case 1.0:
            return total(abs(x), dims, keepdim)
        case 2.0:
            # One number's norm is its magnitude, without the square's overflow.
            if _n_terms(x, _axes(x, dims)) == 1:
                return total(abs(x), dims, keepdim)
            return sqrt(total(x * x, dims, keepdim))
        case math.inf:
            return _reduced(abs(x), "max", dims, keepdim, 0.0)
        case _ if order == -math.inf:
            return _reduced(abs(x), "min", dims, keepdim, math.inf)
        case _:
            return total(abs(x) ** order, dims, keepdim) ** (1.0 / order)


def _cumulative(primitive: str) -> Callable:
    def rule(call, x, dim, *, dtype=None) -> Expression:
        x = call(x, call.dtype)
        if not x.shape:
            return x
        return x.of(arrays.cumulative(x.builder, primitive, x.variables, dim))

    return rule


def _running_extremum(beats: str) -> Callable:
    def rule(call, x, dim) -> tuple[Expression, Expression]:
        x = call(x)
        if not x.shape:
            return x, call(0)
        rows = np.moveaxis(x.variables, dim, 0)
        best, place = [x.of(np.asarray(rows[0]))], [call(0)]
        place[0] = place[0].of(np.full(rows.shape[1:], int(place[0].variables)))
        for position in range(1, len(rows)):
            entry = x.of(np.asarray(rows[position]))
            # The last of equals wins, and a NaN stays.
            wins = (apply(beats, entry, best[-1]) | is_nan(entry)) & ~is_nan(best[-1])
            best.append(where(wins, entry, best[-1]))
            place.append(where(wins, position, place[-1]))
        return tuple(
            column[0].of(np.stack([e.variables for e in column], axis=dim))
            for column in (best, place)
        )

    return rule


def _logcumsumexp(call, x, dim) -> Expression:
    x = call(x)
    if not x.shape:
        return x
    rows = np.moveaxis(x.variables, dim, 0)
    sums = [x.of(np.asarray(rows[0]))]
    for row in rows[1:]:
        entry = x.of(np.asarray(row))
        low, high = apply("min", sums[-1], entry), apply("max", sums[-1], entry)
        both = apply("log1p", exp(low - high)) + high
        sums.append(where(low.differs(high) | ~is_infinite(low), both, entry))
    return x.of(np.stack([s.variables for s in sums], axis=dim))


def _order(x: Expression, descending: bool) -> tuple[list[Expression], list[Expression]]:
    """Sort along the first axis by counting, for each element, those that go before it."""
    n = x.shape[0]
    if n > _LARGEST_SORTED_AXIS:
        raise NotAProgram(f"it sorts {n} elements")
    rows = [x[i] for i in range(n)]
    before = "gt" if descending else "lt"
    one = Expression(x.builder, np.array(x.builder.constant(1, "int64")), "int64")
    ranks = [one.lift(0)] * n
    for i in range(n):
        for j in range(i):
            # j stands before i unless i goes strictly before j: equals keep their order.
            i_first = apply(before, rows[i], rows[j])
            if x.is_floating:  # NaN counts as the largest
                beaten, other = (rows[j], rows[i]) if not descending else (rows[i], rows[j])
                i_first = i_first | (is_nan(beaten) & ~is_nan(other))
            ranks[i] = ranks[i] + where(i_first, one.lift(0), one)
            ranks[j] = ranks[j] + where(i_first, one, one.lift(0))
    values, places = [], []
    for rank in range(n):
        value, place = rows[-1], one.lift(n - 1)
        for i in reversed(range(n - 1)):
            chosen = ranks[i].equals(rank)
            value, place = where(chosen, rows[i], value), where(chosen, i, place)
        values.append(value)
        places.append(place)
    return values, places


def _sorted(call, x, dim, descending, n_kept=None) -> tuple[Expression, Expression]:
    x = call(x)
    if not x.shape:
        return x, call(0)
    columns = _order(x.of(np.moveaxis(x.variables, dim, 0)), descending)
    values, places = (
        column[0].of(
            np.stack(
                [np.broadcast_to(e.variables, column[0].shape) for e in column[:n_kept]], axis=dim
            )
        )
        for column in columns
    )
    return values, places


def _sort(call, x, dim=-1, descending=False) -> tuple[Expression, Expression]:
    return _sorted(call, x, dim, descending)


def _stable_sort(call, x, *, stable=None, dim=-1, descending=False) -> tuple:
    return _sorted(call, x, dim, descending)


def _topk(call, x, k, dim=-1, largest=True, sorted=True) -> tuple[Expression, Expression]:
    return _sorted(call, x, dim, largest, k)


def _median(call, x, dim, keepdim=False) -> tuple[Expression, Expression]:
    source = call(x)
    if not source.shape:
        return source, call(0)
    values, places = _order(source.of(np.moveaxis(source.variables, dim, 0)), descending=False)
    middle = (len(values) - 1) // 2
    # One NaN makes the median NaN; sorting puts it last.
    is_any = is_nan(values[-1])
    value = where(is_any, values[-1], values[middle])
    place = where(is_any, places[-1], places[middle])
    return (value.expand_dims([dim]), place.expand_dims([dim])) if keepdim else (value, place)


def _median_of_all(call, x) -> Expression:
    source = call(x)
    values, _ = _order(source.of(source.variables.reshape(-1)), descending=False)
    return where(is_nan(values[-1]), values[-1], values[(len(values) - 1) // 2])


RULES: dict[str, Callable] = {
    "sum": _sum,
    "mean": _mean,
    "prod": _prod,
    "amax": _extremum("max"),
    "amin": _extremum("min"),
    "max": _extremum("max"),
    "min": _extremum("min"),
    "max.dim": _extremum_along("gt"),
    "min.dim": _extremum_along("lt"),
    "argmax": _place_of_extremum("gt"),
    "argmin": _place_of_extremum("lt"),
    "any": _any,
    "all": _all,
    "_is_any_true": _any,
    "_is_all_true": _all,
    "var": _var,
    "std": _std,
    "var_mean.correction": _var_mean,
    "logsumexp": _logsumexp,
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "_softmax_backward_data": _softmax_backward,
    "_log_softmax_backward_data": _log_softmax_backward,
    "norm": _norm,
    "linalg_vector_norm": _norm,
    "cumsum": _cumulative("add"),
    "cumprod": _cumulative("mul"),
    "cummax": _running_extremum("ge"),
    "cummin": _running_extremum("le"),
    "logcumsumexp": _logcumsumexp,
    "sort": _sort,
    "sort.stable": _stable_sort,
    "topk": _topk,
    "median": _median_of_all,
    "median.dim": _median,
}
