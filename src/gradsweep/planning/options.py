"""The options of a call, sorted by what they are for.

Options by name enter; ComputeOptions, DestinationOptions and the options of the request itself
leave. Nothing is opened, imported or decided here.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypedDict

from gradsweep.engines.choice import ComputeOptions, EngineName
from gradsweep.request.framework import FrameworkName
from gradsweep.request.quantities import QUANTITIES, Mode
from gradsweep.results.statistics import Statistic
from gradsweep.running.destination import DestinationOptions
from gradsweep.running.run import OnError
from gradsweep.support.errors import ArgumentError, nearest

__all__ = ["DerivativeOptions", "Options", "RunOptions", "read_options", "require_in_memory"]


class RunOptions(TypedDict, total=False):
    """How to compute.

    Attributes:
        engine: `"auto"`, or `"fused"`, `"reference"`, `"xla"`, `"torch"` or `"loop"`.
        framework: `"torch"` or `"jax"`, when it cannot be told from the function and its values.
        compile: whether the torch engine goes through `torch.compile`.
        threads: how many threads the fused engine may use; by default as many as the process
            may, or as the environment variable `GRADSWEEP_NUM_THREADS` says.
        memory_limit: how much memory the process may take, in bytes or as `"2GB"`; by default a
            safe share of the free memory. A sweep that cannot fit is refused before it is computed.
        store: a path ending in `.zarr`, to which results are written as they are computed, or in
            `.nc`. The Dataset that comes back reads from it when it is used.
        resume: go on with an unfinished store of the same run, or begin one. The same call
            continues a run that was killed: it takes over from a process that is gone, and warns.
        overwrite: replace an existing store.
        reduce: `"mean"`, `"variance"`, `"min"`, `"max"`, `"quantile"`, `"mean_square"`, or several:
            only these statistics are kept.
        dims: the swept dims that are reduced; by default all of them.
        quantiles: numbers between 0 and 1, for `reduce="quantile"`.
        scheduler: a dask.distributed Client or its address, to compute on a cluster.
        progress: True to show the progress, False not to; by default longer runs show it in a
            terminal and in a notebook.
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


@dataclass(frozen=True)
class Options:
    """The options of one call, by what they are for.

    Attributes:
        derivative: the options of the request itself: `wrt`, `with_value`, `mode`.
    """

    derivative: Mapping[str, Any]
    computing: ComputeOptions
    destination: DestinationOptions


_COMPUTING, _DESTINATION = (
    tuple(field.name for field in fields(kind) if field.name in RunOptions.__annotations__)
    for kind in (ComputeOptions, DestinationOptions)
)


def read_options(quantity: str, given: Mapping[str, Any]) -> Options:
    """Sort the options of a quantity by what they are for.

    Raises:
        ArgumentError: when the quantity has no option of that name, or its value is impossible.
    """
    kind = DerivativeOptions if QUANTITIES[quantity].order else RunOptions
    allowed = kind.__annotations__
    for name in given:
        if name not in allowed:
            raise ArgumentError(
                f"{quantity} has no option {name!r}; it has {', '.join(allowed)}."
                f"{nearest(name, allowed)}\nThe function's arguments go into the Sweep."
            )
    return Options(
        {name: value for name, value in given.items() if name not in RunOptions.__annotations__},
        ComputeOptions(**{name: given[name] for name in _COMPUTING if name in given}),
        DestinationOptions(**{name: given[name] for name in _DESTINATION if name in given}),
    )


def require_in_memory(caller: str, given: Mapping[str, Any], why: str) -> None:
    """Refuse the options of a destination, for callers that have none.

    Raises:
        ArgumentError: when one is given; `why` is its second clause.
    """
    for name in _DESTINATION:
        if name in given:
            raise ArgumentError(f"{caller} has no option {name!r}: {why}.")
