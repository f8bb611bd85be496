"""Solve an equation in torch, with the derivatives of the implicit function theorem.

An Equation enters, the leaves of its solution leave. The search is a loop that no derivative goes
through. Steps from its solution have the derivatives: with y0 and A = dF/dy there as constants,
y <- y - A^-1 F(y, p) leaves the value where it is, and each step makes one more order of the Taylor
series in p right, since what is wrong is multiplied by 1 - A^-1 dF/dy, which is of first order in
p. So there are as many steps as derivatives are taken.

Reference: Griewank and Walther (2008), Evaluating Derivatives, 15.4: derivatives of fixed points by
iterations on truncated Taylor series.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from gradsweep.tracing.solving.numbers import Equation, Function
from gradsweep.tracing.solving.unknowns import require_as_many
from gradsweep.tracing.torch import private
from gradsweep.tracing.torch.meaning import unwatched
from gradsweep.tracing.torch.solved.looped import looped
from gradsweep.tracing.torch.solved.orders import differentiating, order_here, require_no_derivative

__all__ = ["solve"]


def solve(equation: Equation) -> list[torch.Tensor]:
    """Return the leaves of the solution; NaN where none is found."""
    start = [torch.as_tensor(leaf) for leaf in equation.start]
    shapes = [tuple(leaf.shape) for leaf in start]
    n = sum(map(math.prod, shapes))

    def on_leaves(function: Callable[[Sequence[Any]], list[Any]]) -> Function:
        def on_vector(y: torch.Tensor) -> torch.Tensor:
            values = _flat(function(_parts(y, shapes)))
            require_as_many(n, values.numel())
            return values.reshape(y.shape)

        return on_vector

    residual, searched = on_leaves(equation.residual), on_leaves(equation.searched)
    with unwatched():
        flat = _flat([leaf if leaf.is_floating_point() else leaf * 1.0 for leaf in start])
        flat = (flat[0] if n == 1 else flat).detach()
        with differentiating(0):
            # A number of Python's takes the dtype of what it is computed with.
            dtype = flat.dtype if flat.dtype is torch.float64 else searched(flat).dtype
        numbers = _Numbers(dtype)
        found = equation.find(numbers, searched, flat.to(dtype))
        y = torch.where(found.is_found, found.y, math.nan).detach()
        order = order_here()
        if order:
            values, slope = numbers.sloped(residual, y)
            slope, values = slope.detach(), values.detach()
            is_regular = numbers.is_finite(numbers.solve(slope, values))
            slope = torch.where(is_regular, slope, numbers.unit(y))
    if not order:
        return _parts(y, shapes)
    first = residual(y)
    # Zero, with a derivative of NaN where the slope is singular, or there is no solution: there by
    # what the search is given too, though the residual does not depend on it.
    apart = first - values
    for given in equation.givens:
        if isinstance(given, torch.Tensor) and given.is_floating_point():
            none = (given - given.detach()).sum().to(dtype)
            apart = apart + torch.where(found.is_found, 0.0, none)
    nothing = torch.where(is_regular, 1.0, apart)
    nothing = torch.sqrt(nothing * nothing) - torch.where(is_regular, 1.0, 0.0)
    y = y - numbers.solve(slope, first)
    for _ in range(order - 1):
        y = y - numbers.solve(slope, residual(y))
    y = y + nothing
    require_no_derivative(y)
    return _parts(y, shapes)


def _flat(leaves: Sequence[Any]) -> torch.Tensor:
    return torch.cat([torch.as_tensor(leaf).reshape(-1) for leaf in leaves])


def _parts(y: torch.Tensor, shapes: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
    """Return the leaves of the unknowns, the inverse of `_flat`."""
    parts = y.reshape(-1).split([math.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(parts, shapes)]


class _Numbers:
    """torch's tensors of one dtype, for the searches."""

    def __init__(self, dtype: torch.dtype):
        self._dtype = dtype
        self.epsilon = torch.finfo(dtype).eps

    def number(self, value: Any) -> torch.Tensor:
        if isinstance(value, bool):
            return torch.tensor(value)
        return torch.as_tensor(value).detach().to(self._dtype).reshape(())

    def where(self, condition: torch.Tensor, x: Any, y: Any) -> torch.Tensor:
        return torch.where(condition, x, y)

    def is_finite(self, x: torch.Tensor) -> torch.Tensor:
        return torch.isfinite(x).all()

    def largest(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax() if x.ndim else x

    def sloped(self, function: Function, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if private.is_transforming():
            with differentiating(0):  # torch.func counts
                values, pull = torch.func.vjp(function, y)
            rows = [pull(row)[0] for row in self.unit(y).reshape((-1, *y.shape))]
        else:
            with torch.enable_grad(), differentiating(1):
                y = y.detach().requires_grad_()
                values = function(y)
                rows = [_row(output, y) for output in values.reshape(-1).unbind()]
        return values, torch.stack(rows).reshape((*y.shape, *y.shape))

    def unit(self, y: torch.Tensor) -> torch.Tensor:
        return torch.eye(len(y), dtype=y.dtype) if y.ndim else torch.ones_like(y)

    def norm(self, slope: torch.Tensor) -> torch.Tensor:
        return slope.abs().sum(-1).amax() if slope.ndim else slope.abs()

    def solve(self, slope: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.solve_ex(slope, x)[0] if x.ndim else x / slope

    def loop(
        self,
        goes_on: Callable[..., torch.Tensor],
        step: Callable[..., tuple],
        carried: tuple,
        max_steps: int,
    ) -> tuple:
        return looped(goes_on, step, carried, max_steps)


def _row(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the derivatives of one value."""
    if not output.requires_grad:
        return torch.zeros_like(y)
    (row,) = torch.autograd.grad(output, y, retain_graph=True, allow_unused=True)
    return torch.zeros_like(y) if row is None else row
