"""The problem of a race: one request at one size, and the function as either framework calls it.

A Request enters. Rivals read from it the values of all arguments as arrays, the axes of each, and
a function of one point.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

from gradsweep.engines.choice import ComputeOptions
from gradsweep.engines.frameworks import offered_by
from gradsweep.interpreters import evaluate
from gradsweep.planning.branches import first_point
from gradsweep.planning.plan import Plan
from gradsweep.planning.planner import make_plan
from gradsweep.request.function import candidate_frameworks
from gradsweep.request.leaf import Leaf
from gradsweep.request.quantities import Derivative
from gradsweep.request.request import Request, Selection, selections
from gradsweep.request.sweep import Sweep
from gradsweep.support.errors import MissingPackage
from gradsweep.tracing.numpy import in_dialect
from gradsweep.tracing.trace import trace

__all__ = ["Problem", "Unavailable", "resized"]

_Parameter = inspect.Parameter

_VALUE = Derivative("value", ())

# Frameworks compile some hundreds of scalar operations a second.
_MOST_EQUATIONS = 1000

PointFunction = Callable[[Mapping[str, Any]], Any]


class Unavailable(Exception):
    """Why a rival does not take part, as a clause."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A request at one size.

    Attributes:
        options: the user's options for the computation.
    """

    request: Request
    options: ComputeOptions

    @cached_property
    def plan(self) -> Plan:
        """How gradsweep itself would compute it."""
        return make_plan(self.request, self.options)

    @property
    def n_points(self) -> int:
        return self.request.n_points

    @cached_property
    def by_category(self) -> tuple[tuple[Selection, "Problem"], ...]:
        """The points of each category of its arguments, and the Problem of these alone."""
        found = selections(self.request)
        return tuple((selection, replace(self, request=selection.alone)) for selection in found)

    @property
    def quantity(self) -> str:
        return self.request.derivative.quantity

    @property
    def wrt(self) -> tuple[str, ...]:
        return self.request.derivative.wrt

    @property
    def framework(self) -> str:
        """The framework that the function is written for."""
        return self.plan.framework

    def arrays(self, framework: str) -> dict[str, Any]:
        """Return every argument's values in a framework's arrays, by key."""
        own = offered_by(framework)
        return {key: own.array(leaf.whole()) for key, leaf in self.request.leaves.items()}

    def at_point(self, framework: str) -> PointFunction:
        """Return the function of one point, for a framework's own arrays by key.

        A function of the other framework becomes the Program of its value, unless it consists of
        operators alone. Complex numbers enter and leave as their parts.

        Raises:
            Unavailable: when the framework cannot run the function.
        """
        derivative = self.request.derivative
        if self.is_complex and derivative.direction == "cotangent" and not derivative.complex_along:
            raise Unavailable("the function returns complex numbers, and the cotangent is real")
        try:
            import_module(f"gradsweep.tracing.{framework}")
        except MissingPackage:
            raise Unavailable(f"{framework} is not installed") from None
        if framework != self.framework and not self._is_traced_by(framework):
            return self._transcribed(framework)
        function = self._as_written()
        if not self.is_complex:
            return function
        parts = offered_by(framework).parts
        return lambda values: parts(function(values))

    @cached_property
    def is_complex(self) -> bool:
        """Whether the function returns complex numbers."""
        if self.quantity != "vjp":
            return any(result.is_complex for result in self.plan.results)
        value = trace(self.request.bound, _VALUE, self._first_point, self.framework)
        return any(result.is_complex for result in value.results)

    def _is_traced_by(self, framework: str) -> bool:
        """Tell whether another framework traces the function as it is, by its operators alone."""
        if framework not in candidate_frameworks(self.request.bound):
            return False
        # Names do not tell everything: x.sin() looks like operators, and only torch has it.
        try:
            trace(self.request.bound, _VALUE, self._first_point, framework)
        except Exception:
            return False
        return True

    @cached_property
    def _first_point(self) -> Mapping[str, np.ndarray]:
        keys = [leaf.key for leaf in self.request.bound.sweep.leaves]
        return first_point({key: self.request.leaves[key] for key in keys})

    def _as_written(self) -> PointFunction:
        """Return the user's function, called as directly as its arguments allow."""
        bound = in_dialect(self.request.bound)
        kinds = {p.kind for p in bound.parameters or ()}
        by_name = {_Parameter.POSITIONAL_OR_KEYWORD, _Parameter.KEYWORD_ONLY}
        if (
            not kinds
            or kinds - by_name
            or not all(a.is_single or a.is_static for a in bound.arguments)
            or any(leaf.is_complex for leaf in bound.sweep.leaves)
        ):
            return bound
        function = bound.call
        static = {a.name: a.form for a in bound.arguments if a.is_static}
        names = [a.name for a in bound.arguments if not a.is_static]
        return lambda values: function(**{name: values[name] for name in names}, **static)

    def _transcribed(self, framework: str) -> PointFunction:
        traced = trace(self.request.bound, _VALUE, self._first_point, self.framework)
        program = traced.program
        if program is None:
            raise Unavailable(
                f"the function has no Program to be run in {framework}: {traced.reason}"
            )
        if program.guards:
            raise Unavailable("the function has Python branches")
        if program.n_computed > _MOST_EQUATIONS:
            raise Unavailable(
                f"its Program has {program.n_computed:,} equations, which {framework} would "
                f"take minutes to compile"
            )
        if len(traced.results) != 1 or traced.results[0].output:
            raise Unavailable("the function has several outputs")
        table = import_module(f"gradsweep.interpreters.{framework}")
        shape = traced.results[0].output_shape
        own, leaves = offered_by(framework), self.request.leaves

        def transcribed(values: Mapping[str, Any]) -> Any:
            # A scalar is passed as it is: in the gradient of a sum it is an array of all points.
            inputs = [
                values[leaf].reshape(-1)[element] if leaves[leaf].shape else values[leaf]
                for leaf, element, _ in program.inputs
            ]
            ((*scalars,),) = evaluate(program, table.OPERATIONS, inputs, table.constant)
            return scalars[0] if shape == () else own.stack(scalars).reshape(shape)

        return transcribed

    def in_axes(self, axis: str, done: Sequence[str]) -> dict[str, int | None]:
        """Return the place of an axis in each argument, once the axes in `done` are mapped."""
        found: dict[str, int | None] = {}
        for key, leaf in self.request.leaves.items():
            left = [dim for dim in leaf.dims if dim not in done]
            found[key] = left.index(axis) if axis in left else None
        return found


