"""Lower a jaxpr to a Program: nested jaxprs inlined, short loops and small arrays unrolled.

Knows nothing of derivatives or functions.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from gradsweep.program.arrays import Variables, elementwise, parted
from gradsweep.program.builder import Builder
from gradsweep.program.primitives import WRAPS
from gradsweep.program.program import Output, Program
from gradsweep.program.rolling.joining import with_joined_loops
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.jax.dtypes import program_dtype, require_dtype
from gradsweep.tracing.jax.loops import scan, while_
from gradsweep.tracing.jax.nested import INLINED, has_effects, is_signbit, needed, opened
from gradsweep.tracing.jax.protocol import Control, Known, Lowering, Value
from gradsweep.tracing.jax.refs import REFS, Ref, refs_among, run_each
from gradsweep.tracing.jax.rules.complex_numbers import COMPLEX_NUMBERS
from gradsweep.tracing.jax.rules.elementwise import ELEMENTWISE, Rule
from gradsweep.tracing.jax.rules.indexing import INDEXING
from gradsweep.tracing.jax.rules.linalg import LINALG
from gradsweep.tracing.jax.rules.structure import STRUCTURE
from gradsweep.tracing.jax.rules.windows import WINDOWS

__all__ = ["RULES", "WITHOUT_MEANING", "lower"]

RULES: Mapping[str, Rule] = {
    **ELEMENTWISE,
    **COMPLEX_NUMBERS,
    **STRUCTURE,
    **INDEXING,
    **LINALG,
    **WINDOWS,
}


def lower(
    closed: ClosedJaxpr,
    leaves: Sequence[tuple[str, np.ndarray]],
    names: Sequence[str],
    max_equations: int,
) -> Program:
    """Write a jaxpr as a Program.

    An output of complex numbers has one more dim at the end, for their real and imaginary parts.

    Args:
        leaves: for each input of the jaxpr, its key and an array of its shape and dtype.
        names: the names of its outputs.

    Raises:
        NotAProgram: when it is too large, or uses a primitive outside the tables of rules.
    """
    builder = Builder(max_equations)
    lowering = _Lowering(builder)
    inputs = [builder.inputs(key, array.shape, require_dtype(array.dtype)) for key, array in leaves]
    values = lowering.inline(closed, inputs)
    outputs = []
    for name, atom, value in zip(names, closed.jaxpr.outvars, values):
        variables = parted(builder, lowering.variables(value, atom.aval), atom.aval.dtype.name)
        outputs.append(Output(name, variables.shape, tuple(variables.ravel().tolist())))
    return with_joined_loops(builder.finish(outputs))


class _Lowering:
    """Walks jaxprs and writes their equations with a Builder."""

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
        if isinstance(value, Ref):
            return None
        numbers = value.ravel().tolist()
        if not all(map(self.builder.is_constant, numbers)):
            return None
        constants = [self.builder.value(number) for number in numbers]
        return np.array(constants, dtype=aval.dtype).reshape(value.shape)

    # -- jaxprs

    def within(self, builder: Builder) -> "_Lowering":
        """Return a lowering into another Builder."""
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
        is_pure = not has_effects(equation)
        if is_pure and any(map(_is_foreign, operands, equation.invars)):
            # A value whose dtype no Program has, such as a random key, can only be a constant, and
            # JAX computes with it.
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
            if not is_pure:
                raise
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
        watched = _WatchedEquation(equation)
        results = RULES[name](self.builder, watched, *variables)
        if unread := watched.unread:
            raise NotAProgram(f"it uses {name} with {', '.join(unread)}")
        results = results if isinstance(results, list) else [results]
        return [self._fitted(array, v.aval.dtype) for array, v in zip(results, equation.outvars)]

    def _fitted(self, variables: Variables, dtype: Any) -> Variables:
        """Wrap integers to their own type, where the Program's int64 is wider."""
        wrap = WRAPS.get(dtype.name)
        return elementwise(self.builder, wrap, variables) if wrap else variables

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


class _WatchedEquation:
    """An equation that records which parameters a rule reads, since none may be ignored."""

    def __init__(self, equation: Any):
        self.invars, self.outvars = equation.invars, equation.outvars
        self.primitive, self.params = equation.primitive, _Counted(equation.params)

    @property
    def unread(self) -> list[str]:
        given = {key for key, value in self.params.items() if value is not None}
        return sorted(given - self.params.read - WITHOUT_MEANING)


class _Counted(dict):
    def __init__(self, items: Mapping[str, Any]):
        super().__init__(items)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


# Parameters that rules need not read: promises, hints of where and how fast to compute, and facts
# that the shape and dtype of the result tell as well.
WITHOUT_MEANING = frozenset(
    """
    accuracy broadcast_dimensions fill_value index_dtype indices_are_sorted input_dtype is_stable
    new_sizes out_sharding precision preferred_element_type sharding sort_eigenvalues unique_indices
    update_consts update_jaxpr weak_type
    """.split()
)


def _is_foreign(value: Value, atom: Any) -> bool:
    return isinstance(value, Known) and program_dtype(atom.aval.dtype) is None


def _cond(lowering: Lowering, equation: Any, operands: list[Value], used: list[bool]) -> list[Any]:
    """Lower every branch, and choose by the index."""
    index_atom, *_ = equation.invars
    branches = equation.params["branches"]
    index = lowering.known(operands[0], index_atom.aval)
    if index is not None:
        chosen = branches[int(np.clip(index, 0, len(branches) - 1))]
        return lowering.inline(chosen, operands[1:], used)
    which = lowering.variables(operands[0], index_atom.aval)

    def choose(each: Sequence[Value], aval: Any) -> Variables:
        result, *others = [lowering.variables(value, aval) for value in each[::-1]]
        for i, other in reversed([*enumerate(others[::-1])]):
            b = lowering.builder
            here = elementwise(b, "le", which, np.array(b.constant(i, "int64")))
            result = elementwise(b, "select", here, other, result)
        return result

    inlined = [partial(lowering.inline, branch, operands[1:], used) for branch in branches]
    ways = run_each(refs_among(operands), inlined, choose)
    return [
        choose([way[position] for way in ways], variable.aval) if used[position] else None
        for position, variable in enumerate(equation.outvars)
    ]


def _linear_solve(
    lowering: Lowering, equation: Any, operands: list[Value], used: list[bool]
) -> list[Any]:
    """Inline the solver that comes with a linear system."""
    lengths, jaxprs = equation.params["const_lengths"], equation.params["jaxprs"]
    first = lengths.matvec + lengths.vecmat
    constants = operands[first : first + lengths.solve]
    right_sides = operands[sum(lengths) :]
    return lowering.inline(jaxprs.solve, [*constants, *right_sides], used)


def _platform_index(
    lowering: Lowering, equation: Any, operands: list[Value], used: list[bool]
) -> list[Any]:
    """Choose the variant for the CPU among variants for different hardware."""
    platforms = equation.params["platforms"]
    index = next(i for i, names in enumerate(platforms) if names is None or "cpu" in names)
    return [np.array(lowering.builder.constant(index, "int64"))]


_CONTROL: dict[str, Control] = {
    "cond": _cond,
    "scan": scan,
    "while": while_,
    "custom_linear_solve": _linear_solve,
    "platform_index": _platform_index,
    **REFS,
}
