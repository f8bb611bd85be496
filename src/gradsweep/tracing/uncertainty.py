"""Compose the uncertainty of outputs from their partial derivatives at a point.

A Point enters, whose directions are the standard deviations of its arguments; the standard
deviation of each output leaves, and the share of each argument in it. Knows no differentiation
rule and no framework.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from gradsweep.request.quantities import correlation_key
from gradsweep.support.errors import OutputError
from gradsweep.tracing.point import Array, Point, Rows

__all__ = ["uncertainty"]


class _Part(NamedTuple):
    """The part of a variance that some arguments have which are correlated, or one alone.

    With d = g S, of the gradient and the standard deviations of these arguments, and a factor B of
    their correlation matrix B B':

    Attributes:
        arguments: their numbers in `wrt`.
        w: d B, whose square is their variance.
        own, joint: for each argument its d, and d B B', along its elements.
    """

    arguments: Sequence[int]
    w: Array
    own: Sequence[Array]
    joint: Sequence[Array]


def uncertainty(point: Point) -> Rows:
    """Propagate standard deviations through the linear part of a function.

    The variance of y is g C g', for the gradient g and the covariance C of the arguments; the share
    of an argument in it is g_i (C g')_i / g C g', summed over its elements.

    Reference: JCGM 100:2008 (GUM), 5.1.2 and 5.2.2.

    Raises:
        OutputError: when an output is complex.
    """
    point.y, table = point.jacobian(point.f, point.x, point.derivative.mode)
    _require_real(point)
    rows: Rows = []
    for o, partials in enumerate(table):
        parts = list(_parts(point, o, partials))
        # Very small and very large numbers have no squares: the largest is divided by.
        size = point.ad.scale([part.w for part in parts])
        inverse = (1 / size)[..., None]
        variance = point.sum([_product(point, part.w, part.w, inverse) for part in parts])
        std = size * point.ad.sqrt(variance)
        rows.append((point.result("std", o, [], std), std))
        shares = {
            i: _product(point, own, joint, inverse) / variance
            for part in parts
            for i, own, joint in zip(part.arguments, part.own, part.joint)
        }
        for i, share in sorted(shares.items(), key=lambda entry: entry[0]):
            result = point.result("share", o, [i], share)
            rows.append((replace(result, wrt_shapes=((),)), share))
    return rows


def _parts(point: Point, o: int, partials: Sequence[Array]) -> Iterator[_Part]:
    """Yield the part of each group of correlated arguments, then that of every other argument."""
    lead, derivative = tuple(point.y[o].shape), point.derivative
    scaled = [
        (partial * std).reshape(*lead, prod(array.shape))
        for partial, std, array in zip(partials, point.tangent, point.x)
    ]
    for group in derivative.correlated:
        factor = point.values[correlation_key(group)]
        arguments = [derivative.wrt.index(key) for key in group]
        own = [scaled[i] for i in arguments]
        ends = [sum(d.shape[-1] for d in own[: n + 1]) for n in range(len(own))]
        blocks = [factor[end - d.shape[-1] : end] for end, d in zip(ends, own)]
        # Each block has a row for each element of its argument.
        n = len(lead)
        w = point.sum([point.ad.total(d[..., None] * block, [n]) for d, block in zip(own, blocks)])
        joint = [point.ad.total(w[..., None, :] * block, [n + 1]) for block in blocks]
        yield _Part(arguments, w, own, joint)
    together = {key for group in derivative.correlated for key in group}
    for i, key in enumerate(derivative.wrt):
        if key not in together:
            yield _Part([i], scaled[i], [scaled[i]], [scaled[i]])


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
