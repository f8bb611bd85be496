"""The iteration y <- update(y), with Newton's steps where they lead where it would."""

from typing import Any

from gradsweep.tracing.solving.numbers import Found, Function, Numbers, is_small, scaled

__all__ = ["iteration"]

Array = Any


def iteration(
    numbers: Numbers, update: Function, start: Array, tol: Array, max_steps: int
) -> Found:
    """Find y with update(y) = y, from a start.

    Where the update contracts, Newton's step for y - update(y) = 0 is tried, and taken if the
    update contracts at its end too, and changes less there; elsewhere the next y is update(y). So
    no step leads away to a solution that the iteration would never come to. The solution is found
    where a step is at most tol * max(1, |y|); it includes the last Newton step, since a short step
    of a slow iteration may still be far from the solution.

    Reference: Ortega and Rheinboldt (1970), Iterative Solution of Nonlinear Equations in Several
    Variables, 12.1: contractions, and the distance that is left.
    """

    def goes_on(y, plain, size, is_newton, going, is_found):
        return going

    def take(y, plain, size, is_newton, going, is_found):
        values, slope = numbers.sloped(update, y)
        change = values - y
        new_size = scaled(numbers, change, y)
        contracts = numbers.norm(slope) < 1
        is_known = numbers.is_finite(change)
        is_good = is_known & (~is_newton | (contracts & (new_size < size)))
        correction = numbers.solve(numbers.unit(y) - slope, change)
        is_exact = numbers.is_finite(correction) & is_small(numbers, correction, y)
        is_short = scaled(numbers, numbers.where(contracts, correction, change), y) <= tol
        # A short step of Newton's that changes nothing for the better: rounding is left.
        is_rounding = is_known & is_newton & contracts & is_exact & ~(new_size < size / 2)
        is_last = (is_good & is_short) | is_rounding
        at_end = numbers.where(is_exact, y + correction, values)
        following = numbers.where(contracts, y + correction, values)
        return (
            numbers.where(is_last, at_end, numbers.where(is_good, following, plain)),
            numbers.where(is_good, values, plain),
            numbers.where(is_good, new_size, size),
            is_good & contracts,
            ~is_last & (is_known | is_newton),
            is_last,
        )

    state = (
        start,
        start,
        numbers.number(float("inf")),
        numbers.number(False),
        numbers.number(True),
        numbers.number(False),
    )
    y, *_, is_found = numbers.loop(goes_on, take, state, max_steps)
    return Found(y, is_found)
