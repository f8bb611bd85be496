"""Turn a user's request into a Derivative and the leaves that it reads.

A function, a Sweep, and names and directions as the user wrote them enter; a Request leaves.
Nothing is traced here.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, get_args

import numpy as np

from gradsweep.request import pytree
from gradsweep.request.argument import Argument, require_same_coordinates
from gradsweep.request.directions.covariance import from_covariance
from gradsweep.request.directions.reading import read_direction
from gradsweep.request.directions.uncertainty import (
    read_correlations,
    require_stds,
    require_uncertain,
)
from gradsweep.request.directions.units import require_units
from gradsweep.request.function import BoundFunction, bind, note_held_fixed
from gradsweep.request.leaf import Leaf, axes_of, working_dtype
from gradsweep.request.named.arguments import (
    as_names,
    is_differentiated,
    is_within,
    require_argument,
    resolve,
    static_parts,
)
from gradsweep.request.named.words import as_words, resolve_words
from gradsweep.request.parsing import names_dims
from gradsweep.request.partition import SELECTED, Subset, n_points
from gradsweep.request.quantities import QUANTITIES, Derivative, Mode
from gradsweep.request.sweep import Sweep
from gradsweep.support.errors import ArgumentError, SweepError, nearest
from gradsweep.support.refusals import no_direction

__all__ = ["Request", "Selection", "make_request", "selections"]

# J v has the units of f, if v has those of its argument. The results of `hvp` and `vjp` have none,
# and their factor may be a derivative: the gradient, in the direction of steepest ascent.
_IN_UNITS_OF_F = ("jvp", "contributions")

# Every combination of categories is traced, and compiled.
_MOST_SELECTIONS = 1000


@dataclass(frozen=True, eq=False)
class Request:
    """A derivative to be computed, and everything that it reads.

    Attributes:
        leaves: the leaves of arguments and directions, by key; floating ones share one dtype.
        axes: the swept axes, in order, and their lengths.
        dtype: that dtype.
        chosen: the categories that were chosen of arguments that had several, by name.
    """

    bound: BoundFunction
    derivative: Derivative
    leaves: Mapping[str, Leaf]
    axes: Mapping[str, int]
    dtype: str
    chosen: frozenset[tuple[str, Hashable]] = frozenset()

    def with_leaves(self, leaves: Mapping[str, Leaf]) -> "Request":
        """Return the same request for leaves with other values."""
        return replace(self, leaves=leaves, axes=axes_of(leaves.values()))

    @property
    def n_points(self) -> int:
        return n_points(self.axes, self.axes)

    @property
    def categorical(self) -> tuple[Argument, ...]:
        """The arguments that are swept one category at a time."""
        return tuple(a for a in self.bound.arguments if a.categories is not None)

    @property
    def category_axes(self) -> frozenset[str]:
        """The axes along which categories vary, and no numbers."""
        names = {argument.name for argument in self.categorical}
        along = {name: set(self.leaves[name].dims) for name in names}
        numbers = [set(leaf.dims) for key, leaf in self.leaves.items() if key not in names]
        return frozenset(set().union(*along.values()).difference(*numbers))

    def at(self, argument: Argument, number: int) -> "Request":
        """Return the request with one category of an argument, which is then static."""
        assert argument.categories is not None
        every = {a.name: a for a in self.bound.arguments}
        every[argument.name] = argument.category(number)
        return replace(
            self,
            bound=self.bound.with_sweep(Sweep.from_arguments(every.values())),
            leaves={key: leaf for key, leaf in self.leaves.items() if key != argument.name},
            chosen=self.chosen | {(argument.name, argument.categories.keys[number])},
        )


@dataclass(frozen=True, eq=False)
class Selection:
    """The points of a sweep that have the same category of each argument.

    Attributes:
        request: the request with these categories, as static arguments, over the whole sweep.
        places: the points, with the numbers of the categories that are yet to be chosen.
        numbers: of the category of each argument.
        labels: what stands for each in results, by the argument's name.
        shown: the same in words, such as "kind='call'".
    """

    request: Request
    places: Subset
    numbers: tuple[int, ...] = ()
    labels: Mapping[str, Any] = field(default_factory=dict)
    shown: str = ""

    @property
    def subset(self) -> Subset:
        """The points, with the values of all leaves there."""
        whole, points = Subset(self.request.leaves, self.request.axes), self.places.points
        return whole if points is None else whole.choose(points.index)

    @property
    def dims(self) -> frozenset[str]:
        """The axes along which the categories vary."""
        return frozenset(() if self.places.points is None else self.places.points.index)

    @property
    def alone(self) -> Request:
        """The request over these points and no others.

        They lie along the first of `dims`, which stands for all of these; there is none where no
        number varies along them.
        """
        if self.places.points is None:
            return self.request
        index = self.places.points.index
        first = next(iter(index))
        gathered = {key: leaf.gather(index, first) for key, leaf in self.request.leaves.items()}
        return self.request.with_leaves(gathered)

    def by(self, argument: Argument) -> Iterator["Selection"]:
        """Yield the points that have each category of one more argument."""
        leaf, places = self.places.leaves[argument.name], self.places.without(argument.name)
        codes, categories = leaf.whole(), argument.categories
        assert categories is not None
        # A sweep without points is traced at the first.
        present = np.flatnonzero(np.bincount(codes.ravel())).tolist() if codes.size else [0]
        for number in present:
            name = f"{argument.name}={categories.shown(number)}"
            yield Selection(
                self.request.at(argument, number),
                places.where(codes == number, leaf.dims),
                (*self.numbers, number),
                {**self.labels, argument.name: categories.labels[number]},
                f"{self.shown}, {name}" if self.shown else name,
            )


def selections(request: Request) -> list[Selection]:
    """Return the points of each combination of categories, in order; all where there are none.

    Raises:
        SweepError: when there are too many combinations.
    """
    numbers = {a.name: request.leaves[a.name] for a in request.categorical}
    found = [Selection(request, Subset(numbers, request.axes))]
    for argument in request.categorical:
        parts = (part for selection in found for part in selection.by(argument))
        found = list(islice(parts, _MOST_SELECTIONS + 1))
        if len(found) > _MOST_SELECTIONS:
            n_categories = len(argument.categories.values) if argument.categories else 0
            raise SweepError(
                f"{request.bound.name} would be traced more than {_MOST_SELECTIONS:,} times, for "
                f"every combination of categories, and {argument.name!r} has {n_categories:,}.\n"
                f"Sweep fewer of them at a time."
            )
    return found


def make_request(
    quantity: str,
    f: Callable[..., Any],
    sweep: Sweep,
    direction: Any = None,
    wrt: str | Iterable[str] | None = None,
    with_value: bool = False,
    mode: Mode = "auto",
    correlation: Mapping[tuple[str, str], Any] | None = None,
    covariance: Any = None,
    order: int = 1,
    output_covariance: bool = False,
) -> Request:
    """Check and resolve a request.

    Args:
        direction: the tangent, cotangent or stds, or the words of a quantity that takes them.
        correlation, covariance, order, output_covariance: as `gradsweep.uncertainty` takes them.

    Raises:
        ArgumentError: when a name is not one of the function's.
        SweepError: when a direction has the wrong form, or an axis is called SELECTED.
    """
    bound = bind(f, sweep)
    row = QUANTITIES[quantity]
    kind = row.direction
    if covariance is not None:
        direction, correlation = from_covariance(bound, covariance, direction, correlation)
    written = _by_name(bound, kind, direction)
    if mode not in get_args(Mode):
        raise ArgumentError(
            f"there is no mode {mode!r}; there are {', '.join(get_args(Mode))}."
            f"{nearest(str(mode), get_args(Mode))}"
        )
    names = as_names(wrt)
    if kind == "std":
        require_uncertain(bound, written, order)
        names, with_value = tuple(written), True
    if kind == "tangent" and written:
        if names is None and row.order == 1:
            names = tuple(written)
        elif names is None:  # an argument without a tangent has a component of H v too
            given = [a.name for a in bound.arguments if is_differentiated(a)]
            names = tuple(dict.fromkeys([*given, *written]))
        for name in written:
            if not any(is_within(name, wanted) or is_within(wanted, name) for wanted in names):
                raise ArgumentError(f"the tangent names {name!r}, which is not in wrt={names}.")
    keys: tuple[str, ...] = ()
    of: tuple[tuple[str, ...], ...] = ()
    if row.takes_words:
        of = resolve_words(bound, quantity, as_words(quantity, direction))
        keys = tuple(dict.fromkeys(key for word in of for key in word))
    elif quantity != "value":
        bound, keys = resolve(bound, quantity, names)
    if wrt is None and not of and keys and (names is None or row.order > 1):
        note_held_fixed(bound, keys)
    read = {
        name: direction
        for given, value in written.items()
        for name, direction in _directions(bound, kind, given, value)
    }
    labelled = [*bound.arguments, *read.values()]
    if read:  # the arguments were compared when the Sweep was made
        require_same_coordinates(labelled)
    if kind == "std" or quantity in _IN_UNITS_OF_F:
        require_units(kind, read, bound.arguments)
    directions = {name: direction.leaves[0] for name, direction in read.items()}
    if kind == "tangent":
        for name in directions:
            if name not in keys:
                raise ArgumentError(f"the tangent has {name!r}, which is not in wrt={names}.")
    correlations: dict[tuple[str, ...], Leaf] = {}
    if kind == "std":
        require_stds(directions, labelled)
        keys = tuple(directions)  # what has no std is exact
        shapes = {leaf.key: leaf.shape for leaf in bound.sweep.leaves if leaf.key in keys}
        correlations = read_correlations(shapes, correlation, labelled)
    complex_along = frozenset(name for name, leaf in directions.items() if leaf.is_complex)
    leaves = [*bound.sweep.leaves, *directions.values()]
    dtype = working_dtype(leaves)
    leaves += correlations.values()
    axes = axes_of(leaves)
    if SELECTED in axes:
        raise SweepError(f"a dim may not be called {SELECTED!r}, as gradsweep calls one of its own")
    return Request(
        bound=bound,
        derivative=Derivative(
            quantity,
            keys,
            with_value,
            mode,
            along=tuple(directions),
            complex_along=complex_along,
            correlated=tuple(correlations),
            of=of,
            expansion=order if kind == "std" else 0,
            output_covariance=output_covariance,
        ),
        leaves={leaf.key: leaf.astype(dtype) if leaf.is_floating else leaf for leaf in leaves},
        axes=axes,
        dtype=dtype,
    )


def _by_name(bound: BoundFunction, kind: str, direction: Any) -> Mapping[str, Any]:
    """Return a tangent or stds by argument name, or a cotangent by output name."""
    if not kind:
        return {}
    if kind == "cotangent":
        if not (isinstance(direction, Mapping) or _is_record(direction)):
            return {bound.name: direction}
        whole = dict(direction) if isinstance(direction, Mapping) else direction
        parts = pytree.flatten(whole, (), lambda path, part: path != () and not _is_record(part))
        return {"_".join(path): part for path, part in parts}  # as outputs are named
    if not isinstance(direction, Mapping):
        it_is = f"it is a {type(direction).__name__}."
        raise SweepError(f"the {kind} must be a mapping by name, such as {{'S': 1.0}}; {it_is}")
    for name in direction:
        require_argument(bound, name, f"the {kind} names")
    return direction


def _directions(
    bound: BoundFunction, kind: str, name: str, value: Any
) -> Iterable[tuple[str, Argument]]:
    """Yield the parts of one direction, each with the leaf's key or output's name."""
    leaves = {leaf.key: leaf for leaf in bound.sweep.leaves} if kind != "cotangent" else {}
    if kind == "cotangent" or name in leaves:
        yield name, read_direction(kind, name, value, leaves.get(name))
        return
    dims: tuple[str, ...] = ()
    if isinstance(value, tuple) and len(value) == 2 and _are_dims(value[0]):
        dims, value = value
    held = require_argument(bound, name, f"the {kind} names")
    static = static_parts(bound.sweep.arguments[held])
    for path, part in pytree.flatten(value, (name,), lambda _, part: names_dims(part)):
        key = ".".join(path)
        if key in static and (
            part is None or (isinstance(part, str | int) and part == static[key])
        ):
            continue  # a dataclass has every entry
        if key not in leaves:
            raise no_direction(kind, key, name, [k for k in leaves if is_within(k, name)])
        along = dims and not names_dims(part)
        yield key, read_direction(kind, key, (dims, part) if along else part, leaves[key])


def _is_record(value: Any) -> bool:
    return pytree.is_record(value) and not names_dims(value)


def _are_dims(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, tuple | list) and all(isinstance(dim, str) for dim in value)
    )
