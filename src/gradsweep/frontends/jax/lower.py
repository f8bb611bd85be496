"""Lower a jaxpr to a Program: nested jaxprs inlined, short loops and small arrays unrolled.

Knows nothing of derivatives or functions.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from gradsweep.builder import Builder
from gradsweep.errors import NotAProgram
from gradsweep.frontends.jax.dtypes import program_dtype, require_dtype
from gradsweep.frontends.jax.elementwise import ELEMENTWISE, Rule
from gradsweep.frontends.jax.indexing import INDEXING
from gradsweep.frontends.jax.linalg import LINALG
from gradsweep.frontends.jax.loops import Known, Value, scan, while_
from gradsweep.frontends.jax.nested import INLINED, is_signbit, needed, opened
from gradsweep.frontends.jax.structure import STRUCTURE
from gradsweep.program import Output, Program
from gradsweep.unroll import Variables, elementwise

__all__ = ["RULES", "lower"]

RULES: Mapping[str, Rule] = {**ELEMENTWISE, **STRUCTURE, **INDEXING, **LINALG}


def lower(
    closed: ClosedJaxpr, leaves: Sequence[tuple[str, np.ndarray]], names: Sequence[str]
) -> Program:
    """Write a jaxpr as a Program.

    Args:
        leaves: for each input of the jaxpr, its key and an array of its shape and dtype.
        names: what its outputs are called.

    Raises:
        NotAProgram: when it is too large, or uses a primitive outside the tables of rules.
    """
    builder = Builder()
    lowering = _Lowering(builder)
    inputs = [builder.inputs(key, array.shape, require_dtype(array.dtype)) for key, array in leaves]
    values = lowering.inline(closed, inputs)
    outputs = []
    for name, atom, value in zip(names, closed.jaxpr.outvars, values):
        variables = lowering.variables(value, atom.aval)
        outputs.append(Output(name, variables.shape, tuple(variables.ravel().tolist())))
    return builder.finish(outputs)


class _Lowering:
    """Walk jaxprs, with a Builder to write on."""

    def __init__(self, builder: Builder):
        self.builder = builder

    # -- values

    def variables(self, value: Value, aval: Any) -> Variables:
        """Return a value as variables."""
        if isinstance(value, Known):
            return self.builder.constants(np.asarray(value.array), require_dtype(aval.dtype))
        return value

    def known(self, value: Value, aval: Any) -> Any | None:
        """Return a value as an array of constants, or None when it is traced."""
        if isinstance(value, Known):
            return value.array
        numbers = value.ravel().tolist()
        if not all(map(self.builder.is_constant, numbers)):
            return None
        constants = [self.builder.value(number) for number in numbers]
        return np.array(constants, dtype=aval.dtype).reshape(value.shape)

    # -- jaxprs

    def within(self, builder: Builder) -> "_Lowering":
        """Return what lowers jaxprs into another Builder."""
        return _Lowering(builder)

    def inline(
        self, jaxpr: Any, operands: Sequence[Value], wanted: Sequence[bool] | None = None
    ) -> list[Any]:
        """Lower a jaxpr in place; an output that is not wanted comes back as None."""
        jaxpr, constants = opened(jaxpr)
        wanted = [True] * len(jaxpr.outvars) if wanted is None else wanted
        values: dict[Any, Value] = dict(zip(jaxpr.invars, operands))
        values |= {v: Known(constant) for v, constant in zip(jaxpr.constvars, constants)}

        def read(atom: Any) -> Value:
            if not isinstance(atom, Literal):
                return values[atom]
            dtype = program_dtype(atom.aval.dtype)
            if dtype is None:
                return Known(atom.val)
            return np.array(self.builder.constant(atom.val, dtype))

        for equation, used in needed(jaxpr, wanted):
            results = self._equation(equation, [read(atom) for atom in equation.invars], used)
            values |= zip(equation.outvars, results)
        return [read(a) if is_wanted else None for a, is_wanted in zip(jaxpr.outvars, wanted)]

    def _equation(self, equation: Any, operands: list[Value], used: list[bool]) -> list[Any]:
        if any(_is_foreign(operand, a) for operand, a in zip(operands, equation.invars)):
            # A key or a word of random bits can only be a constant, and JAX knows what of.
            constants = self._evaluate(equation, operands)
            if constants is not None:
                return constants
        name = equation.primitive.name
        if name in INLINED:
            called = equation.params[INLINED[name]]
            if is_signbit(opened(called)[0]):
                x = self.variables(operands[0], equation.invars[0].aval)
                return [elementwise(self.builder, "signbit", x)]
            return self.inline(called, operands, used)
        try:
            if name in _CONTROL:
                return _CONTROL[name](self, equation, operands, used)
            return self._apply_rule(equation, operands)
        except NotAProgram:
            constants = self._evaluate(equation, operands)
            if constants is None:
                raise
            return constants

    def _apply_rule(self, equation: Any, operands: list[Value]) -> list[Variables]:
        name = equation.primitive.name
        if name not in RULES:
            raise NotAProgram(f"it uses {name}, which is no elementary primitive")
        for result in equation.outvars:
            require_dtype(result.aval.dtype)
            if result.aval.size > self.builder.max_equations:
                raise NotAProgram(f"it computes an array of {result.aval.size:,} elements")
        variables = [self.variables(v, a.aval) for v, a in zip(operands, equation.invars)]
        results = RULES[name](self.builder, equation, *variables)
        return results if isinstance(results, list) else [results]

    def _evaluate(self, equation: Any, operands: list[Value]) -> list[Value] | None:
        """Compute an equation of constants with JAX itself; None when an operand is traced."""
        arrays = [self.known(v, atom.aval) for v, atom in zip(operands, equation.invars)]
        if any(array is None for array in arrays):
            return None
        primitive = equation.primitive
        if primitive.name in INLINED:
            called = opened(equation.params[INLINED[primitive.name]])
            results = jax.jit(jaxpr_as_fun(ClosedJaxpr(*called)))(*arrays)
        else:
            results = primitive.bind(*arrays, **equation.params)
        return [Known(r) for r in (results if primitive.multiple_results else [results])]


def _is_foreign(value: Value, atom: Any) -> bool:
    return isinstance(value, Known) and program_dtype(atom.aval.dtype) is None


# Control flow. A rule takes the lowering, the equation, the values of its operands and which of
# its results are used, and returns the results.


def _cond(lowering: _Lowering, equation: Any, operands: list[Value], used: list[bool]) -> list[Any]:
    """Lower every branch, and choose by the index."""
    index_atom, *_ = equation.invars
    branches = equation.params["branches"]
    index = lowering.known(operands[0], index_atom.aval)
    if index is not None:
        chosen = branches[int(np.clip(index, 0, len(branches) - 1))]
        return lowering.inline(chosen, operands[1:], used)
    which = lowering.variables(operands[0], index_atom.aval)
    ways = [lowering.inline(branch, operands[1:], used) for branch in branches]
    results: list[Any] = []
    for position, variable in enumerate(equation.outvars):
        if not used[position]:
            results.append(None)
            continue
        result, *others = [lowering.variables(way[position], variable.aval) for way in ways[::-1]]
        for i, other in reversed([*enumerate(others[::-1])]):
            b = lowering.builder
            here = elementwise(b, "le", which, np.array(b.constant(i, "int64")))
            result = elementwise(b, "select", here, other, result)
        results.append(result)
    return results


def _linear_solve(
    lowering: _Lowering, equation: Any, operands: list[Value], used: list[bool]
) -> list[Any]:
    """Inline the solver that comes with a linear system."""
    lengths, jaxprs = equation.params["const_lengths"], equation.params["jaxprs"]
    first = lengths.matvec + lengths.vecmat
    constants = operands[first : first + lengths.solve]
    right_sides = operands[sum(lengths) :]
    return lowering.inline(jaxprs.solve, [*constants, *right_sides], used)


def _platform_index(
    lowering: _Lowering, equation: Any, operands: list[Value], used: list[bool]
) -> list[Any]:
    """Choose among the ways that something is written for different hardware: here, the CPU."""
    platforms = equation.params["platforms"]
    index = next(i for i, names in enumerate(platforms) if names is None or "cpu" in names)
    return [np.array(lowering.builder.constant(index, "int64"))]


_Control = Callable[[_Lowering, Any, list[Value], list[bool]], list[Any]]

_CONTROL: dict[str, _Control] = {
    "cond": _cond,
    "scan": scan,
    "while": while_,
    "custom_linear_solve": _linear_solve,
    "platform_index": _platform_index,
}
