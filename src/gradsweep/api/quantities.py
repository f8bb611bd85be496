"""The value of a function, and its first and second derivatives."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from gradsweep.api.plans import plan
from gradsweep.planning.options import DerivativeOptions, RunOptions, also_by_name
from gradsweep.request.sweep import Sweep

if TYPE_CHECKING:
    import xarray

__all__ = ["contributions", "gradient", "hessian", "hvp", "jacobian", "jvp", "value", "vjp"]

Function = Callable[..., Any]


@also_by_name
def value(f: Function, sweep: Sweep, **options: Unpack[RunOptions]) -> "xarray.Dataset":
    """Compute f itself at every point of a sweep.

    Args:
        f: a function written with torch, with JAX, with NumPy or with operators alone. It may
            return a number, an array, or a container of them; a dict gives one variable an entry.
        sweep: its arguments.
        options: see `RunOptions`.

    Returns:
        A Dataset with one variable, named after the function, or one for each output. It has
        only the dims that it depends on, then the output's own (`f_0`, ...).

    Raises:
        ArgumentError: when the sweep's names do not match the function's.
        OutputError: when the function returns something that is no array.
    """
    return plan("value", f, sweep, **options).run()


@also_by_name
def gradient(f: Function, sweep: Sweep, **options: Unpack[DerivativeOptions]) -> "xarray.Dataset":
    """Compute the gradient of a scalar function at every point of a sweep.

    Args:
        f: a function that returns a number, or a container of numbers.
        sweep: its arguments.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with a partial derivative `df_dx` for each argument x. Each has only the dims
        that it depends on, then the argument's own (`x_0`, ...). A complex argument has both
        partial derivatives, by its real and by its imaginary part, along a last dim `x_part`.

    Raises:
        ArgumentError: when names do not match the function's.
        OutputError: when the function returns an array; use `jacobian`.
    """
    return plan("gradient", f, sweep, **options).run()


@also_by_name
def jacobian(f: Function, sweep: Sweep, **options: Unpack[DerivativeOptions]) -> "xarray.Dataset":
    """Compute the Jacobian J of a function at every point of a sweep.

    Args:
        f: a function that returns a number, an array, or a container of them.
        sweep: its arguments.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with a block `df_dx` for each argument x. Its dims are the swept ones that it
        depends on, then the output's (`f_0`, ...), then the argument's (`x_0`, ...).

    Raises:
        OutputError: when the function returns something that is no array.
    """
    return plan("jacobian", f, sweep, **options).run()


@also_by_name
def jvp(
    f: Function, sweep: Sweep, tangent: Mapping[str, Any], **options: Unpack[DerivativeOptions]
) -> "xarray.Dataset":
    """Compute J v, the derivative along a tangent v, without forming J.

    Args:
        f: a function, as for `value`.
        sweep: its arguments.
        tangent: v, by argument: a number, an array of the argument's own shape, or values
            swept like an argument's, `("quote", v)`. It is zero for arguments left out. Of a
            complex argument it is a complex number. Units, if it has any, are the argument's.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with `jvp`, or `jvp_y` for each output y of a container. Its dims are the
        swept ones that it depends on, then the output's (`f_0`, ...).

    Raises:
        ArgumentError: when the tangent names something that is no floating argument.
        SweepError: when an entry has another shape than its argument.
    """
    return plan("jvp", f, sweep, tangent, **options).run()


@also_by_name
def contributions(
    f: Function, sweep: Sweep, tangent: Mapping[str, Any], **options: Unpack[DerivativeOptions]
) -> "xarray.Dataset":
    """Compute J * v term by term: what each argument contributes to J v.

    Args:
        f: a function, as for `value`.
        sweep: its arguments.
        tangent: v, as for `jvp`.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with `contribution_x` for each argument x; their sum over the arguments, and
        over the elements of array arguments, is J v. The dims of each are the swept ones that
        it depends on, then the output's, then the argument's.

    Raises:
        ArgumentError, SweepError: as `jvp` does.
    """
    return plan("contributions", f, sweep, tangent, **options).run()


@also_by_name
def vjp(
    f: Function, sweep: Sweep, cotangent: Any, **options: Unpack[DerivativeOptions]
) -> "xarray.Dataset":
    """Compute w J, the gradient of the outputs weighted by a cotangent w, without forming J.

    Args:
        f: a function, as for `value`.
        sweep: its arguments.
        cotangent: w: a number, an array of the output's own shape, or values swept like an
            argument's; by output name when the function returns a container. Of a complex output
            it is complex, or real and taken for w + 0j.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with `vjp_x` for each argument x. Its dims are the swept ones that it depends
        on, then the argument's (`x_0`, ...). A complex output counts as a pair of real ones, so
        that w J is the gradient of Re(conj(w) y), as torch has it. JAX's own vjp of w is that of
        Re(w y): give conj(w) for the same numbers.

    Raises:
        SweepError: when the cotangent has another shape than the output, or is complex where the
            output is real.
    """
    return plan("vjp", f, sweep, cotangent, **options).run()


@also_by_name
def hessian(f: Function, sweep: Sweep, **options: Unpack[DerivativeOptions]) -> "xarray.Dataset":
    """Compute all second derivatives of a function at every point of a sweep.

    Args:
        f: a function that returns a number, an array, or a container of them.
        sweep: its arguments.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with `d2f_dx_dy` for each pair of arguments, in both orders, which share
        their memory. Its dims are the swept ones that it depends on, then the output's, then
        those of x and of y.
    """
    return plan("hessian", f, sweep, **options).run()


@also_by_name
def hvp(
    f: Function, sweep: Sweep, tangent: Mapping[str, Any], **options: Unpack[DerivativeOptions]
) -> "xarray.Dataset":
    """Compute H v, the derivative of the gradient along a tangent v, without forming H.

    Args:
        f: a function, as for `value`.
        sweep: its arguments.
        tangent: v, as for `jvp`. The gradient is taken with respect to the arguments in `wrt`.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with `hvp_x` for each argument x. Its dims are the swept ones that it depends
        on, then the output's, then the argument's.

    Raises:
        ArgumentError, SweepError: as `jvp` does.
    """
    return plan("hvp", f, sweep, tangent, **options).run()
