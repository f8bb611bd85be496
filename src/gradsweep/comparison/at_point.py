"""A derivative at one point, as people write it with the transforms of JAX or of torch.func.

A Problem, a framework and the name of one of its transforms enter; a function of all values at one
point leaves, which returns the plan's results in order. Transforms have the same names in both
frameworks. Never sees a sweep's axes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from gradsweep.comparison.problem import PointFunction, Problem, Unavailable
from gradsweep.engines.frameworks import Framework, offered_by
from gradsweep.request.quantities import Result, direction_key

__all__ = ["WAYS", "at_point"]

Values = Mapping[str, Any]
AtPoint = Callable[[Values], tuple]


@dataclass(frozen=True, eq=False)
class _Setting:
    """The parts that a derivative is written with.

    Attributes:
        own: what the framework offers.
        function: the user's, of all values by key.
        wrt: the keys that are differentiated, and `along` those that have a direction.
        results: the plan's results without the value.
        is_complex: whether the function returns complex numbers.
    """

    own: Framework
    function: PointFunction
    wrt: tuple[str, ...]
    along: tuple[str, ...]
    results: tuple[Result, ...]
    is_complex: bool

    def of_active(self, active: Values, rest: Values) -> Any:
        return self.function({**rest, **active})

    def active(self, values: Values) -> dict[str, Any]:
        return {key: values[key] for key in self.wrt}

    def tangent(self, values: Values) -> dict[str, Any]:
        """Return v for everything that is differentiated: zero where it names no argument."""
        v = {key: self.own.zeros_like(values[key]) for key in self.wrt}
        return v | {key: v[key] + values[direction_key("tangent", key)] for key in self.along}

    def cotangent(self, values: Values, y: Any) -> Any:
        (name,) = self.along
        return self.own.zeros_like(y) + values[direction_key("cotangent", name)]

    @property
    def is_scalar(self) -> bool:
        return all(result.output_shape == () for result in self.results)

    def require_scalar(self) -> None:
        """Check that the function returns a number, which grad is for.

        Raises:
            Unavailable: when it does not.
        """
        if self.is_complex:
            raise Unavailable("grad is for a real number, and the function returns complex numbers")
        if not self.is_scalar:
            raise Unavailable("grad is for a function that returns a number")


Way = Callable[[_Setting, str], AtPoint]


def _value(setting: _Setting, _: str) -> AtPoint:
    return lambda values: ()  # `at_point` adds the value; there are no derivatives


def _partials(setting: _Setting, derive: str) -> Callable[[Values], Mapping[str, Any]]:
    if derive == "grad":
        setting.require_scalar()
    derived = getattr(setting.own.transforms, derive)(setting.of_active)
    return lambda values: derived(setting.active(values), values)


def _first(setting: _Setting, derive: str) -> AtPoint:
    partials = _partials(setting, derive)

    def results(values: Values) -> tuple:
        found = partials(values)
        return tuple(found[result.wrt[0]] for result in setting.results)

    return results


def _first_times_tangent(setting: _Setting, derive: str) -> AtPoint:
    partials = _partials(setting, derive)

    def results(values: Values) -> tuple:
        found, v = partials(values), setting.tangent(values)
        return tuple(found[r.wrt[0]] * v[r.wrt[0]] for r in setting.results)

    return results


def _tangent_sum(setting: _Setting, derive: str) -> AtPoint:
    """J v by way of the whole of J."""
    partials = _partials(setting, derive)
    (result,) = setting.results
    n_output = len(result.output_shape)

    def results(values: Values) -> tuple:
        found, v = partials(values), setting.tangent(values)
        terms = [found[key] * v[key] for key in setting.wrt]
        return (sum(_summed_from(term, n_output) for term in terms),)

    return results


def _summed_from(array: Any, n_kept: int) -> Any:
    return array.sum(tuple(range(n_kept, array.ndim))) if array.ndim > n_kept else array


def _pushed(setting: _Setting, _: str) -> AtPoint:
    def results(values: Values) -> tuple:
        _, dy = _push(setting, lambda active: setting.of_active(active, values), values)
        return (dy,)

    return results


def _push(setting: _Setting, function: Callable, values: Values) -> tuple:
    return setting.own.transforms.jvp(
        function, (setting.active(values),), (setting.tangent(values),)
    )


def _pulled(setting: _Setting, _: str) -> AtPoint:
    def results(values: Values) -> tuple:
        y, pull = setting.own.transforms.vjp(
            lambda active: setting.of_active(active, values), setting.active(values)
        )
        (found,) = pull(setting.cotangent(values, y))
        return tuple(found[result.wrt[0]] for result in setting.results)

    return results


def _gradient_of_active(setting: _Setting) -> Callable:
    derive = "grad" if setting.is_scalar else "jacrev"
    return getattr(setting.own.transforms, derive)(setting.of_active)


def _second(setting: _Setting, derive: str) -> AtPoint:
    hessian = getattr(setting.own.transforms, derive)(_gradient_of_active(setting))

    def results(values: Values) -> tuple:
        rows = hessian(setting.active(values), values)
        return tuple(rows[result.wrt[0]][result.wrt[1]] for result in setting.results)

    return results


def _gradient_pushed(setting: _Setting, _: str) -> AtPoint:
    gradient = _gradient_of_active(setting)

    def results(values: Values) -> tuple:
        _, found = _push(setting, lambda active: gradient(active, values), values)
        return tuple(found[result.wrt[0]] for result in setting.results)

    return results


def _gradient_of_product(setting: _Setting, derive: str) -> AtPoint:
    """H v as the gradient of (grad f) . v."""
    setting.require_scalar()
    gradient = _gradient_of_active(setting)

    def product(active: Values, values: Values) -> Any:
        found, v = gradient(active, values), setting.tangent(values)
        return sum((found[key] * v[key]).sum() for key in setting.wrt)

    derived = getattr(setting.own.transforms, derive)(product)

    def results(values: Values) -> tuple:
        found = derived(setting.active(values), values)
        return tuple(found[result.wrt[0]] for result in setting.results)

    return results


def _propagated(setting: _Setting, derive: str) -> AtPoint:
    """Standard deviations and shares of the variance, by way of the whole of J."""
    partials = _partials(setting, derive)
    n_output = len(setting.results[0].output_shape)

    def results(values: Values) -> tuple:
        found = partials(values)
        moved = {key: found[key] * values[direction_key("std", key)] for key in setting.wrt}
        variances = {key: _summed_from(term**2, n_output) for key, term in moved.items()}
        total = sum(variances.values())
        return tuple(
            variances[r.wrt[0]] / total if r.kind == "share" else total**0.5
            for r in setting.results
        )

    return results


def _laplacian(setting: _Setting, derive: str) -> AtPoint:
    """The trace of the whole Hessian."""
    hessian = getattr(setting.own.transforms, derive)(_gradient_of_active(setting))

    def results(values: Values) -> tuple:
        rows, active = hessian(setting.active(values), values), setting.active(values)
        return (sum(_traced(rows[key][key], active[key].ndim) for key in setting.wrt),)

    return results


def _traced(block: Any, n_dims: int) -> Any:
    """Return the trace over the last dims: `n_dims` of rows, and as many of columns."""
    lead = tuple(block.shape[: block.ndim - 2 * n_dims])
    n = prod(block.shape[block.ndim - n_dims :])
    return block.reshape((*lead, n * n))[..., :: n + 1].sum(-1)


def _of_field(setting: _Setting, derive: str) -> AtPoint:
    """Divergence or curl, by way of the whole of J."""
    partials = _partials(setting, derive)
    kind = setting.results[0].kind

    def results(values: Values) -> tuple:
        found, active = partials(values), setting.active(values)
        # An array has its components first; of several numbers each has derivatives of its own.
        if isinstance(found, Mapping) and found.keys() == active.keys():
            columns = _by_coordinate(found, active)
            J = [[column[i] for column in columns] for i in range(len(columns))]
        else:
            rows = found.values() if isinstance(found, Mapping) else found
            J = [_by_coordinate(row, active) for row in rows]
        if kind == "divergence":
            return (sum(J[i][i] for i in range(len(J))),)
        return (setting.own.stack([J[i][j] - J[j][i] for i, j in ((2, 1), (0, 2), (1, 0))]),)

    return results


def _by_coordinate(found: Mapping[str, Any], active: Values) -> list[Any]:
    """Return the derivatives by each coordinate: arguments are numbers, or one is an array."""
    return [
        entry
        for key, x in active.items()
        for entry in ([found[key][..., i] for i in range(len(x))] if x.ndim else [found[key]])
    ]


def _nested(setting: _Setting, derive: str) -> AtPoint:
    """Every derivative by transforms inside of transforms, one for each letter of its word."""
    if derive == "grad":
        setting.require_scalar()
    transform = getattr(setting.own.transforms, derive)

    def by(function: Callable, key: str) -> Callable:
        return lambda active, rest: transform(function)(active, rest)[key]

    functions = []
    for result in setting.results:
        if derive == "grad" and any(result.wrt_shapes[:-1]):
            raise Unavailable(
                "grad is for a function that returns a number, and its gradient is none"
            )
        function: Callable = setting.of_active
        for key in result.wrt:
            function = by(function, key)
        functions.append(function)
    return lambda values: tuple(f(setting.active(values), values) for f in functions)


_BY_JACOBIAN = ("grad", "jacrev", "jacfwd")

# By quantity, the transforms that it is written with; "f" stands for none.
WAYS: dict[str, dict[str, Way]] = {
    "value": {"f": _value},
    "gradient": dict.fromkeys(_BY_JACOBIAN, _first),
    "jacobian": dict.fromkeys(_BY_JACOBIAN, _first),
    "contributions": dict.fromkeys(_BY_JACOBIAN, _first_times_tangent),
    "jvp": {"jvp": _pushed} | dict.fromkeys(_BY_JACOBIAN, _tangent_sum),
    "vjp": {"vjp": _pulled},
    "hessian": {"jacfwd": _second, "jacrev": _second},
    "hvp": {"jvp": _gradient_pushed, "grad": _gradient_of_product},
    "uncertainty": dict.fromkeys(_BY_JACOBIAN, _propagated),
    "partials": dict.fromkeys(_BY_JACOBIAN, _nested),
    "laplacian": {"jacfwd": _laplacian, "jacrev": _laplacian},
    "divergence": {"jacfwd": _of_field, "jacrev": _of_field},
    "curl": {"jacfwd": _of_field, "jacrev": _of_field},
}


def at_point(problem: Problem, framework: str, derive: str) -> AtPoint:
    """Write a problem's quantity at one point with one transform.

    Args:
        derive: the name of the transform: a column of `WAYS`.

    Raises:
        Unavailable: when the quantity is not written with it, or the framework cannot run f.
    """
    if derive not in WAYS[problem.quantity]:
        raise Unavailable(f"{problem.quantity} is not written with {derive}")
    results = problem.plan.results
    if any(result.output for result in results):
        raise Unavailable("the function returns a container of outputs")
    function = problem.at_point(framework)
    derivative = problem.request.derivative
    if derivative.correlated or derivative.expansion > 1 or derivative.output_covariance:
        raise Unavailable("it is written for independent arguments, to first order")
    derived = tuple(result for result in results if result.kind != "value")
    setting = _Setting(
        offered_by(framework),
        function,
        problem.wrt,
        derivative.along,
        derived,
        problem.is_complex,
    )
    write = WAYS[problem.quantity][derive](setting, derive)
    if len(derived) == len(results):
        return write
    return lambda values: (function(values), *write(values))
