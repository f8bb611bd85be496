"""Compose every quantity of two operators.

The pushforward (jvp) and the pullback (vjp) of a framework give each row of the table of
quantities, at one point. A Derivative and a bound function enter, arrays leave. There is no
differentiation rule here, and no framework.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gradsweep import tree
from gradsweep.derivative import Derivative, Result, direction_key
from gradsweep.errors import OutputError, SweepError
from gradsweep.function import BoundFunction

__all__ = ["AD", "compose"]

Array = Any


class AD(Protocol):
    """What a framework offers: its two operators, over functions of a tuple of arrays."""

    def jvp(self, function: Callable, x: tuple, v: tuple) -> tuple[tuple, tuple]:
        """Return y = function(x) and J v, both tuples."""

    def vjp(self, function: Callable, x: tuple) -> tuple[tuple, Callable[[tuple], tuple]]:
        """Return y = function(x) and w -> w J."""

    def over_basis(self, function: Callable, like: tuple) -> list[tuple]:
        """Apply a linear `function` to every vector of the standard basis of the space of `like`.

        Returns:
            For each array of `like`, of shape s, a tuple of the function's results, each of
            shape (*s, *own shape): the basis vector comes first.
        """

    def as_output(self, path: str, value: Any) -> Array:
        """Return one output of the user's function as an array."""

    def zeros_like(self, array: Array) -> Array: ...

    def moveaxis(self, array: Array, source: Sequence[int], target: Sequence[int]) -> Array: ...


def compose(
    derivative: Derivative, function: BoundFunction, ad: AD, values: Mapping[str, Array]
) -> list[tuple[Result, Array]]:
    """Compute a quantity at one point with a framework's own operators.

    Args:
        function: takes the leaves by key, returns a pytree of outputs.
        ad: the operators of the framework that the values belong to.
        values: the leaves by key, directions included.

    Raises:
        OutputError: when the quantity is not defined for what the function returns.
    """
    paths: list[str] = []

    def f(*x: Array) -> tuple:
        outputs = tree.flatten(function({**values, **dict(zip(derivative.wrt, x))}))
        named = [("_".join(path), value) for path, value in outputs]
        paths[:] = [path for path, _ in named]
        return tuple(ad.as_output(path, value) for path, value in named)

    wrt = derivative.wrt
    x = tuple(values[key] for key in wrt)

    def direction(names: Sequence[str], like: tuple) -> tuple:
        """Return the tangent or cotangent of each array; a number stands for every element."""
        chosen = []
        for name, array in zip(names, like):
            zeros = ad.zeros_like(array)
            if name not in derivative.along:
                chosen.append(zeros)
                continue
            given = values[direction_key(derivative.direction, name)]
            if tuple(given.shape) not in ((), tuple(array.shape)):
                raise SweepError(
                    f"the {derivative.direction} of {name!r} has shape {tuple(given.shape)}; "
                    f"{name} has shape {tuple(array.shape)}."
                )
            chosen.append(zeros + given)
        return tuple(chosen)

    def result(kind: str, o: int | None, keys: Sequence[int], array: Array) -> tuple:
        row = Result(
            kind=kind,
            output="" if o is None else paths[o],
            wrt=tuple(wrt[i] for i in keys),
            output_shape=() if o is None else tuple(y[o].shape),
            wrt_shapes=tuple(tuple(x[i].shape) for i in keys),
            is_bool=str(array.dtype).endswith("bool"),
        )
        return row, array

    def jacobian(*x: Array) -> tuple[tuple, list[list[Array]]]:
        """Return y and, for each output and each argument, the array of partial derivatives."""
        if derivative.mode == "forward":
            columns = ad.over_basis(lambda v: ad.jvp(f, x, v)[1], x)
            y = f(*x)
            return y, [
                [_basis_last(ad, column[o], x[i]) for i, column in enumerate(columns)]
                for o in range(len(y))
            ]
        y, pull = ad.vjp(f, x)
        return y, [list(row) for row in ad.over_basis(pull, y)]

    def gradient(*x: Array) -> tuple:
        return tuple(partial for row in jacobian(*x)[1] for partial in row)

    rows: list[tuple[Result, Array]] = []
    match derivative.quantity:
        case "value":
            y = f(*x)
        case "gradient" | "jacobian":
            y, partials = jacobian(*x)
            if derivative.quantity == "gradient":
                _require_scalars(function.name, y)
            for o, row in enumerate(partials):
                rows += [result("partial", o, [i], partial) for i, partial in enumerate(row)]
        case "contributions":
            y, partials = jacobian(*x)
            v = direction(wrt, x)
            for o, row in enumerate(partials):
                rows += [
                    result("contribution", o, [i], partial * v[i]) for i, partial in enumerate(row)
                ]
        case "jvp":
            y, dy = ad.jvp(f, x, direction(wrt, x))
            rows = [result("jvp", o, [], array) for o, array in enumerate(dy)]
        case "vjp":
            y, pull = ad.vjp(f, x)
            w = direction(_output_names(function.name, paths, derivative.along), y)
            rows = [result("vjp", None, [i], array) for i, array in enumerate(pull(w))]
        case "hessian":
            y = f(*x)
            columns = ad.over_basis(lambda v: ad.jvp(gradient, x, v)[1], x)
            for o in range(len(y)):
                for i in range(len(x)):
                    # H is symmetric: labels put (j, i) on the array of (i, j).
                    for j in range(i, len(x)):
                        entry = _basis_last(ad, columns[j][o * len(x) + i], x[j])
                        rows.append(result("second", o, [i, j], entry))
        case "hvp":
            y = f(*x)
            _, products = ad.jvp(gradient, x, direction(wrt, x))
            for position, array in enumerate(products):
                o, i = divmod(position, len(x))
                rows.append(result("hvp", o, [i], array))
        case unknown:
            raise AssertionError(unknown)
    if derivative.with_value or derivative.quantity == "value":
        rows = [result("value", o, [], array) for o, array in enumerate(y)] + rows
    return rows


def _output_names(name: str, paths: Sequence[str], along: Sequence[str]) -> list[str]:
    """Return what cotangents call the outputs: a bare one has the function's name."""
    names = [path or name for path in paths]
    for given in along:
        if given not in names:
            raise OutputError(
                f"{name} has no output {given!r}; it returns {', '.join(names)}.\n"
                f"Give cotangents by output name."
            )
    return names


def _require_scalars(name: str, y: tuple) -> None:
    for output in y:
        if tuple(output.shape) != ():
            raise OutputError(
                f"gradient needs a scalar function; {name} returns shape {tuple(output.shape)}.\n"
                f"Use gs.jacobian, or select one component."
            )


def _basis_last(ad: AD, array: Array, basis: Array) -> Array:
    """Move the dims of the basis vector from the front of an array to its end."""
    n, n_dims = len(basis.shape), len(array.shape)
    return ad.moveaxis(array, range(n), range(n_dims - n, n_dims)) if n else array