def resized(request: Request, wanted: int) -> Request:
    """Return the request over about `wanted` points: its axes are stretched by one factor.

    An axis of categories alone remains as it is, unless there are no others. Floats are
    interpolated; other values, such as truth values, are those of the nearest point.
    """
    axes = request.axes
    present = request.n_points
    if wanted == present or not axes:
        return request
    able = [axis for axis in axes if axis not in request.category_axes] or list(axes)
    longer = [axis for axis in able if axes[axis] > 1] or able
    factor = (wanted / max(1, present)) ** (1 / len(longer))
    sizes = {a: max(1, round(n * factor)) if a in longer else n for a, n in axes.items()}
    leaves = {key: _stretched(leaf, sizes) for key, leaf in request.leaves.items()}
    bound = request.bound
    arguments = [
        # Labels belong to the points before.
        replace(a, leaves=tuple(leaves[leaf.key] for leaf in a.leaves), coordinates={})
        for a in bound.arguments
    ]
    bound = bound.with_sweep(Sweep.from_arguments(arguments))
    return replace(request.with_leaves(leaves), bound=bound)


def _stretched(leaf: Leaf, sizes: Mapping[str, int]) -> Leaf:
    if leaf.parts:
        parts = tuple((dims, _interpolated(np.asarray(v), dims, sizes)) for dims, v in leaf.parts)
        return replace(leaf, parts=parts)
    return replace(leaf, values=_interpolated(leaf.whole(), leaf.dims, sizes))


def _interpolated(values: np.ndarray, dims: Sequence[str], sizes: Mapping[str, int]) -> np.ndarray:
    for axis, dim in enumerate(dims):
        n_old, n_new = values.shape[axis], sizes[dim]
        if n_old == n_new or n_old == 0:
            continue
        place = np.linspace(0, n_old - 1, n_new)
        lower = np.minimum(place.astype(np.int64), max(0, n_old - 2))
        upper = np.minimum(lower + 1, n_old - 1)
        if not np.issubdtype(values.dtype, np.floating):
            values = values.take(np.rint(place).astype(np.int64), axis)
            continue
        share = (place - lower).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
        share = share.astype(values.dtype)
        values = values.take(lower, axis) * (1 - share) + values.take(upper, axis) * share
    return values.copy()
