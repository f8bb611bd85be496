"""Newton's method for one unknown between two limits, with bisection."""

from typing import Any

from gradsweep.tracing.solving.numbers import Found, Function, Numbers, is_small

__all__ = ["bracketed"]

Array = Any


def bracketed(
    numbers: Numbers,
    residual: Function,
    start: Array,
    tol: Array,
    max_steps: int,
    *,
    bracket: tuple[Any, Any],
) -> Found:
    """Find where a residual is zero between two limits, at which its signs differ.

    The residual is never computed outside. A Newton step that would leave the limits, or that is
    longer than half of the step before the last, gives way to bisection. The solution is found
    where a step is at most tol * max(1, |y|), or where rounding is all that is left: a Newton step
    of at most sqrt(epsilon) does not halve the residual, though the slope has stayed the same. A
    jump over zero, and a pole, are no solutions.

    Args:
        start: where to begin; the middle, where it does not lie between the limits.

    Reference: Press et al. (2007), Numerical Recipes, 9.4, rtsafe.
    """
    low, high = map(numbers.number, bracket)
    at_low, at_high = residual(low), residual(high)
    is_at_low, is_at_high = at_low == 0, at_high == 0
    is_at_limit = is_at_low | is_at_high
    # NaN compares as false. Where a limit is infinite there is no middle.
    has_limits = numbers.is_finite(low) & numbers.is_finite(high) & (low <= high)
    has_signs = ((at_low < 0) & (at_high > 0)) | ((at_low > 0) & (at_high < 0))
    most = numbers.where(abs(at_low) > abs(at_high), abs(at_low), abs(at_high))
    rises = at_high > 0
    middle = low + (high - low) / 2
    is_inside = (start > low) & (start < high)
    begun = numbers.where(
        is_at_low,
        low,
        numbers.where(is_at_high, high, numbers.where(is_inside, start, middle)),
    )

    def goes_on(y, low, high, last, before, slope, going, is_found):
        return going

    def take(y, low, high, last, before, slope, going, is_found):
        value, new_slope = numbers.sloped(residual, y)
        is_above = (value > 0) == rises
        low = numbers.where(is_above, low, y)
        high = numbers.where(is_above, y, high)
        is_zero = value == 0
        correction = -numbers.solve(new_slope, value)
        is_within = (y + correction > low) & (y + correction < high)
        is_newton = is_within & (2 * abs(correction) <= before)
        new = numbers.where(is_newton, y + correction, low + (high - low) / 2)
        step = abs(new - y)
        is_short = step <= tol * numbers.where(abs(new) > 1, abs(new), 1)
        is_short = is_short | ~((new > low) & (new < high))  # no number is left between them
        # Across a jump the correction is long, and beside a pole the residual large.
        is_root = is_small(numbers, correction, y) & (abs(value) <= most)
        # The slope is NaN where the last step was none of Newton's.
        is_rounding = (
            is_root
            & (last <= numbers.epsilon**0.5 * numbers.where(abs(y) > 1, abs(y), 1))
            & (2 * abs(correction) > last)
            & (abs(new_slope - slope) <= abs(new_slope) / 10)
        )
        is_last = is_zero | is_short | is_rounding
        at_end = numbers.where(is_within & ~is_rounding, y + correction, y)
        return (
            numbers.where(is_zero, y, numbers.where(is_last, at_end, new)),
            low,
            high,
            step,
            last,
            numbers.where(is_newton, new_slope, float("nan")),
            ~is_last & (value == value),
            is_zero | (is_last & is_root),
        )

    state = (
        begun,
        low,
        high,
        high - low,
        high - low,
        numbers.number(float("nan")),
        has_limits & has_signs & ~is_at_limit,
        has_limits & is_at_limit,
    )
    y, *_, is_found = numbers.loop(goes_on, take, state, max_steps)
    return Found(y, is_found)
