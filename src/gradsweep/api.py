"""The quantities: what a user calls.

A function, a Sweep and options enter; an xarray.Dataset leaves.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from gradsweep.engines.choice import EngineName
from gradsweep.planning.compiled import CompiledQuantity
from gradsweep.planning.plan import Plan
from gradsweep.planning.planner import Options, make_plan
from gradsweep.request.framework import FrameworkName
from gradsweep.request.quantities import QUANTITIES, Mode
from gradsweep.request.request import Request, make_request
from gradsweep.request.sweep import Sweep
from gradsweep.results.statistics import Statistic
from gradsweep.running.destination import make_destination
from gradsweep.running.run import OnError
from gradsweep.support.errors import ArgumentError, nearest

if TYPE_CHECKING:
    import xarray

__all__ = [
    "compile",
    "contributions",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "plan",
    "requested",
    "value",
    "vjp",
]

Function = Callable[..., Any]


class RunOptions(TypedDict, total=False):
    """How to compute.

    Attributes:
        engine: `"auto"`, or `"fused"`, `"reference"`, `"xla"`, `"torch"` or `"loop"`.
        framework: `"torch"` or `"jax"`, when it cannot be told from the function and its values.
        compile: whether the torch engine goes through `torch.compile`.
        threads: how many threads the fused engine may use; by default as many as the process
            may, or as the environment variable `GRADSWEEP_NUM_THREADS` says.
        memory_limit: what the process may take, in bytes or as `"2GB"`; by default a safe share
            of what is free. What cannot fit is refused before anything is computed.
        store: a path ending in `.zarr`, to which results are written as they are computed, or in
            `.nc`. The Dataset that comes back reads from it when it is used.
        resume: go on with an unfinished store of the same run, or begin one. The same call
            continues a run that was killed: it takes over from a process that is gone, and warns.
        overwrite: replace a store that is there.
        reduce: `"mean"`, `"variance"`, `"min"`, `"max"`, `"quantile"`, `"mean_square"`, or several:
            only these statistics are kept.
        dims: the swept dims that are reduced; by default all of them.
        quantiles: which ones, between 0 and 1, for `reduce="quantile"`.
        scheduler: a dask.distributed Client or its address, to compute on a cluster.
        progress: True or False to show how far it is or not to; by default longer runs show it
            in a terminal and in a notebook.
        on_error: `"raise"`, or `"mask"` to leave NaN where a point cannot be computed.
    """

    engine: EngineName
    framework: FrameworkName | None
    compile: bool
    threads: int | None
    memory_limit: int | float | str | None
    store: str | os.PathLike[str] | None
    resume: bool
    overwrite: bool
    reduce: Statistic | Sequence[Statistic] | None
    dims: str | Sequence[str] | None
    quantiles: Sequence[float] | None
    scheduler: Any
    progress: bool | None
    on_error: OnError


class DerivativeOptions(RunOptions, total=False):
    """What to differentiate, and how to compute it.

    Attributes:
        wrt: the names of the arguments to differentiate; by default every floating one, or
            those that the tangent names.
        with_value: whether to return the function's value too.
        mode: `"forward"` or `"reverse"` accumulation; `"auto"` takes the one that costs less here.
    """

    wrt: str | Iterable[str] | None
    with_value: bool
    mode: Mode


def value(f: Function, sweep: Sweep, **options: Unpack[RunOptions]) -> "xarray.Dataset":
    """Compute f itself at every point of a sweep.

    Args:
        f: a function written with torch, with JAX or with operators alone. It may return a
            number, an array, or a container of them; a dict gives a variable for each entry.
        sweep: its arguments.
        options: see `RunOptions`.

    Returns:
        A Dataset with one variable, called as the function, or one for each output. It has
        only the dims that it depends on, then the output's own (`f_0`, ...).

    Raises:
        ArgumentError: when the sweep's names do not match the function's.
        OutputError: when the function returns what is no array.
    """
    return plan("value", f, sweep, **options).run()


def gradient(f: Function, sweep: Sweep, **options: Unpack[DerivativeOptions]) -> "xarray.Dataset":
    """Compute the gradient of a scalar function at every point of a sweep.

    Args:
        f: a function that returns a number, or a container of numbers.
        sweep: its arguments.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with a partial derivative `df_dx` for each argument x. Each has only the dims
        that it depends on, then the argument's own (`x_0`, ...).

    Raises:
        ArgumentError: when names do not match the function's.
        OutputError: when the function returns an array; use `jacobian`.
    """
    return plan("gradient", f, sweep, **options).run()


def jacobian(f: Function, sweep: Sweep, **options: Unpack[DerivativeOptions]) -> "xarray.Dataset":
    """Compute the Jacobian J of a function at every point of a sweep.

    Args:
        f: a function that returns a number, an array, or a container of them.
        sweep: its arguments.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with a block `df_dx` for each argument x. Its dims are those swept that it
        depends on, then the output's (`f_0`, ...), then the argument's (`x_0`, ...).

    Raises:
        OutputError: when the function returns what is no array.
    """
    return plan("jacobian", f, sweep, **options).run()


def jvp(
    f: Function, sweep: Sweep, tangent: Mapping[str, Any], **options: Unpack[DerivativeOptions]
) -> "xarray.Dataset":
    """Compute J v, the derivative along a tangent v, without forming J.

    Args:
        f: a function, as for `value`.
        sweep: its arguments.
        tangent: v, by argument: a number, an array of the argument's own shape, or values
            swept like an argument's, `("quote", v)`. It is zero for arguments left out.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with `jvp`, or `jvp_y` for each output y of a container. Its dims are those
        swept that it depends on, then the output's (`f_0`, ...).

    Raises:
        ArgumentError: when the tangent names what is no argument, or none that is floating.
        SweepError: when an entry has another shape than its argument.
    """
    return plan("jvp", f, sweep, tangent, **options).run()


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
        over the elements of array arguments, is J v. The dims of each are those swept that it
        depends on, then the output's, then the argument's.

    Raises:
        ArgumentError, SweepError: as `jvp` does.
    """
    return plan("contributions", f, sweep, tangent, **options).run()


