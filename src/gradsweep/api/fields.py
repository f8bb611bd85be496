"""Partial derivatives of any order, and the operators of fields that are sums of them."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Unpack

from gradsweep.api.plans import plan
from gradsweep.planning.options import DerivativeOptions, PartialsOptions, also_by_name
from gradsweep.request.sweep import Sweep

if TYPE_CHECKING:
    import xarray

__all__ = ["curl", "divergence", "laplacian", "partials"]

Function = Callable[..., Any]


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
        the swept ones that it depends on, then the output's. No mixed derivative is computed, but
        of a torch function that is no Program, which takes rows of the Hessian.
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
