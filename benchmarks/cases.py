"""The cases: which derivative of which function, over which sweep, at which sizes.

A case is a row of `CASES`. A Problem is a case at one size, with its values; every rival makes of
it what it needs. Knows nothing of rivals or clocks.
"""

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np

from benchmarks import closed_forms

__all__ = ["CASES", "LONG_PROGRAM", "TITLES", "Case", "Problem"]

Value = float | np.ndarray


@dataclass(frozen=True)
class Case:
    """One derivative of one function.

    Attributes:
        name: how the command line calls it, and `title` what a reader calls it.
        quantity: "gradient", "jacobian" or "hessian".
        functions: where the function is, "module:name", by what it is written with: "torch",
            "jax", "drjit", ... or "operators", which serves for those that are absent.
        values: makes the function's arguments for a number of points.
        dims: the axes of the arguments that are swept.
        results: the axes that each result varies with, by its name in gradsweep.
        closed_form: the same derivative in NumPy.
        kernel: the same derivative in C, "file:function".
        sizes: numbers of points, and `quick_sizes` those of a quick run.
        mode: the accumulation that gradsweep is asked for.
        is_long: whether the function has thousands of operations, so that what interprets it at
            one point after another takes seconds a point.
    """

    name: str
    title: str
    quantity: str
    functions: Mapping[str, str]
    values: Callable[[int], dict[str, Value]]
    dims: Mapping[str, tuple[str, ...]]
    results: Mapping[str, tuple[str, ...]]
    closed_form: Callable[..., tuple[np.ndarray, ...]]
    kernel: str
    sizes: tuple[int, ...]
    quick_sizes: tuple[int, ...]
    dtype: str = "float64"
    mode: str = "auto"
    is_long: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """The swept axes, in the order of the arguments."""
        return tuple(dict.fromkeys(axis for dims in self.dims.values() for axis in dims))

    @property
    def rtol(self) -> float:
        """How far a rival's values may be from the closed form, relative to the largest."""
        return {"float64": 1e-9, "float32": 1e-4}[self.dtype]

    def function(self, framework: str) -> Callable:
        """Return the function as written with a framework, else with operators alone.

        Raises:
            LookupError: when there is neither.
        """
        where = self.functions.get(framework) or self.functions.get("operators")
        if where is None:
            raise LookupError(f"{self.name} is not written for {framework}")
        module, name = where.split(":")
        return getattr(importlib.import_module(module), name)


@dataclass(frozen=True, eq=False)
class Problem:
    """A case at one size.

    Attributes:
        wanted: the number of points asked for; a grid comes as near as its sides allow.
        threads: how many each rival may use.
    """

    case: Case
    wanted: int
    threads: int

    @cached_property
    def values(self) -> dict[str, Value]:
        """The function's arguments; those that are swept are arrays of the case's dtype."""
        return {
            name: np.ascontiguousarray(value, self.case.dtype) if name in self.case.dims else value
            for name, value in self.case.values(self.wanted).items()
        }

    @property
    def swept(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(self.values[name]) for name in self.case.dims}

    @property
    def sizes(self) -> dict[str, int]:
        """The lengths of the swept axes, in order."""
        found = {
            axis: length
            for name, dims in self.case.dims.items()
            for axis, length in zip(dims, self.swept[name].shape)
        }
        return {axis: found[axis] for axis in self.case.axes}

    @property
    def n_points(self) -> int:
        return math.prod(self.sizes.values())

    def broadcastable(self, dtype: str) -> dict[str, np.ndarray]:
        """Return the arguments with a length of 1 for every axis that they do not have."""
        shaped = {}
        for name, value in self.values.items():
            array = np.asarray(value, dtype)
            if dims := self.case.dims.get(name):
                leading = [self.sizes[axis] if axis in dims else 1 for axis in self.case.axes]
                array = array.reshape(*leading, *array.shape[len(dims) :])
            shaped[name] = array
        return shaped

    @cached_property
    def expected(self) -> tuple[np.ndarray, ...]:
        """The results by the closed form, in double precision."""
        return self.case.closed_form(**self.broadcastable("float64"))


def _partials(function: str, arguments: str, along: Mapping[str, tuple[str, ...]]):
    """Return the axes of each partial derivative, those of `along[argument]`."""
    return {f"d{function}_d{x}": along[x] for x in arguments.split()}


def _second_partials(function: str, arguments: str, along: tuple[str, ...]):
    """Return the axes of the upper triangle of a Hessian."""
    pairs = combinations_with_replacement(arguments.split(), 2)
    return {f"d2{function}_d{x}_d{y}": along for x, y in pairs}


def _option(n: int) -> dict[str, Value]:
    return {"S": np.linspace(50.0, 150.0, n), "K": 100.0, "T": 1.0, "r": 0.05, "sigma": 0.2}


def _option_grid(n: int) -> dict[str, Value]:
    side = max(2, round(math.sqrt(n)))
    return _option(side) | {"sigma": np.linspace(0.1, 0.5, side)}


def _poses(n: int) -> dict[str, Value]:
    return {"q": np.random.default_rng(0).uniform(-np.pi, np.pi, (n, 6))}


# Around a published fit to hares and lynxes, so that every trajectory stays smooth.
_POPULATIONS = {
    "alpha": (0.45, 0.65),
    "beta": (0.024, 0.032),
    "delta": (0.022, 0.030),
    "gamma": (0.75, 0.90),
    "x0": (25.0, 40.0),
}


