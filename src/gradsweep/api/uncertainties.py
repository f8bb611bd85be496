"""How uncertain a function is, from the uncertainty of its arguments."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from gradsweep.api.plans import plan
from gradsweep.planning.options import UncertaintyOptions, also_by_name
from gradsweep.request.sweep import Sweep

if TYPE_CHECKING:
    import xarray

__all__ = ["uncertainty"]

Function = Callable[..., Any]


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
    about the expectation f + tr(H C) / 2: exact where f is quadratic. The note to 5.1.2 of the GUM
    adds terms with third derivatives, g_i d3f/dx_i dx_j^2, to the second order; they are left out
    here.

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

        To `order=2` there are the expectation `f_expectation`, and `variance_share_second_order`,
        the share of tr(H C H C) / 2: where it is above 0.1, first order is not enough. The
        distance of the expectation from f, squared, is at most n / 2 times this share of the
        variance, for n uncertain elements. All shares sum to 1.

        `output_covariance=True` adds `covariance_y_z` for each two outputs y and z, with the dims
        of both, and for an array output y its covariance matrix, `covariance_y`, along its own
        dims twice.

    Raises:
        ArgumentError: when the std names no floating argument, or a correlation names what
            has no std.
        SweepError: when a std is negative, infinite or NaN, or has other units than its argument, a
            correlation is outside [-1, 1] or is given twice with other values, or the correlation
            matrix is not positive semidefinite at some point.
        OutputError: when an output is complex.

    Reference: JCGM 100:2008, Guide to the expression of uncertainty in measurement (GUM), 5.1.2
    and 5.2.2.
    """
    given = () if std is None else (std,)
    return plan("uncertainty", f, sweep, *given, **options).run()
