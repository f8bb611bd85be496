"""Newton's method for one or more unknowns, with damped steps."""

from typing import Any

from gradsweep.tracing.solving.numbers import Found, Function, Numbers, scaled

__all__ = ["newton"]

Array = Any

# The share of the full step below which nothing more is tried.
_SHORTEST = 2.0**-40


def newton(numbers: Numbers, residual: Function, start: Array, tol: Array, max_steps: int) -> Found:
    """Find where a residual is zero, from a start.

    A step is halved until the Newton step that the old slope gives at its end is shorter than the
    step there was: this does not depend on how the equations are scaled. The solution is found
    where the next full step is at most tol * max(1, |y|), and includes that step. It is found too
    where rounding is all that is left: a full step of at most sqrt(epsilon) does not make the
    residual smaller, though the slope has stayed the same.

    Reference: Deuflhard (2011), Newton Methods for Nonlinear Problems, 3.3: the natural level
    function, and its restricted monotonicity test.
    """

    def goes_on(y, slope, step, size, share, going, is_found):
        return going

    def take(y, slope, step, size, share, going, is_found):
        trial = y + share * step
        values, new_slope = numbers.sloped(residual, trial)
        old_way = -numbers.solve(slope, values)
        # At a solution 0 / 0 would be no step where the slope is singular.
        is_zero = numbers.largest(abs(values)) == 0
        new_step = numbers.where(is_zero, values, -numbers.solve(new_slope, values))
        is_known = numbers.is_finite(values) & numbers.is_finite(new_step)
        is_better = is_known & (scaled(numbers, old_way, y) <= (1 - share / 4) * size)
        new_size = scaled(numbers, new_step, trial)
        is_last = is_better & (new_size <= tol)
        is_rounding = (
            is_known
            & ~is_better
            & (share == 1)
            & (size <= numbers.epsilon**0.5)
            & (numbers.largest(abs(new_step - old_way)) <= numbers.largest(abs(old_way)) / 10)
        )
        can_go_on = is_better | ((size < float("inf")) & (share > _SHORTEST))
        return (
            numbers.where(is_better, numbers.where(is_last, trial + new_step, trial), y),
            numbers.where(is_better, new_slope, slope),
            numbers.where(is_better, new_step, step),
            numbers.where(is_better, new_size, size),
            numbers.where(is_better, numbers.number(1.0), share / 2),
            can_go_on & ~is_last & ~is_rounding,
            is_last | is_rounding,
        )

    # The first step stays at the start, and is better than nothing.
    nothing = numbers.number(float("inf"))
    state = (
        start,
        numbers.unit(start),
        start - start,
        nothing,
        numbers.number(1.0),
        numbers.number(True),
        numbers.number(False),
    )
    y, *_, is_found = numbers.loop(goes_on, take, state, max_steps)
    return Found(y, is_found)
