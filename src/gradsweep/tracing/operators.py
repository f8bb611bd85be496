"""The operators of vector calculus: Laplacian, divergence and curl of a function at a point.

A Point enters, rows leave. The arguments that are differentiated are the coordinates, laid end to
end. Knows no differentiation rule and no framework.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from gradsweep.support.errors import OutputError
from gradsweep.tracing.nested import Nested
from gradsweep.tracing.point import Array, Arrays, Point, Rows

__all__ = ["curl", "divergence", "laplacian"]


def laplacian(point: Point) -> Rows:
    """Return the sum of the unmixed second derivatives of every output."""
    asked = point.derivative
    if asked.mode == "forward" and asked.outer == "auto":
        terms = [_along_itself(point, i) for i in range(len(point.x))]
    else:
        twice = Nested(point).by_word([(i, i) for i in range(len(point.x))], point.x)
        terms = [
            [_trace(point, array, len(x.shape)) for array in twice[i, i]]
            for i, x in enumerate(point.x)
        ]
    point.evaluate()
    sums = [point.sum(column) for column in zip(*terms)]
    return [_contracted(point, "laplacian", o, array) for o, array in enumerate(sums)]


def _along_itself(point: Point, i: int) -> Sequence[Array]:
    """Return the sum over the elements of one argument, each differentiated twice forward.

    So no second derivative is formed that is not summed.
    """
    ad, x, others = point.ad, point.x[i], point.x

    def of_one(value: Array) -> Arrays:
        return point.f(*others[:i], value, *others[i + 1 :])

    def second(v: Arrays) -> Arrays:
        return ad.jvp(lambda value: ad.jvp(of_one, (value,), v)[1], (x,), v)[1]

    (columns,) = ad.over_basis(second, (x,))
    return [ad.total(column, range(len(x.shape))) for column in columns]


def _trace(point: Point, array: Array, n_dims: int) -> Array:
    """Return the trace over the last dims: `n_dims` of rows, and as many of columns."""
    shape = tuple(array.shape)
    n_lead = len(shape) - 2 * n_dims
    n = prod(shape[n_lead + n_dims :])
    diagonal = array.reshape((*shape[:n_lead], n * n))[..., :: n + 1]
    return point.ad.total(diagonal, [n_lead])


def divergence(point: Point) -> Rows:
    """Return the sum of the derivative of each component of a field by its own coordinate.

    Raises:
        OutputError: when the function has not as many components as there are coordinates.
    """
    J = _jacobian_of_field(point)
    total = point.sum([J[i][i] for i in range(len(J))])
    return [_contracted(point, "divergence", None, total)]


def curl(point: Point) -> Rows:
    """Return the curl of a field of three components.

    Raises:
        OutputError: when the function has not three components, or there are not three coordinates.
    """
    J = _jacobian_of_field(point, 3)
    array = point.ad.stack([J[2][1] - J[1][2], J[0][2] - J[2][0], J[1][0] - J[0][1]])
    result, array = _contracted(point, "curl", None, array)
    return [(replace(result, output_shape=(3,)), array)]


def _jacobian_of_field(point: Point, n: int | None = None) -> list[list[Array]]:
    """Return the derivative of each component by each coordinate, as arrays without dims."""
    point.y, table = point.jacobian(point.f, point.x, point.derivative.mode)
    _require_field(point, n)
    by_output = [
        [entry for array, x in zip(row, point.x) for entry in _entries(array, len(x.shape))]
        for row in table
    ]
    if not point.y[0].shape:
        return by_output
    # The components of one array: each coordinate has a vector of their derivatives.
    return [[vector[i] for vector in by_output[0]] for i in range(point.y[0].shape[0])]


def _entries(array: Array, n_dims: int) -> list[Array]:
    """Return the derivative by each element of an argument."""
    if not n_dims:
        return [array]
    return [array[..., i] for i in range(array.shape[-1])]


def _require_field(point: Point, n: int | None) -> None:
    quantity, name = point.derivative.quantity, point.function.name
    wrt = ", ".join(point.derivative.wrt)
    if any(point.are_complex) or point.complex_wrt:
        raise OutputError(
            f"{quantity} is of a real field, and {name} or its coordinates are complex.\n"
            f"Return the real and the imaginary parts as components of their own."
        )
    shapes = [tuple(y.shape) for y in point.y]
    is_array = len(shapes) == 1 and len(shapes[0]) == 1
    if not is_array and any(shapes):
        returns = ", ".join(f"{path or name} of shape {s}" for path, s in zip(point.paths, shapes))
        raise OutputError(
            f"{quantity} needs the components of a field: one array of shape (n,), or n numbers; "
            f"{name} returns {returns}."
        )
    dims = [tuple(x.shape) for x in point.x]
    if (len(dims) > 1 and any(dims)) or any(len(shape) > 1 for shape in dims):
        raise OutputError(
            f"{quantity} is by one array argument of shape (n,), or by n numbers; "
            f"{', '.join(f'{k} has shape {s}' for k, s in zip(point.derivative.wrt, dims))}.\n"
            f"Name the coordinates in wrt."
        )
    n_components = shapes[0][0] if is_array else len(shapes)
    n_coordinates = dims[0][0] if len(dims) == 1 and dims[0] else len(dims)
    if n is not None and (n_components != n or n_coordinates != n):
        raise OutputError(
            f"{quantity} is of {n} components by {n} coordinates; {name} returns {n_components}, "
            f"and the coordinates are {n_coordinates} ({wrt}).\nName the coordinates in wrt."
        )
    if n_components != n_coordinates:
        raise OutputError(
            f"{quantity} needs a coordinate for each component; {name} returns {n_components}, and "
            f"the coordinates are {n_coordinates} ({wrt}).\n"
            f"Name them in wrt, in the order of the components."
        )


def _contracted(point: Point, kind: str, o: int | None, array: Array) -> tuple:
    """Label an array that is summed over all arguments; of a field as its function's own."""
    result = point.result(kind, o, [], array)
    return replace(result, summed=tuple(point.derivative.wrt)), array