def _populations(n: int) -> dict[str, Value]:
    rng = np.random.default_rng(0)
    return {name: rng.uniform(low, high, n) for name, (low, high) in _POPULATIONS.items()}


_OPTION = "S K T r sigma"
_OPTION_FUNCTIONS = {
    "torch": "examples.black_scholes:price",
    "jax": "examples.black_scholes_jax:price",
    **{name: f"benchmarks.functions.{name}:price" for name in ("drjit", "heyoka", "casadi")},
}
_LOTKA_VOLTERRA = {
    "quantity": "gradient",
    "values": _populations,
    "dims": dict.fromkeys(_POPULATIONS, ("point",)),
    "results": _partials(
        "lotka_volterra", " ".join(_POPULATIONS), dict.fromkeys(_POPULATIONS, ("point",))
    ),
    "closed_form": closed_forms.lotka_volterra_gradient,
    "kernel": "lotka_volterra.c:gradient",
    "is_long": True,
}
_OPERATORS = "benchmarks.functions.lotka_volterra:lotka_volterra"

_ROWS = [
    Case(
        name="question",
        title="the question's f, gradient over x0",
        quantity="gradient",
        functions={"operators": "examples.question:f"},
        values=lambda n: {
            "x0": np.linspace(1.0, 9.0, n),
            "x1": 1.0,
            "x2": 1.0,
            "x3": 1.0,
            "x4": 1.0,
        },
        dims={"x0": ("x0",)},
        results=_partials(
            "f", "x0 x1 x2 x3 x4", {"x0": ("x0",), "x1": (), "x2": (), "x3": (), "x4": ()}
        ),
        closed_form=closed_forms.question_gradient,
        kernel="question.c:gradient",
        sizes=(9, 1_000, 100_000, 1_000_000, 10_000_000),
        quick_sizes=(9, 1_000),
    ),
    Case(
        name="black-scholes",
        title="Black-Scholes, gradient over S",
        quantity="gradient",
        functions=_OPTION_FUNCTIONS,
        values=_option,
        dims={"S": ("S",)},
        results=_partials("price", _OPTION, dict.fromkeys(_OPTION.split(), ("S",))),
        closed_form=closed_forms.price_gradient,
        kernel="black_scholes.c:gradient",
        sizes=(9, 1_000, 100_000, 1_000_000, 10_000_000),
        quick_sizes=(100_000,),
    ),
    Case(
        name="black-scholes-float32",
        title="Black-Scholes, gradient over S, float32",
        quantity="gradient",
        functions=_OPTION_FUNCTIONS,
        values=_option,
        dims={"S": ("S",)},
        results=_partials("price", _OPTION, dict.fromkeys(_OPTION.split(), ("S",))),
        closed_form=closed_forms.price_gradient,
        kernel="black_scholes.c:gradient",
        sizes=(1_000, 1_000_000),
        quick_sizes=(100_000,),
        dtype="float32",
    ),
    Case(
        name="black-scholes-hessian",
        title="Black-Scholes, Hessian over S",
        quantity="hessian",
        functions=_OPTION_FUNCTIONS,
        values=_option,
        dims={"S": ("S",)},
        results=_second_partials("price", _OPTION, ("S",)),
        closed_form=closed_forms.price_hessian,
        kernel="black_scholes.c:hessian",
        sizes=(1_000, 100_000, 1_000_000),
        quick_sizes=(10_000,),
    ),
    Case(
        name="black-scholes-grid",
        title="Black-Scholes, gradient over a grid of S and σ",
        quantity="gradient",
        functions=_OPTION_FUNCTIONS,
        values=_option_grid,
        dims={"S": ("S",), "sigma": ("sigma",)},
        results=_partials("price", _OPTION, dict.fromkeys(_OPTION.split(), ("S", "sigma"))),
        closed_form=closed_forms.price_gradient,
        kernel="black_scholes.c:grid_gradient",
        sizes=(10_000, 1_000_000),
        quick_sizes=(10_000,),
    ),
    Case(
        name="arm",
        title="UR5 arm, 3 × 6 Jacobian over poses",
        quantity="jacobian",
        functions={
            "torch": "examples.arm:arm",
            "jax": "examples.arm_jax:arm",
            **{name: f"benchmarks.functions.{name}:arm" for name in ("drjit", "heyoka", "casadi")},
        },
        values=_poses,
        dims={"q": ("pose",)},
        results={"darm_dq": ("pose",)},
        closed_form=closed_forms.arm_jacobian,
        kernel="arm.c:jacobian",
        sizes=(1_000, 10_000, 100_000),
        quick_sizes=(1_000,),
    ),
    Case(
        name="lotka-volterra",
        title="Lotka-Volterra, 200 steps of RK4, 5 sensitivities",
        functions={
            "jax": "benchmarks.functions.lotka_volterra_jax:lotka_volterra",
            "drjit": "benchmarks.functions.drjit:lotka_volterra",
            "operators": _OPERATORS,
        },
        sizes=(1_000, 100_000),
        quick_sizes=(1_000,),
        **_LOTKA_VOLTERRA,
    ),
]
CASES = {case.name: case for case in _ROWS}

# Only its first result is timed: it is here because it is traced as some 30,000 equations.
LONG_PROGRAM = Case(
    name="long-program",
    title="Lotka-Volterra unrolled, gradient in reverse",
    functions={"operators": _OPERATORS},
    sizes=(1_000,),
    quick_sizes=(1_000,),
    mode="reverse",
    **_LOTKA_VOLTERRA,
)

# What readers see of each case.
TITLES = {case.name: case.title for case in (*CASES.values(), LONG_PROGRAM)}
