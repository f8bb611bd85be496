"""The quantities that a user calls.

A function, a Sweep and options enter; an xarray.Dataset leaves. In place of the Sweep, a call may
give the arguments of the function by name: `gs.gradient(price, S=spots, K=100.0)`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from gradsweep.planning.compiled import CompiledQuantity
from gradsweep.planning.options import (
    DerivativeOptions,
    PartialsOptions,
    RunOptions,
    UncertaintyOptions,
    also_by_name,
    requested,
    require_in_memory,
)
from gradsweep.planning.plan import Plan
from gradsweep.planning.planner import make_plan
from gradsweep.request.sweep import Sweep

if TYPE_CHECKING:
    import xarray

__all__ = [
    "DerivativeOptions",
    "PartialsOptions",
    "RunOptions",
    "UncertaintyOptions",
    "compile",
    "contributions",
    "curl",
    "divergence",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "laplacian",
    "partials",
    "plan",
    "uncertainty",
    "value",
    "vjp",
]

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
            complex argument it is a complex number.
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


@also_by_name
def uncertainty(
    f: Function,
    sweep: Sweep,
    std: Mapping[str, Any] | None = None,
    **options: Unpack[UncertaintyOptions],
) -> "xarray.Dataset":
    """Compute how uncertain a function is, from the uncertainty of its arguments.

    The variance of each output is g C g', for its gradient g and the covariance C of the arguments:
    exact where f is linear, and good where f hardly bends over a few standard deviations.

    To `order=2`, for jointly normal arguments, it is g C g' + tr(H C H C) / 2 for the Hessian H,
    about the mean f + tr(H C) / 2: exact where f is quadratic. The note to 5.1.2 of the GUM adds
    terms with third derivatives, g_i d3f/dx_i dx_j^2, to the second order; they are left out here.

    Args:
        f: a function, as for `value`, of real outputs.
        sweep: its arguments.
        std: the standard deviation of each argument that has one, by name: a number, an array of
            the argument's own shape, or values swept like an argument's, `("quote", s)`. It is 0
            or more; 0, and an argument left out, means exact.
        options: see `UncertaintyOptions`. `correlation={("S", "sigma"): -0.7}` says which
            arguments vary together: by pair a number between -1 and 1, or swept values. A pair
            of array arguments may have an array of the shapes of both; a pair of one with itself
            has the correlation matrix of its elements, or one number for any two of
            them. Pairs left out have the correlation 0. In place of std and correlation,
            `covariance` is an xarray.DataArray with two dims whose coordinates name the same
            arguments, or elements of one, `q[0]`, its other dims being swept; or a DataFrame,
            such as `DataFrame.cov()`.

    Returns:
        A Dataset with the value, named after the function; its standard deviation `f_std`; and
        for each argument x that has a std its share of the variance, `variance_share_x` =
        g_x (C g')_x / g C g'. An array argument has one share, the sum of its elements'. The
        shares sum to 1; with correlations one may be negative or exceed 1. They are NaN where
        the variance is 0. Several outputs have `y_std` and `variance_share_y_x` for each
        output y; an array output has a std and shares for each of its elements. The dims of each
        are the swept ones that it depends on, then the output's.

        To `order=2` there are the mean `f_mean`, and `variance_share_second_order`, the share of
        tr(H C H C) / 2: where it is above 0.1, first order is not enough. The distance of the
        mean from f, squared, is at most n / 2 times this share of the variance, for n
        uncertain elements. All shares sum to 1.

        `output_covariance=True` adds `covariance_y_z` for each two outputs y and z, with the dims
        of both, and for an array output y its covariance matrix, `covariance_y`, along its own
        dims twice.

    Raises:
        ArgumentError: when the std names no floating argument, or a correlation names what
            has no std.
        SweepError: when a std is negative or NaN, a correlation is outside [-1, 1] or is
            given twice with other values, or the correlation matrix is not positive semidefinite at
            some point.
        OutputError: when an output is complex.

    Reference: JCGM 100:2008, Guide to the expression of uncertainty in measurement (GUM), 5.1.2
    and 5.2.2.
    """
    given = () if std is None else (std,)
    return plan("uncertainty", f, sweep, *given, **options).run()


@also_by_name
def partials(
    f: Function, sweep: Sweep, *of: str | Iterable[str], **options: Unpack[PartialsOptions]
) -> "xarray.Dataset":
    """Compute any partial derivatives of a function, of any order, at every point of a sweep.

    Args:
        f: a function that returns a number, an array, or a container of them.
        sweep: its arguments.
        of: words that name derivatives by their arguments, in the order in which f is
            differentiated: `"S"`, `"S S"`, `"S sigma"`; or a list of them. An entry of a
            container is written with dots, `"p.beta"`.
        options: see `PartialsOptions`.

    Returns:
        A Dataset with one variable for each word and output: `df_dS`, `d2f_dS_dsigma`,
        `d3f_dS_dS_dS`. Its dims are the swept ones that it depends on, then the output's, then
        those of each argument, in the order of the word. Nothing else is computed, and what the
        derivatives have in common is computed once.

    Raises:
        ArgumentError: when there is no word, one is there twice, or names what is no argument or
            has no derivative, as an integer.
    """
    return plan("partials", f, sweep, *of, **options).run()


@also_by_name
def laplacian(f: Function, sweep: Sweep, **options: Unpack[DerivativeOptions]) -> "xarray.Dataset":
    """Compute the Laplacian of a function, the sum of its unmixed second derivatives.

    Args:
        f: a function that returns a number, an array, or a container of them.
        sweep: its arguments.
        options: see `DerivativeOptions`. `wrt` names the coordinates: numbers, or arrays, whose
            elements are all summed over.

    Returns:
        A Dataset with `laplacian`, or `laplacian_y` for each output y of a container. Its dims are
        the swept ones that it depends on, then the output's. Mixed derivatives are not computed.
    """
    return plan("laplacian", f, sweep, **options).run()


@also_by_name
def divergence(F: Function, sweep: Sweep, **options: Unpack[DerivativeOptions]) -> "xarray.Dataset":
    """Compute the divergence of a field, the sum of dF_i/dx_i.

    Args:
        F: a function that returns the n components of a field: an array of shape (n,), or n
            numbers.
        sweep: its arguments.
        options: see `DerivativeOptions`. `wrt` names the coordinates: one array argument of shape
            (n,), or n numbers in the order of the components.

    Returns:
        A Dataset with `divergence`, along the swept dims that it depends on.

    Raises:
        OutputError: when there are not as many coordinates as components.
    """
    return plan("divergence", F, sweep, **options).run()


@also_by_name
def curl(F: Function, sweep: Sweep, **options: Unpack[DerivativeOptions]) -> "xarray.Dataset":
    """Compute the curl of a field of three components.

    Args:
        F: a function that returns the components: an array of shape (3,), or three numbers.
        sweep: its arguments.
        options: see `DerivativeOptions`. `wrt` names the coordinates: one array argument of shape
            (3,), or three numbers in the order of the components.

    Returns:
        A Dataset with `curl`. Its dims are the swept ones that it depends on, then that of the
        components, `F_0`.

    Raises:
        OutputError: when there are not three components and three coordinates.
    """
    return plan("curl", F, sweep, **options).run()


@also_by_name
def compile(
    quantity: Function | str, f: Function, sweep: Sweep, *direction: Any, **options: Any
) -> CompiledQuantity:
    """Trace and compile a quantity once, to call it with new values.

    Args:
        quantity: a function such as `gs.gradient`, or its name.
        f: a function, as for `value`.
        sweep: its arguments; their dims are compiled in, their values and lengths are not.
            A Program is compiled to machine code even for few points.
        direction: the tangent, cotangent, std or words, for the quantities that take them.
        options: as for the quantity.

    Returns:
        A kernel; `kernel(S=new_spots, sigma=0.21)` returns a dict of arrays by variable name.
    """
    require_in_memory("compile", options, "a kernel returns arrays in memory")
    request, chosen = requested(quantity, f, sweep, direction, options)
    return CompiledQuantity(request, replace(chosen.computing, is_reused=True))


@also_by_name
def plan(
    quantity: Function | str, f: Function, sweep: Sweep, *direction: Any, **options: Any
) -> Plan:
    """Decide how a quantity is computed, and compute nothing yet.

    Args:
        quantity: a function such as `gs.gradient`, or its name.
        f: a function, as for `value`.
        sweep: its arguments.
        direction: the tangent, cotangent, std or words, for the quantities that take them.
        options: as for the quantity.

    Returns:
        A Plan. Printing it tells the engine and why, the stages, and the dims and bytes of the
        results; `plan.run()` computes them.
    """
    request, chosen = requested(quantity, f, sweep, direction, options)
    return make_plan(request, chosen.computing, chosen.destination)
