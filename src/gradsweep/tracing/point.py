"""A function at a point, and its derivatives there by two operators.

The pushforward (jvp) and the pullback (vjp) of a framework differentiate it in either mode. A
Derivative, a bound function and values enter; arrays of partial derivatives leave.
Knows no differentiation rule, no framework, and not which derivatives make a quantity.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gradsweep.request import pytree
from gradsweep.request.function import BoundFunction
from gradsweep.request.quantities import Derivative, Mode, Result, direction_key
from gradsweep.support.errors import OutputError, SweepError

__all__ = ["AD", "Array", "Arrays", "Partials", "Point", "RealOutput", "Rows", "basis_last"]

Array = Any
Arrays = tuple[Array, ...]
# For each result and each argument, the array of partial derivatives: the result's dims, then the
# argument's.
Partials = Sequence[Sequence[Array]]
Rows = list[tuple[Result, Array]]


class RealOutput(NamedTuple):
    """One output of a function as real numbers; of complex ones both parts, along a last dim."""

    array: Array
    is_complex: bool = False


class AD(Protocol):
    """The two operators of a framework, for functions of a tuple of arrays."""

    @property
    def outer(self) -> Mode:
        """The mode that differentiates gradients for Hessians, by default."""

    @property
    def along(self) -> Mode:
        """The mode that differentiates gradients along one direction, by default."""

    @property
    def knows_rules(self) -> bool:
        """Whether `is_symmetric` is known already; else once gradients were differentiated."""

    @property
    def is_symmetric(self) -> bool:
        """Whether Hessians are sure to be symmetric: no rule of the user's own was met."""

    def jvp(self, function: Callable, x: Arrays, v: Arrays) -> tuple[Arrays, Arrays]:
        """Return y = function(x) and J v, both tuples."""

    def columns(self, function: Callable, x: Arrays) -> tuple[Arrays, list[Arrays]]:
        """Return y = function(x) and J v for every v of the basis, as `over_basis` does."""

    def vjp(self, function: Callable, x: Arrays) -> tuple[Arrays, Callable[[Arrays], Arrays]]:
        """Return y = function(x) and w -> w J."""

    def over_basis(self, function: Callable, like: Arrays) -> list[Arrays]:
        """Apply a linear `function` to every vector of the standard basis of the space of `like`.

        Returns:
            For each array of `like`, of shape s, a tuple of the function's results, each of
            shape (*s, *own shape): the dims of the basis vector come first.
        """

    def as_output(self, path: str, value: Any) -> RealOutput:
        """Return one output of the user's function as an array of real numbers."""

    def paired(self, array: Array) -> Array:
        """Return real numbers as the parts of complex ones, along a last dim."""

    def zeros_like(self, array: Array) -> Array: ...

    def nothing_like(self, array: Array) -> Array | None:
        """Return the tangent or cotangent of an array that was given none: zeros, or None."""

    def total(self, array: Array, axes: Sequence[int]) -> Array:
        """Return the sum over some axes, possibly none."""

    def moveaxis(self, array: Array, source: Sequence[int], target: Sequence[int]) -> Array: ...

    def stack(self, arrays: Sequence[Array]) -> Array:
        """Return arrays without dims as one array."""

    def sqrt(self, array: Array) -> Array: ...

    def scale(self, arrays: Sequence[Array]) -> Array:
        """Return the largest magnitude along the last dims of all; 1 where it has no inverse."""


