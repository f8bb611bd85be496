"""Samples of images: `grid_sample` in two dimensions, bilinear or of the nearest pixel.

The formulas are those of torch's kernel for processors. What lies on the border of an image has no
slope where the border goes on outside.

Reference: aten/src/ATen/native/cpu/GridSamplerKernel.cpp
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.recorder.expression import Expression, apply, where
from gradsweep.tracing.torch.recorder.rules.formulas import maximum, minimum
from gradsweep.tracing.torch.recorder.rules.indexing import looked_up, put
from gradsweep.tracing.torch.recorder.rules.reductions import total

__all__ = ["RULES"]

_BILINEAR, _NEAREST = 0, 1
_ZEROS, _REFLECTION = 0, 2


@dataclass(frozen=True)
class _Axis:
    """Where samples lie along one axis of an image.

    Attributes:
        at: the place among the pixels, the first of which lies at 0.
        slope: the derivative of `at` by the coordinate.
        size: how many pixels there are.
    """

    at: Expression
    slope: Expression
    size: int

    @classmethod
    def of(cls, x: Expression, size: int, padding: int, aligns: bool) -> "_Axis":
        """Take coordinates from -1 to 1: between the first and last pixels, or their outer ends."""
        half = (size - 1) / 2 if aligns else size / 2
        at = (x + 1.0) * half - (0.0 if aligns else 0.5)
        slope = x.lift(half)
        if padding == _REFLECTION:
            at, slope = _reflected(at, slope, size, aligns)
        if padding != _ZEROS:
            at = minimum(maximum(at, 0.0), size - 1.0)
            slope = where(at.differs(0.0) & at.differs(size - 1.0), slope, 0.0)
        return cls(at, slope, size)

    def holds(self, pixel: Expression) -> Expression:
        return (pixel >= 0.0) & (pixel < float(self.size))


def _reflected(
    at: Expression, slope: Expression, size: int, aligns: bool
) -> tuple[Expression, Expression]:
    """Fold places back between the ends of an axis."""
    low, span = (0.0, size - 1.0) if aligns else (-0.5, float(size))
    if not span:
        return at.of(np.broadcast_to(at.zeros().variables, at.shape)), at.lift(0.0)
    away = at - low
    distance = abs(away)
    rest = distance - apply("trunc", distance / (2 * span)) * (2 * span)
    back = 2 * span - rest
    is_turned = (rest > back) ^ (away < 0.0)
    return minimum(rest, back) + low, where(is_turned, -slope, slope)


@dataclass(frozen=True)
class _Corner:
    """A pixel that samples are made of.

    Attributes:
        cell: its number in the image, in C order, or that of all pixels where it lies outside.
        weight: its share in the sample.
        by_x, by_y: the derivatives of its share.
    """

    cell: Expression
    weight: Expression
    by_x: Expression
    by_y: Expression


def _corners(x: _Axis, y: _Axis, mode: int) -> Iterator[_Corner]:
    zero = x.at.zeros()

    def cell(column: Expression, row: Expression) -> Expression:
        is_inside = x.holds(column) & y.holds(row)
        number = row.cast("int64") * x.size + column.cast("int64")
        return where(is_inside, number, x.size * y.size)

    if mode == _NEAREST:
        column, row = apply("round", x.at), apply("round", y.at)
        yield _Corner(cell(column, row), zero + 1.0, zero, zero)
        return
    left, top = apply("floor", x.at), apply("floor", y.at)
    u, v = x.at - left, y.at - top
    for right in (False, True):
        for below in (False, True):
            along, across = (u if right else 1.0 - u), (v if below else 1.0 - v)
            yield _Corner(
                cell(left + float(right), top + float(below)),
                along * across,
                across if right else -across,
                along if below else -along,
            )


def _samples(
    call, image: Any, grid: Any, mode: int, padding: int, aligns: bool
) -> Iterator[tuple[_Axis, _Axis, list[_Corner], Expression]]:
    """Yield, for each image, where its samples lie, and its pixels: (cells, channels)."""
    if mode not in (_BILINEAR, _NEAREST):
        raise NotAProgram("it samples an image by bicubic interpolation")
    images, grids = call(image), call(grid)
    height, width = images.shape[2:]
    for own, places in zip(images.variables, grids.variables):
        x = _Axis.of(grids.of(places[..., 0]), width, padding, aligns)
        y = _Axis.of(grids.of(places[..., 1]), height, padding, aligns)
        pixels = images.of(own.reshape(len(own), height * width).T)
        yield x, y, list(_corners(x, y, mode)), pixels


def _values(corner: _Corner, pixels: Expression) -> Expression:
    """Return the pixels of a corner, zero outside of the image: (rows, columns, channels)."""
    n = len(pixels.variables)
    found = looked_up(where(corner.cell < n, corner.cell, 0), pixels)
    return where(corner.cell.expand_dims([-1]) < n, found, 0.0)


def _grid_sampler(call, image, grid, mode, padding, aligns) -> Expression:
    found = []
    for _, _, corners, pixels in _samples(call, image, grid, mode, padding, aligns):
        terms = [_values(c, pixels) * c.weight.expand_dims([-1]) for c in corners]
        sample = sum(terms[1:], start=terms[0])
        found.append(np.moveaxis(sample.variables, -1, 0))
    return Expression(call.builder, np.stack(found), call.dtype)


def _grid_sampler_backward(call, g, image, grid, mode, padding, aligns, wanted) -> tuple:
    gradients = call(g)
    by_image, by_grid = [], []
    samples = _samples(call, image, grid, mode, padding, aligns)
    for own, (x, y, corners, pixels) in zip(gradients.variables, samples):
        of_sample = gradients.of(np.moveaxis(own, 0, -1))
        if wanted[0]:
            target = pixels.zeros(pixels.shape)
            for corner in corners:
                entries = of_sample * corner.weight.expand_dims([-1])
                target = put(target, [0], corner.cell, entries, adds=True)
            by_image.append(target.variables.T)
        slopes = []
        for axis, name in ((x, "by_x"), (y, "by_y")):
            terms = [_values(c, pixels) * getattr(c, name).expand_dims([-1]) for c in corners]
            changes = sum(terms[1:], start=terms[0]) * of_sample
            slopes.append((total(changes, [-1]) * axis.slope).variables)
        by_grid.append(np.stack(slopes, axis=-1))
    shape = tuple(image.shape)
    return tuple(
        gradients.of(np.reshape(np.stack(found), like))
        for found, like, out in zip((by_image, by_grid), (shape, tuple(grid.shape)), call.out)
        if out is not None
    )


RULES: dict[str, Callable[..., Any]] = {
    "grid_sampler_2d": _grid_sampler,
    "grid_sampler_2d_backward": _grid_sampler_backward,
}
