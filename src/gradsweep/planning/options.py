"""The options of a call, sorted by what they are for.

Options by name enter; ComputeOptions, DestinationOptions and the options of the request itself
leave, and the Request of a call. A call without a Sweep has the arguments of f among them, which
become one. Nothing is opened, imported or decided here.
"""

import functools
import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Concatenate, ParamSpec, Protocol, TypedDict, TypeVar, overload

from gradsweep.engines.choice import ComputeOptions, EngineName
from gradsweep.request.framework import FrameworkName
from gradsweep.request.function import function_name, parameters_of
from gradsweep.request.quantities import QUANTITIES, Mode
from gradsweep.request.request import Request, make_request
from gradsweep.request.sweep import Sweep, require_sweep
from gradsweep.results.statistics import Statistic
from gradsweep.running.destination import DestinationOptions
from gradsweep.running.run import OnError
from gradsweep.support.errors import ArgumentError, nearest
from gradsweep.support.words import quoted

__all__ = [
    "DerivativeOptions",
    "Options",
    "PartialsOptions",
    "RunOptions",
    "UncertaintyOptions",
    "also_by_name",
    "quantity_name",
    "read_options",
    "requested",
    "require_in_memory",
]

Function = Callable[..., Any]

P = ParamSpec("P")
R = TypeVar("R")
Found = TypeVar("Found", covariant=True)


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


class PartialsOptions(RunOptions, total=False):
    """How to differentiate and compute what words name.

    Attributes:
        with_value: whether to return the function's value too.
        mode: `"forward"` or `"reverse"` accumulation; `"auto"` takes the one that costs less here.
    """

    with_value: bool
    mode: Mode


class DerivativeOptions(PartialsOptions, total=False):
    """What to differentiate, and how to compute it.

    Attributes:
        wrt: the names of the arguments to differentiate, or paths of entries in them, `"p.beta"`;
            by default every floating one that the sweep gives, or those that the tangent names.
        with_value: whether to return the function's value too.
        mode: `"forward"` or `"reverse"` accumulation; `"auto"` takes the one that costs less here.
    """

    wrt: str | Iterable[str] | None


class UncertaintyOptions(RunOptions, total=False):
    """How uncertain arguments vary together, and how to compute.

    Attributes:
        correlation: by pairs of names, see `gradsweep.uncertainty`.
        covariance: of the arguments, in place of std and correlation; see `gradsweep.uncertainty`.
        order: 1, by default, for the linear part of the function; 2 for the quadratic too.
        output_covariance: whether to return the covariance of the outputs too.
        mode: as for derivatives.
    """

    correlation: Mapping[tuple[str, str], Any] | None
    covariance: Any
    order: int
    output_covariance: bool
    mode: Mode


