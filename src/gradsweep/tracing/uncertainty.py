"""Compose the uncertainty of outputs from their partial derivatives at a point.

A Point enters, whose directions are the standard deviations of its arguments; the standard
deviation of each output leaves, and the share of each argument in it. Knows no differentiation
rule and no framework.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod, sqrt
from typing import NamedTuple

from gradsweep.request.quantities import correlation_key
from gradsweep.support.errors import OutputError
from gradsweep.tracing.point import Array, Partials, Point, Rows

__all__ = ["uncertainty"]


class _Part(NamedTuple):
    """Arguments that are correlated, or one alone: u = S B z, for independent z of variance 1.

    S has their standard deviations, and B B' is their correlation matrix.

    Attributes:
        arguments: their numbers in `wrt`.
        blocks: the rows of B for each argument, of shape (its elements, all elements); None
            where B is the unit matrix.
    """

    arguments: Sequence[int]
    blocks: Sequence[Array | None]


def uncertainty(point: Point) -> Rows:
    """Propagate standard deviations through the expansion of a function, to first or second order.

    With the gradient g, the Hessian H and the covariance C of the arguments, the variance of y is
    g C g', and for jointly normal arguments to second order g C g' + tr(H C H C) / 2, about the
    expectation y + tr(H C) / 2. The share of an argument in it is g_i (C g')_i over the variance,
    summed over its elements.

    Reference: JCGM 100:2008 (GUM), 5.1.2 and 5.2.2; Mathai and Provost (1992), Quadratic Forms in
    Random Variables, 3.2. The note to 5.1.2 adds a term with third derivatives to the second order,
    which is not taken here: it is no part of the variance of the second-order expansion.

    Raises:
        OutputError: when an output is complex.
    """
    gradients, hessians = _derivatives(point)
    _require_real(point)
    parts = list(_parts(point))
    terms: list[list[Array]] = []
    rows: Rows = []
    for o, gradient in enumerate(gradients):
        n_lead = len(point.y[o].shape)
        scaled = [
            (g * s).reshape(*g.shape[:n_lead], prod(s.shape))
            for g, s in zip(gradient, point.tangent)
        ]
        first = [_standard(point, part, [scaled[i] for i in part.arguments]) for part in parts]
        second: list[Array] = []
        if hessians:
            trace, second = _second(point, o, parts, hessians[o])
            expectation = point.y[o] + trace / 2
            rows.append((point.result("expectation", o, [], expectation), expectation))
        # Very small and very large numbers have no squares: the largest is divided by.
        terms.append([term for term in (*first, *second) if term.shape[-1]])
        size = point.ad.scale(terms[o] or [point.ad.zeros_like(point.y[o])[..., None]])
        inverse = (1 / size)[..., None]
        curvature = [_product(point, m, m, inverse) for m in second]
        variance = point.sum([*(_product(point, w, w, inverse) for w in first), *curvature])
        std = size * point.ad.sqrt(variance)
        rows.append((point.result("std", o, [], std), std))
        per_variance = 1 / variance
        # A zero that means "nothing here" would make 0 of its share in a variance of 0, which is
        # NaN; a zero that is a number does not.
        shares = {
            i: (_product(point, scaled[i], joint, inverse) + 0.0) * per_variance
            for part, w in zip(parts, first)
            for i, joint in zip(part.arguments, _joint(point, part, w))
        }
        for i in range(len(point.x)):
            result = point.result("share", o, [i], shares[i])
            rows.append((replace(result, wrt_shapes=((),)), shares[i]))
        if curvature:
            rest = (point.sum(curvature) + 0.0) * per_variance
            rows.append((point.result("curvature", o, [], rest), rest))
    return rows + (_covariances(point, terms) if point.derivative.output_covariance else [])


def _covariances(point: Point, terms: Sequence[Sequence[Array]]) -> Rows:
    """Return the covariance of each two outputs, and that of an array with itself.

    Args:
        terms: for each output, arrays whose products add up, along their last dim.
    """
    rows: Rows = []
    for a, own in enumerate(terms):
        for b, others in enumerate(terms[a:], start=a):
            shapes = tuple(point.y[a].shape), tuple(point.y[b].shape)
            if (a == b and not shapes[0]) or not own:
                continue  # it is the square of a std
            n, m = (prod(shape) for shape in shapes)
            products = [
                point.ad.total(
                    left.reshape(n, 1, left.shape[-1]) * right.reshape(1, m, right.shape[-1]), [2]
                )
                for left, right in zip(own, others)
            ]
            array = point.sum(products).reshape((*shapes[0], *shapes[1]))
            result = point.result("covariance", a, [], array)
            result = replace(result, beside=point.paths[b], beside_shape=shapes[1])
            rows.append((result, array))
    return rows


def _derivatives(point: Point) -> tuple[Partials, Sequence[Partials]]:
    """Return the gradients of all outputs, and to second order their Hessians, in blocks."""
    if point.derivative.order == 1:
        point.y, table = point.jacobian(point.f, point.x, point.derivative.mode)
        return table, []
    partials, table = point.jacobian(point.partials, point.x, point.outer)
    point.evaluate()
    n = len(point.x)
    starts = range(0, len(partials), n)
    return [partials[s : s + n] for s in starts], [table[s : s + n] for s in starts]


def _parts(point: Point) -> Iterator[_Part]:
    """Yield each group of correlated arguments, then every other argument."""
    wrt, correlated = point.derivative.wrt, point.derivative.correlated
    for group in correlated:
        factor = point.values[correlation_key(group)]
        arguments = [wrt.index(key) for key in group]
        blocks, start = [], 0
        for i in arguments:
            stop = start + prod(point.x[i].shape)
            blocks.append(factor[start:stop])
            start = stop
        yield _Part(arguments, blocks)
    together = {key for group in correlated for key in group}
    for i, key in enumerate(wrt):
        if key not in together:
            yield _Part([i], [None])


def _standard(point: Point, part: _Part, columns: Sequence[Array]) -> Array:
    """Return d B, of arrays d along the elements of each argument in their last dim."""
    terms = [
        d if block is None else point.ad.total(d[..., None] * block, [len(d.shape) - 1])
        for d, block in zip(columns, part.blocks)
    ]
    return point.sum(terms)


def _joint(point: Point, part: _Part, w: Array) -> list[Array]:
    """Return w B' along the elements of each argument."""
    n = len(w.shape)
    return [
        w if block is None else point.ad.total(w[..., None, :] * block, [n])
        for block in part.blocks
    ]


def _second(
    point: Point, o: int, parts: Sequence[_Part], hessian: Partials
) -> tuple[Array, list[Array]]:
    """Return tr(H C), and arrays whose squares add up to tr(H C H C) / 2.

    Both are those of M = B' S H S B, whose trace is that of H C, and whose square is symmetric.
    """
    lead = tuple(point.y[o].shape)
    n, flat = len(lead), [s.reshape(prod(s.shape)) for s in point.tangent]

    def scaled(i: int, j: int) -> Array:
        """Return the block S H S of two arguments: (..., elements of i, elements of j)."""
        block = hessian[i][j].reshape(*lead, *flat[i].shape, *flat[j].shape)
        return block * flat[i][:, None] * flat[j]

    def turned(array: Array) -> Array:
        return point.ad.moveaxis(array, [n, n + 1], [n + 1, n])

    def symmetric(i: int, j: int) -> Array:
        if not point.ad.is_symmetric:
            return (scaled(i, j) + turned(scaled(j, i))) / 2
        return scaled(i, j) if i <= j else turned(scaled(j, i))

    traces, squares = [], []
    for p, left in enumerate(parts):
        for q, right in enumerate(parts[p:], start=p):
            rows = [
                turned(_standard(point, right, [symmetric(i, j) for j in right.arguments]))
                for i in left.arguments
            ]
            block = _standard(point, left, rows)
            flat_block = block.reshape(*lead, prod(block.shape[n:]))
            # Of two blocks on either side of the diagonal one is taken, for both.
            squares.append(flat_block if q > p else flat_block * sqrt(0.5))
            if q == p:
                traces += [block[..., a, a] for a in range(block.shape[-1])]
    return point.sum(traces), squares


def _product(point: Point, a: Array, b: Array, inverse: Array) -> Array:
    """Return the sum of a b over their last dim, both divided by the size of all."""
    return point.ad.total((a * inverse) * (b * inverse), [len(a.shape) - 1])


def _require_real(point: Point) -> None:
    for path, is_complex in zip(point.paths, point.are_complex):
        if is_complex:
            raise OutputError(
                f"{path or point.function.name} is complex, and has no standard deviation; return "
                f"its real and its imaginary part as outputs of their own."
            )