class Point:
    """A function at a point, and its derivative to be taken there.

    Attributes:
        x: the arrays that the function is differentiated with respect to.
        y, paths: the outputs and their paths, once the function was called.
        are_complex: for each output, whether its last dim holds the parts of complex numbers.
        complex_wrt: the keys of `x` whose last dim holds the parts of complex numbers.
    """

    def __init__(
        self, derivative: Derivative, function: BoundFunction, ad: AD, values: Mapping[str, Array]
    ):
        self.derivative, self.function, self.ad, self.values = derivative, function, ad, values
        self.x = tuple(values[key] for key in derivative.wrt)
        self.complex_wrt = frozenset(
            leaf.key for leaf in function.sweep.leaves if leaf.is_complex
        ).intersection(derivative.wrt)
        self.y: Arrays = ()
        self.paths: list[str] = []
        self.are_complex: list[bool] = []

    # -- the function, and its derivatives

    def f(self, *x: Array) -> Arrays:
        outputs = pytree.flatten(
            self.function({**self.values, **dict(zip(self.derivative.wrt, x))})
        )
        named = [("_".join(path), value) for path, value in outputs]
        self.paths = [path for path, _ in named]
        found = [self.ad.as_output(path, value) for path, value in named]
        self.are_complex = [output.is_complex for output in found]
        return tuple(output.array for output in found)

    def evaluate(self) -> None:
        """Compute y by itself: an output seen inside a derivative belongs to that derivative."""
        self.y = self.f(*self.x)

    @property
    def outer(self) -> Mode:
        """The mode that differentiates gradients: the one asked for, or the framework's."""
        asked = self.derivative.outer
        return self.ad.outer if asked == "auto" else asked

    def partials(self, *x: Array) -> Arrays:
        """Return all partial derivatives: those of the first output, then of the next."""
        _, table = self.jacobian(self.f, x, self.derivative.mode)
        return tuple(partial for row in table for partial in row)

    def jacobian(self, function: Callable, x: Arrays, mode: Mode) -> tuple[Arrays, Partials]:
        """Return y = function(x) and its partial derivatives, by columns or by rows."""
        ad = self.ad
        if mode == "forward":
            y, columns = ad.columns(function, x)
            return y, [
                [basis_last(ad, column[o], x[i]) for i, column in enumerate(columns)]
                for o in range(len(y))
            ]
        y, pull = ad.vjp(function, x)
        return y, ad.over_basis(pull, y)

    def push(
        self, function: Callable, x: Arrays, v: Arrays, mode: Mode
    ) -> tuple[Arrays, Sequence[Array]]:
        """Return y = function(x) and J v, in reverse mode by the rows of J."""
        if mode == "forward":
            return self.ad.jvp(function, x, v)
        y, table = self.jacobian(function, x, "reverse")
        return y, [self.sum(self._times(row, v)) for row in table]

    def pull(self, w: Callable[[], Arrays], mode: Mode) -> Sequence[Array]:
        """Return w J, in forward mode by the columns of J; `w` is called once y is known."""
        if mode == "reverse":
            self.y, pull = self.ad.vjp(self.f, self.x)
            return pull(w())
        self.y, table = self.jacobian(self.f, self.x, "forward")
        weights = w()
        ad, products = self.ad, []
        for i in range(len(self.x)):
            terms = []
            for weight, row in zip(weights, table):
                if weight is None:
                    continue
                n, n_dims = len(weight.shape), len(row[i].shape)
                spread = weight.reshape((*weight.shape, *(1,) * (n_dims - n)))
                terms.append(ad.total(row[i] * spread, range(n)))
            products.append(self.sum(terms))
        return products

    def _times(self, row: Sequence[Array], v: Arrays) -> list[Array]:
        """Return the term of each argument that has a tangent in J v."""
        found = []
        for partial, tangent in zip(row, v):
            if tangent is None:
                continue
            n, n_dims = len(tangent.shape), len(partial.shape)
            found.append(self.ad.total(partial * tangent, range(n_dims - n, n_dims)))
        return found

    @staticmethod
    def sum(terms: Sequence[Array]) -> Array:
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    # -- directions

    @property
    def tangent(self) -> Arrays:
        wrt = self.derivative.wrt
        return self.direction(wrt, self.x, [key in self.complex_wrt for key in wrt])

    def cotangent(self) -> Arrays:
        names = _output_names(self.function.name, self.paths, self.derivative.along)
        return self.direction(names, self.y, self.are_complex)

    def direction(self, names: Sequence[str], like: Arrays, are_complex: Sequence[bool]) -> Arrays:
        """Return the tangent or cotangent of each array; a number stands for every element."""
        kind, chosen = self.derivative.direction, []
        for name, array, is_complex in zip(names, like, are_complex):
            if name not in self.derivative.along:
                chosen.append(self.ad.nothing_like(array))
                continue
            given = self.values[direction_key(kind, name)]
            if name not in self.derivative.complex_along:
                given = self.ad.paired(given) if is_complex else given
            elif not is_complex:
                raise SweepError(f"the {kind} of {name!r} is complex, and {name} is real.")
            parts = (2,) if is_complex else ()
            if tuple(given.shape) not in (parts, tuple(array.shape)):
                n = len(parts)
                raise SweepError(
                    f"the {kind} of {name!r} has shape {tuple(given.shape)[: given.ndim - n]}; "
                    f"{name} has shape {tuple(array.shape)[: array.ndim - n]}."
                )
            chosen.append(self.ad.zeros_like(array) + given)
        return tuple(chosen)

    # -- results

    def label(self, kind: str, wrt: Sequence[tuple[int, ...]], table: Partials) -> Rows:
        """Label the arrays of a table: it has a row for each output, a column for each of `wrt`."""
        return [
            (self.result(kind, o, keys, array), array)
            for o, row in enumerate(table)
            for keys, array in zip(wrt, row)
        ]

    def result(self, kind: str, o: int | None, keys: Sequence[int], array: Array) -> Result:
        return Result(
            kind=kind,
            output="" if o is None else self.paths[o],
            wrt=tuple(self.derivative.wrt[i] for i in keys),
            output_shape=() if o is None else tuple(self.y[o].shape),
            wrt_shapes=tuple(tuple(self.x[i].shape) for i in keys),
            is_bool=str(array.dtype).endswith("bool"),
            is_complex=o is not None and self.are_complex[o],
            complex_wrt=self.complex_wrt.intersection(self.derivative.wrt[i] for i in keys),
        )

    @property
    def singly(self) -> list[tuple[int]]:
        return [(i,) for i in range(len(self.x))]


def _output_names(name: str, paths: Sequence[str], along: Sequence[str]) -> list[str]:
    """Return the names of outputs in cotangents: a bare one has the function's name."""
    names = [path or name for path in paths]
    for given in along:
        if given not in names:
            raise OutputError(
                f"{name} has no output {given!r}; it returns {', '.join(names)}.\n"
                f"Give cotangents by output name."
            )
    return names


def basis_last(ad: AD, array: Array, basis: Array) -> Array:
    """Move the dims of the basis vector from the front of an array to its end."""
    n, n_dims = len(basis.shape), len(array.shape)
    return ad.moveaxis(array, range(n), range(n_dims - n, n_dims)) if n else array