@dataclass(frozen=True)
class Options:
    """The options of one call, by what they are for.

    Attributes:
        derivative: the options of the request itself: `wrt`, `with_value`, `mode`, `correlation`
            and so on.
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
    allowed = _options_of(quantity)
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


def _options_of(quantity: str) -> Collection[str]:
    row = QUANTITIES[quantity]
    if row.direction == "std":
        return UncertaintyOptions.__annotations__
    if row.takes_words:  # they say themselves what is differentiated
        return PartialsOptions.__annotations__
    return (DerivativeOptions if row.order else RunOptions).__annotations__


def quantity_name(quantity: Any) -> str:
    """Return the name of a quantity, given as one of gradsweep's functions or by its name.

    Raises:
        ArgumentError: when there is no such quantity.
    """
    name = quantity if isinstance(quantity, str) else getattr(quantity, "__name__", "")
    if name not in QUANTITIES or not (isinstance(quantity, str) or _is_own(quantity)):
        raise ArgumentError(
            f"{quantity!r} is no quantity; there are {', '.join(QUANTITIES)}."
            f"{nearest(name, QUANTITIES)}"
        )
    return name


def _is_own(quantity: Any) -> bool:
    """Tell whether a function is gradsweep's own, not one of the user's by the same name."""
    return str(getattr(quantity, "__module__", "")).startswith("gradsweep.api.")


_SAY_HOW_UNCERTAIN = (
    "Say how uncertain the arguments are: std={'S': 0.5}, by name, or covariance=..., a matrix."
)


def requested(
    quantity: Function | str,
    f: Function,
    sweep: Sweep,
    direction: tuple[Any, ...],
    options: Mapping[str, Any],
) -> tuple[Request, Options]:
    """Check a call of a quantity; return its Request and its Options.

    Args:
        quantity: a function such as `gs.gradient`, or its name.
        direction: the tangent, cotangent, std or words, for the quantities that take them.
        options: as for the quantity.

    Raises:
        ArgumentError: when there is no such quantity or option, or the direction is missing.
    """
    name = quantity_name(quantity)
    row = QUANTITIES[name]
    kind = row.takes
    if kind and kind in options:
        direction = (*direction, options[kind])
        options = {key: value for key, value in options.items() if key != kind}
    if row.takes_words and len(direction) != 1:  # one by one, in place of a list
        direction = (direction,)
    is_elsewhere = kind == "std" and not direction and options.get("covariance") is not None
    if len(direction) != bool(kind) and not is_elsewhere:
        takes = f"f, a sweep and a {kind}" if kind else "f and a sweep"
        missing = "" if direction or kind != "std" else f"\n{_SAY_HOW_UNCERTAIN}"
        given = f"{len(direction) + 2} values were given"
        raise ArgumentError(f"{name} takes {takes}; {given}.{missing}")
    chosen = read_options(name, options)
    return make_request(name, f, sweep, *direction, **chosen.derivative), chosen


def require_in_memory(caller: str, given: Mapping[str, Any], why: str) -> None:
    """Refuse the options of a destination, for callers that have none.

    Raises:
        ArgumentError: when one is given; `why` is its second clause.
    """
    for name in _DESTINATION:
        if name in given:
            raise ArgumentError(f"{caller} has no option {name!r}: {why}.")


class _OfFunction(Protocol[P, Found]):
    """What is called with f and a Sweep, or with f and its arguments by name."""

    @overload
    def __call__(
        self, f: Function, sweep: Sweep, /, *rest: P.args, **options: P.kwargs
    ) -> Found: ...
    @overload
    def __call__(self, f: Function, /, **given: Any) -> Found: ...


class _OfQuantity(Protocol[P, Found]):
    """The same, with a quantity before f."""

    @overload
    def __call__(
        self,
        quantity: Function | str,
        f: Function,
        sweep: Sweep,
        /,
        *rest: P.args,
        **options: P.kwargs,
    ) -> Found: ...
    @overload
    def __call__(self, quantity: Function | str, f: Function, /, **given: Any) -> Found: ...


@overload
def also_by_name(function: Callable[Concatenate[Function, Sweep, P], R]) -> _OfFunction[P, R]: ...
@overload
def also_by_name(
    function: Callable[Concatenate[Function | str, Function, Sweep, P], R],
) -> _OfQuantity[P, R]: ...
def also_by_name(function: Callable[..., Any]) -> Any:
    """Let a call give the arguments of f by name, in place of a Sweep.

    With a Sweep, keywords are options and nothing else. Without one, each keyword is an option or
    an argument of f.

    Args:
        function: takes a quantity or none, then `f`, then `sweep`, then options.
    """
    caller = function.__name__
    parameters = inspect.signature(function).parameters
    place = list(parameters).index("sweep")
    after = list(parameters.values())[place + 1 :]
    own = {p.name for p in after if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    # plan and compile take the quantity first; check and compare take it as an option.
    usual = parameters["quantity"].default if "quantity" in own else caller

    @functools.wraps(function)
    def call(*positional: Any, **given: Any) -> Any:
        if place == 2:
            _require_quantity_first(caller, positional, given)
        if len(positional) == place and isinstance(given.get("sweep"), Sweep):
            positional = (*positional, given.pop("sweep"))
        if len(positional) > place:
            require_sweep(positional[place], lambda: _by_name_too(caller, positional, place, given))
        if len(positional) != place:
            return function(*positional, **given)
        quantity = quantity_name(positional[0] if place == 2 else given.get("quantity", usual))
        options = {*own, *_options_of(quantity), QUANTITIES[quantity].takes} - {""}
        names = _arguments_among(caller, positional[-1], given, options)
        sweep = Sweep({name: given.pop(name) for name in names})
        return function(*positional, sweep, **given)

    return call


def _by_name_too(
    caller: str, positional: tuple[Any, ...], place: int, given: Mapping[str, Any]
) -> str:
    """Say how words and directions are written in a call without a Sweep, which this may be."""
    name = positional[0] if place == 2 else given.get("quantity", caller)
    name = name if isinstance(name, str) else getattr(name, "__name__", "")
    takes = QUANTITIES[name].takes if name in QUANTITIES else ""
    if not takes or not given:
        return ""
    words = [word for word in positional[place:] if isinstance(word, str)]
    value = f"[{', '.join(quoted(word) for word in words)}]" if takes == "of" and words else "..."
    return f"\nWithout a Sweep, what {name} takes is named: {takes}={value}."


def _require_quantity_first(caller: str, given: tuple[Any, ...], named: Iterable[str]) -> None:
    """Check that the quantity was not forgotten, as in plan(price, sweep)."""
    is_forgotten = len(given) == 1 or (len(given) > 1 and isinstance(given[1], Sweep))
    if is_forgotten and callable(given[0]) and not _is_own(given[0]):
        name = function_name(given[0])
        rest = "sweep" if len(given) > 1 else ", ".join(f"{argument}=..." for argument in named)
        others = ", ".join(name for name in QUANTITIES if name != "gradient")
        raise ArgumentError(
            f"{caller} takes a quantity first, and {name} is the function.\n"
            f"Write gs.{caller}(gs.gradient, {name}, {rest}), or name another: {others}."
        )


def _arguments_among(
    caller: str, f: Function, given: Iterable[str], options: Collection[str]
) -> list[str]:
    """Return which keywords of a call without a Sweep are arguments of f.

    Raises:
        ArgumentError: when one may be both, or is neither.
    """
    name, parameters = function_name(f), parameters_of(f)
    named = [p.name for p in parameters or () if p.kind is not p.VAR_KEYWORD]
    takes_any = parameters is None or len(named) < len(parameters)
    found = []
    for word in given:
        is_argument = takes_any or word in named
        if is_argument and word in options:
            takes = f"has an argument {word!r}"
            if word not in named:
                takes = f"takes any name as an argument, {word!r} too"
            raise ArgumentError(
                f"{word!r} is an option of {caller}, and {name} {takes}.\n"
                f"Give the arguments of {name} in a Sweep, gs.Sweep(...); keywords are then "
                f"options."
            )
        if not is_argument and word not in options:
            takes = ", ".join(named) or "no arguments"
            raise ArgumentError(
                f"{word!r} is neither an argument of {name}, which takes {takes}, nor an option "
                f"of {caller}.{nearest(word, [*named, *options])}"
            )
        if is_argument:
            found.append(word)
    return found
