"""Compose every quantity from the partial derivatives of a function at a point.

A Derivative, a bound function and a framework's two operators enter, the arrays of the quantity
leave. Knows no differentiation rule and no framework.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gradsweep.request.function import BoundFunction
from gradsweep.request.quantities import Derivative, Mode
from gradsweep.support.errors import OutputError
from gradsweep.tracing.nested import partials
from gradsweep.tracing.operators import curl, divergence, laplacian
from gradsweep.tracing.point import AD, Array, Arrays, Partials, Point, Rows
from gradsweep.tracing.uncertainty import uncertainty

__all__ = ["compose"]


def compose(
    derivative: Derivative, function: BoundFunction, ad: AD, values: Mapping[str, Array]
) -> Rows:
    """Compute a quantity at one point with a framework's own operators.

    Args:
        function: takes the leaves by key, returns a pytree of outputs.
        ad: the operators of the framework that the values belong to.
        values: the leaves by key, directions included.

    Raises:
        OutputError: when the quantity is not defined for the function's outputs.
    """
    point = Point(derivative, function, ad, values)
    rows = _QUANTITIES[derivative.quantity](point)
    if derivative.with_value and derivative.quantity != "value":
        rows = point.label("value", [()], [[y] for y in point.y]) + rows
    return rows


def _value(point: Point) -> Rows:
    point.evaluate()
    return point.label("value", [()], [[y] for y in point.y])


def _gradient(point: Point) -> Rows:
    rows = _jacobian(point)
    _require_scalars(point.function.name, point.y, point.are_complex)
    return rows


def _jacobian(point: Point) -> Rows:
    point.y, table = point.jacobian(point.f, point.x, point.derivative.mode)
    return point.label("partial", point.singly, table)


def _contributions(point: Point) -> Rows:
    point.y, table = point.jacobian(point.f, point.x, point.derivative.mode)
    v = [
        point.ad.zeros_like(array) if tangent is None else tangent
        for tangent, array in zip(point.tangent, point.x)
    ]
    products = [[partial * v[i] for i, partial in enumerate(row)] for row in table]
    return point.label("contribution", point.singly, products)


def _jvp(point: Point) -> Rows:
    mode: Mode = "reverse" if point.derivative.mode == "reverse" else "forward"
    point.y, dy = point.push(point.f, point.x, point.tangent, mode)
    return point.label("jvp", [()], [[array] for array in dy])


def _vjp(point: Point) -> Rows:
    mode: Mode = "forward" if point.derivative.mode == "forward" else "reverse"
    products = point.pull(point.cotangent, mode)
    return [(point.result("vjp", None, [i], array), array) for i, array in enumerate(products)]


def _hessian(point: Point) -> Rows:
    n = len(point.x)
    _, table = point.jacobian(point.partials, point.x, point.outer)
    point.evaluate()
    # Where H is sure to be symmetric, the array of (i, j) serves for (j, i) too.
    is_symmetric = point.ad.is_symmetric
    rows: Rows = []
    for position, row in enumerate(table):
        o, i = divmod(position, n)
        for j in range(i if is_symmetric else 0, n):
            kind = point.result("partial", o, [i, j], row[j])
            rows.append((replace(kind, is_symmetric=is_symmetric), row[j]))
    return rows


def _hvp(point: Point) -> Rows:
    n, asked = len(point.x), point.derivative.outer
    if (point.ad.along if asked == "auto" else asked) == "reverse":
        partials, pull = point.ad.vjp(point.partials, point.x)
        if point.ad.is_symmetric:  # which is known once the rules were met
            point.evaluate()
            return point.label("hvp", point.singly, _rows_along(point, partials, pull))
    outer: Mode = "reverse" if asked == "reverse" else "forward"
    _, products = point.push(point.partials, point.x, point.tangent, outer)
    point.evaluate()
    table = [products[start : start + n] for start in range(0, len(products), n)]
    return point.label("hvp", point.singly, table)


def _rows_along(point: Point, partials: Arrays, pull: Callable) -> Partials:
    """Return v H for each output, by one pullback for each of its elements."""
    v = point.tangent

    def along_v(w: Arrays) -> Arrays:
        """Pull the cotangents back of which w, of the outputs, is the factor beside v."""
        cotangents = iter(partials)
        return pull(tuple(_outer(point, a, b, next(cotangents)) for a in w for b in v))

    return point.ad.over_basis(along_v, point.y)


def _outer(point: Point, a: Array | None, b: Array | None, like: Array) -> Array | None:
    """Return the outer product of a and b; where one is None, nothing, like `like`."""
    if a is None or b is None:
        return point.ad.nothing_like(like)
    return a.reshape((*a.shape, *(1,) * len(b.shape))) * b


_QUANTITIES: dict[str, Callable[[Point], Rows]] = {
    "value": _value,
    "gradient": _gradient,
    "jacobian": _jacobian,
    "contributions": _contributions,
    "jvp": _jvp,
    "vjp": _vjp,
    "hessian": _hessian,
    "hvp": _hvp,
    "uncertainty": uncertainty,
    "partials": partials,
    "laplacian": laplacian,
    "divergence": divergence,
    "curl": curl,
}


def _require_scalars(name: str, y: Arrays, are_complex: Sequence[bool]) -> None:
    for output, is_complex in zip(y, are_complex):
        shape = tuple(output.shape)[:-1] if is_complex else tuple(output.shape)
        if shape != ():
            raise OutputError(
                f"gradient needs a scalar function; {name} returns shape {shape}.\n"
                f"Use gs.jacobian, or select one component."
            )
