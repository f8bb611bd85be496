"""Trace a derivative of a JAX function at one point.

JAX makes the jaxpr of the derivative; `lower` and `reach` read it.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from gradsweep.program.equations import MAX_EQUATIONS
from gradsweep.program.program import Program
from gradsweep.program.trace import Trace
from gradsweep.request import pytree
from gradsweep.request.function import BoundFunction
from gradsweep.request.quantities import Derivative, Result
from gradsweep.support.errors import (
    DerivativeError,
    GradsweepError,
    MissingRule,
    NotAProgram,
    StatefulFunction,
    TooLong,
)
from gradsweep.tracing.compose import compose
from gradsweep.tracing.jax.explain import explained, kept_value
from gradsweep.tracing.jax.lower import lower
from gradsweep.tracing.jax.nested import (
    every_constant,
    every_equation,
    has_effects,
    has_own_rules,
)
from gradsweep.tracing.jax.operators import JaxAD, scoped_x64
from gradsweep.tracing.jax.reach import reach

__all__ = ["trace"]

Array = Any

# The types of an output. `JaxAD.as_output` refuses any other, with its path.
_NUMERIC = (jax.Array, np.ndarray, np.generic, bool, int, float, complex)


def trace(
    bound: BoundFunction,
    derivative: Derivative,
    point: Mapping[str, np.ndarray],
    max_equations: int = MAX_EQUATIONS,
) -> Trace:
    """Trace a derivative at one point.

    Args:
        point: the value of every leaf, directions included.
        max_equations: how many its Program may have.

    Raises:
        BranchError: when Python code of the function needs the value of a traced number.
        StatefulFunction: when two calls with the same arguments differ.
        OutputError: when the function returns something that is no array of real numbers.
        MissingRule: when JAX has no rule for this way of differentiating.
    """
    started = time.perf_counter()
    leaves = [(key, np.asarray(value)) for key, value in point.items()]
    keys = [key for key, _ in leaves]
    ad = JaxAD(_floating_dtype(leaves), keeps_bools=derivative.quantity == "value")
    order = derivative.order
    rows: list[Result] = []

    def at_point(values: Mapping[str, Array]) -> tuple[Array, ...]:
        arrays = {key: jnp.asarray(value) for key, value in values.items()}
        pairs = compose(derivative, bound, ad, arrays)
        rows[:] = [row for row, _ in pairs]
        return tuple(array for _, array in pairs)

    with scoped_x64():
        with explained(bound, point):
            value = _require_stateless(bound, leaves)
            ad.is_symmetric = order < 2 or not has_own_rules(value)
            with _refused(bound, derivative) if order else nullcontext():
                closed = _jaxpr(at_point, leaves)
                _require_executable(closed)
            if _holds_tracers(closed):
                raise DerivativeError(
                    f"a derivative of {bound.name} was asked for, and a custom rule in it "
                    f"(jax.custom_jvp, jax.custom_vjp) uses a traced value that is none of its "
                    f"arguments.\nPass it to the rule as an argument that has a derivative."
                )
        program, failure = _program(closed, leaves, len(rows), max_equations)
    return Trace(
        framework="jax",
        results=tuple(rows),
        program=program,
        reason=_reason(failure),
        depends=reach(closed, keys),
        call=at_point,
        eager=_eager(at_point, closed),
        context=scoped_x64,
        seconds=time.perf_counter() - started,
        mode=derivative.mode,
        is_unbranched=True,
        is_too_long=isinstance(failure, TooLong),
        function=bound.function,
    )


def _eager(at_point: Callable, closed: ClosedJaxpr) -> Callable:
    """Return a function that computes the results at one point, for a loop over points.

    It is jitted, because JAX compiles operations that are called one by one separately. With refs
    or other effects JAX can run functions that it cannot compile; these run without jit.
    """
    compiled = jax.jit(at_point)
    if not any(map(has_effects, every_equation(closed))):
        return compiled
    is_refused = False

    def run(values: Mapping[str, Any]) -> Any:
        nonlocal is_refused
        if not is_refused:
            try:
                return compiled(values)
            except Exception:
                is_refused = True
        return at_point(values)

    return run


@contextmanager
def _refused(bound: BoundFunction, derivative: Derivative) -> Iterator[None]:
    """Raise MissingRule where JAX fails to differentiate a function that it can compute."""
    try:
        yield
    except (GradsweepError, jax.errors.JAXTypeError, jax.errors.JAXIndexError):
        raise
    except Exception as error:
        raise MissingRule(
            f"JAX has no {derivative.quantity} of {bound.name} in {derivative.mode} mode: "
            f"{str(error).partition(chr(10))[0]}"
        ) from error


def _require_executable(closed: ClosedJaxpr) -> None:
    """Refuse the forward derivative of a custom_vjp, as JAX itself does once it is run."""
    if any(equation.primitive.name == "custom_lin" for equation in every_equation(closed)):
        raise TypeError("can't apply forward-mode autodiff (jvp) to a custom_vjp function.")


def _holds_tracers(closed: ClosedJaxpr) -> bool:
    """Tell whether a jaxpr holds values that belong to another trace."""
    return any(isinstance(constant, jax.core.Tracer) for constant in every_constant(closed))


def _floating_dtype(leaves: list[tuple[str, np.ndarray]]) -> str:
    """Return the dtype of results: float32 when every floating number that enters is."""
    floats = {array.dtype.name for _, array in leaves if array.dtype.kind == "f"}
    return "float32" if floats == {"float32"} else "float64"


def _jaxpr(function: Callable, leaves: list[tuple[str, np.ndarray]]) -> ClosedJaxpr:
    keys = [key for key, _ in leaves]

    def of_arrays(*arrays: Array) -> Any:
        return function(dict(zip(keys, arrays)))

    # A new function each time: JAX would return the cached jaxpr of an old one.
    return jax.make_jaxpr(of_arrays)(*(array for _, array in leaves))


def _program(
    closed: ClosedJaxpr,
    leaves: list[tuple[str, np.ndarray]],
    n_results: int,
    max_equations: int = MAX_EQUATIONS,
) -> tuple[Program | None, Exception | None]:
    """Return the Program, or the error that prevented it."""
    try:
        names = [f"result {i}" for i in range(n_results)]
        return lower(closed, leaves, names, max_equations), None
    except Exception as error:
        return None, error


def _reason(failure: Exception | None) -> str:
    if failure is None or isinstance(failure, NotAProgram):
        return str(failure or "")
    # The parameters of an equation are private to JAX and change between its versions; JAX can
    # still run an equation that is not understood here.
    return f"its jaxpr could not be read ({type(failure).__name__}: {failure})"


def _require_stateless(bound: BoundFunction, leaves: list[tuple[str, np.ndarray]]) -> ClosedJaxpr:
    """Trace the plain function twice and compare; return its jaxpr."""
    # jit would return its first trace again, with the state of that time frozen in it.
    plain = bound.without_jit()
    (value, first), (_, second) = (_signature(plain, leaves) for _ in range(2))
    if first != second:
        raise StatefulFunction(
            f"{bound.name} gives different results for the same arguments: it keeps state, or "
            f"draws random numbers, or reads the clock.\n"
            f"Pass what varies in as an argument: a random number is a value like any other, and "
            f"jax.random with a fixed key is always the same."
        )
    return value


def _signature(
    bound: BoundFunction, leaves: list[tuple[str, np.ndarray]]
) -> tuple[ClosedJaxpr, tuple]:
    """Return the jaxpr of the function, and a value that is equal for equal computations."""
    paths: list[pytree.Path] = []

    def outputs(values: Mapping[str, Array]) -> list[Array]:
        named = list(pytree.flatten(bound(values)))
        paths[:] = [path for path, _ in named]
        return [value for _, value in named if isinstance(value, _NUMERIC)]

    closed = _jaxpr(outputs, leaves)
    if _holds_tracers(closed):
        raise kept_value(bound)
    program, _ = _program(closed, leaves, len(closed.jaxpr.outvars))
    if program is not None:
        return closed, (tuple(paths), program.fingerprint)
    # Functions that the jaxpr refers to are printed with their addresses.
    text = re.sub(r" at 0x[0-9a-f]+", "", str(closed.jaxpr))
    constants = tuple(_bytes(constant) for constant in closed.consts)
    return closed, (tuple(paths), text, constants)


def _bytes(constant: Array) -> bytes:
    if jnp.issubdtype(constant.dtype, jax.dtypes.prng_key):
        constant = jax.random.key_data(constant)
    return np.asarray(constant).tobytes()
