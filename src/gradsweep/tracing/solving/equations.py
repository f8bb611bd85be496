"""What users call inside their function: solve residual(y) = 0, or update(y) = y.

A function of y and a start enter, y leaves, in the numbers of the framework that it is written in.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from gradsweep.request import pytree
from gradsweep.request.framework import framework_of, frameworks_named
from gradsweep.support.errors import GradsweepError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.row import unwrapped
from gradsweep.tracing.solving.bracketed import bracketed
from gradsweep.tracing.solving.collected import note, uncollected
from gradsweep.tracing.solving.dialect import solver_in_dialect
from gradsweep.tracing.solving.iteration import iteration
from gradsweep.tracing.solving.newton import newton
from gradsweep.tracing.solving.numbers import Equation, Search
from gradsweep.tracing.solving.options import (
    function_in,
    limits_in,
    require_tolerance,
    steps_in,
)
from gradsweep.tracing.solving.unknowns import Unknowns, require_numbers, require_one

__all__ = ["find_root", "fixed_point"]


def find_root(
    residual: Callable[[Any], Any],
    start: Any,
    *,
    bracket: tuple[Any, Any] | None = None,
    tol: Any = None,
    max_steps: int = 100,
) -> Any:
    """Solve residual(y) = 0 inside a function, with the derivatives of the solution.

        def implied_volatility(price, S, K, T, r):
            return gs.find_root(lambda sigma: call(S, K, T, r, sigma) - price, 0.2)

    They are those of the implicit function theorem, dy/dp = -(dF/dy)^-1 dF/dp for a residual
    F(y, p), whatever the path of the search was, to every order and in both modes; torch's autograd
    has them to third order where no sweep says how many are taken. Those with respect to `start`,
    `bracket` and `tol` are zero, and NaN where nothing is found.

    Args:
        residual: a function of y, a closure over anything; it returns as many numbers as y has.
        start: where the search begins: a number, an array, or a container of them, as y is.
        bracket: two limits between which y lies, where y is one number, in a tuple, list or array:
            the residual has another sign at each, and is computed nowhere outside them.
        tol: the search ends with a step of at most tol * max(1, abs(y)); by default 1e-13, and 1e-6
            for float32. It ends too where rounding keeps the residual from growing smaller.
        max_steps: the most steps, each of which computes the residual and its derivative.

    Returns:
        y; NaN where the search does not end so, and where the residual has the same sign at both
        limits. Where dF/dy is singular, derivatives are infinite or NaN.

    Raises:
        ArgumentError: when an option has no meaning, such as limits in the wrong order, and when
            the residual returns not as many numbers as y has, or what is no real number: None, a
            truth value, a complex number.
    """
    residual, unknowns = function_in("residual", residual), Unknowns(start)
    limits, max_steps = limits_in(bracket), steps_in(max_steps)
    given = (*unknowns.leaves, *(limits or ()), tol)
    limits, tol = unwrapped(limits), unwrapped(tol)
    require_tolerance(tol)
    search: Search = newton
    if limits is not None:
        require_one(unknowns)
        search = partial(bracketed, bracket=limits)

    def of_leaves(leaves: Sequence[Any]) -> list[Any]:
        values = residual(unknowns.put_together(leaves))
        require_numbers("residual", values)
        return [value for _, value in pytree.flatten(values)]

    equation = Equation(of_leaves, of_leaves, unknowns.leaves, search, max_steps, tol, limits)
    return unknowns.put_together(_solved(equation, residual, given))


def fixed_point(
    update: Callable[[Any], Any], start: Any, *, tol: Any = None, max_steps: int = 1000
) -> Any:
    """Find y with update(y) = y inside a function, with the derivatives of the solution.

        def anomaly(M, e):
            return gs.fixed_point(lambda E: M + e * jnp.sin(E), M)

    The solution is one that repeated updates come to from the start; where they converge slowly,
    Newton's steps take their place. Derivatives are those of the implicit function theorem for
    y - update(y) = 0, as those of `find_root` are.

    Args:
        update: a function of y, a closure over anything; it returns what y is like.
        start: where the iteration begins: a number, an array, or a container of them, as y is.
        tol: the iteration ends with a step of at most tol * max(1, abs(y)); by default 1e-13, and
            1e-6 for float32.
        max_steps: the most steps, each of which computes the update and its derivative.

    Returns:
        y; NaN where the iteration does not end so. Where 1 - d update/dy is singular, derivatives
        are infinite or NaN.

    Raises:
        ArgumentError: when an option has no meaning, and when the update returns another form, or
            what is no real number.
    """
    update, unknowns = function_in("update", update), Unknowns(start)
    max_steps = steps_in(max_steps)
    given = (*unknowns.leaves, tol)
    tol = unwrapped(tol)
    require_tolerance(tol)

    def updated(leaves: Sequence[Any]) -> list[Any]:
        values = update(unknowns.put_together(leaves))
        require_numbers("update", values)
        return unknowns.in_order(values)

    def change(leaves: Sequence[Any]) -> list[Any]:
        return [leaf - value for leaf, value in zip(leaves, updated(leaves))]

    equation = Equation(change, updated, unknowns.leaves, iteration, max_steps, tol)
    return unknowns.put_together(_solved(equation, update, given))


def _solved(
    equation: Equation, function: Callable[..., Any], given: Sequence[Any]
) -> Sequence[Any]:
    """Return the leaves of the solution."""
    with uncollected():
        leaves = _solver(equation, function, given)(equation)
    note(leaves)
    return leaves


def _solver(
    equation: Equation, function: Callable[..., Any], given: Sequence[Any]
) -> Callable[[Equation], list[Any]]:
    """Return what solves an equation in the framework that it is written for.

    The types of what the search is given decide, then what the code of the function names; else it
    is computed once, and its results decide, or, where Python's numbers do not do, what it reads
    from around it.
    """
    named = _frameworks_of(given) or {*frameworks_named(function)}
    is_numpys = any(isinstance(value, Array) for value in given)
    if len(named) != 1:
        # With a bracket nothing is computed outside it, and the start may be.
        at = equation.bracket[:1] if equation.bracket else equation.start
        values: list[Any] = []
        try:
            with np.errstate(all="ignore"):
                values = equation.residual([leaf * 1.0 for leaf in at])
        except (ArithmeticError, ValueError):  # of Python's numbers, outside a sweep
            pass
        except (AttributeError, TypeError) as error:
            # A method that Python's numbers have not: it is one of what stands around.
            values = _closed_over(function)
            if isinstance(error, GradsweepError) or len(_frameworks_of(values)) != 1:
                raise
        named = _frameworks_of(values)
        is_numpys |= any(isinstance(value, Array) for value in values)
    home = f"{named.pop()}.solved" if named else "solving.plain"
    solve = importlib.import_module(f"gradsweep.tracing.{home}").solve
    return solver_in_dialect(solve) if is_numpys and home != "solving.plain" else solve


def _closed_over(function: Any) -> list[Any]:
    """Return the values of the variables around a function that it reads."""
    return (
        [*inspect.getclosurevars(function).nonlocals.values()]
        if inspect.isfunction(function)
        else []
    )


def _frameworks_of(values: Iterable[Any]) -> set[str]:
    return {framework_of(unwrapped(value)) for value in values} - {""}