def vjp(
    f: Function, sweep: Sweep, cotangent: Any, **options: Unpack[DerivativeOptions]
) -> "xarray.Dataset":
    """Compute w J, the gradient of the outputs weighted by a cotangent w, without forming J.

    Args:
        f: a function, as for `value`.
        sweep: its arguments.
        cotangent: w: a number, an array of the output's own shape, or values swept like an
            argument's; by output name when the function returns a container.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with `vjp_x` for each argument x. Its dims are those swept that it depends on,
        then the argument's (`x_0`, ...).

    Raises:
        SweepError: when the cotangent has another shape than the output.
    """
    return plan("vjp", f, sweep, cotangent, **options).run()


def hessian(f: Function, sweep: Sweep, **options: Unpack[DerivativeOptions]) -> "xarray.Dataset":
    """Compute all second derivatives of a function at every point of a sweep.

    Args:
        f: a function that returns a number, an array, or a container of them.
        sweep: its arguments.
        options: see `DerivativeOptions`.

    Returns:
        A Dataset with `d2f_dx_dy` for each pair of arguments, in both orders, which share
        their memory. Its dims are those swept that it depends on, then the output's, then those
        of x and of y.
    """
    return plan("hessian", f, sweep, **options).run()


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
        A Dataset with `hvp_x` for each argument x. Its dims are those swept that it depends on,
        then the output's, then the argument's.

    Raises:
        ArgumentError, SweepError: as `jvp` does.
    """
    return plan("hvp", f, sweep, tangent, **options).run()


def compile(
    quantity: Function | str, f: Function, sweep: Sweep, *direction: Any, **options: Any
) -> CompiledQuantity:
    """Trace and compile a quantity once, to call it with new values.

    Args:
        quantity: `gs.gradient`, say, or its name.
        f: a function, as for `value`.
        sweep: its arguments; their dims are compiled in, their values and lengths are not.
            However few its points are, a Program is compiled to machine code.
        direction: the tangent or cotangent, for the quantities that take one.
        options: as for the quantity.

    Returns:
        A kernel; `kernel(S=new_spots, sigma=0.21)` returns a dict of arrays by variable name.
    """
    request, computing, where = requested(quantity, f, sweep, direction, options)
    if where:
        raise ArgumentError(
            f"compile has no option {next(iter(where))!r}: a kernel returns arrays in memory."
        )
    return CompiledQuantity(request, replace(computing, is_reused=True))


def plan(
    quantity: Function | str, f: Function, sweep: Sweep, *direction: Any, **options: Any
) -> Plan:
    """Decide how a quantity is computed, and compute nothing yet.

    Args:
        quantity: `gs.gradient`, say, or its name.
        f: a function, as for `value`.
        sweep: its arguments.
        direction: the tangent or cotangent, for the quantities that take one.
        options: as for the quantity.

    Returns:
        A Plan. Printing it tells the engine and why, the stages, and the dims and bytes of the
        results; `plan.run()` computes them.
    """
    request, computing, where = requested(quantity, f, sweep, direction, options)
    if not where:
        return make_plan(request, computing)
    limit = where.pop("memory_limit", None)
    return make_plan(request, computing, limit, make_destination(**where))


def requested(
    quantity: Function | str,
    f: Function,
    sweep: Sweep,
    direction: tuple[Any, ...],
    options: dict[str, Any],
) -> tuple[Request, Options, dict[str, Any]]:
    """Check what was asked for, and tell what is computed from how and where to.

    Args:
        quantity: `gs.gradient`, say, or its name.
        direction: the tangent or cotangent, for the quantities that take one.
        options: as for the quantity.
    """
    name = quantity if isinstance(quantity, str) else getattr(quantity, "__name__", "")
    if name not in QUANTITIES:
        raise ArgumentError(
            f"{quantity!r} is no quantity; there are {', '.join(QUANTITIES)}."
            f"{nearest(name, QUANTITIES)}"
        )
    allowed = (RunOptions if name == "value" else DerivativeOptions).__annotations__
    if kind := QUANTITIES[name].direction:
        direction = (*direction, *([options.pop(kind)] if kind in options else []))
    if len(direction) != bool(kind):
        takes = f"f, a sweep and a {kind}" if kind else "f and a sweep"
        raise ArgumentError(f"{name} takes {takes}; {len(direction) + 2} values were given.")
    for option in options:
        if option not in allowed:
            raise ArgumentError(
                f"{name} has no option {option!r}; it has {', '.join(allowed)}."
                f"{nearest(option, allowed)}\nThe function's arguments go into the Sweep."
            )
    running = {key: options.pop(key) for key in RunOptions.__annotations__ if key in options}
    computing = Options(**{key: running.pop(key) for key in _COMPUTING if key in running})
    return make_request(name, f, sweep, *direction, **options), computing, running


_COMPUTING = tuple(field.name for field in fields(Options))
