"""Loops of a jaxpr: written out step by step where that is short, else as a Loop of the Program.

Knows of lowering only the protocol `Lowering`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradsweep.program.arrays import Variables, joined, parted
from gradsweep.program.builder import Builder
from gradsweep.program.equations import PART_DTYPES
from gradsweep.program.rolled_loops import MOST_UNROLLED, Body, Operands, Step, find_body
from gradsweep.support.errors import NotAProgram, TooLong
from gradsweep.tracing.jax.dtypes import program_dtype
from gradsweep.tracing.jax.nested import opened
from gradsweep.tracing.jax.protocol import Known, Lowering, Value
from gradsweep.tracing.jax.refs import Ref, contents, refs_among

__all__ = ["scan", "while_"]

# A loop whose steps have at most this many equations of the jaxpr is written out, uncounted.
_SHORT = 100


def scan(lowering: Lowering, equation: Any, operands: list[Value], used: list[bool]) -> list[Any]:
    """Lower a loop of known length."""
    params = equation.params
    jaxpr, length = params["jaxpr"], params["length"]
    n_constants, n_carry = params["num_consts"], params["num_carry"]
    n_rows = n_constants + n_carry
    constants, carry, rows = operands[:n_constants], operands[n_constants:n_rows], operands[n_rows:]
    avals = [atom.aval for atom in equation.invars]
    if refs_among([*carry, *rows]):
        raise NotAProgram("it loops over refs")
    order = np.arange(length)[:: -1 if params["reverse"] else 1]
    # Every step needs the carries of the one before; rows are needed where they are read.
    wanted = [True] * n_carry + used[n_carry:]

    def unrolled() -> list[Any]:
        _refuse_long(lowering, length, jaxpr)
        each = [_rows(lowering, value, aval) for value, aval in zip(rows, avals[n_rows:])]
        now = carry
        steps: list[Any] = [None] * length
        for i in order:
            row = [values[i] for values in each]
            results = lowering.inline(jaxpr, [*constants, *now, *row], wanted)
            now, steps[i] = results[:n_carry], results[n_carry:]
        stacked: list[Any] = [None] * (len(used) - n_carry)
        for k in _positions(used[n_carry:]):
            aval = jaxpr.out_avals[n_carry + k]
            elements = [np.array(lowering.variables(step[k], aval)) for step in steps]
            stacked[k] = np.array(elements, dtype=np.int64).reshape(length, *aval.shape)
        return [*now, *stacked]

    def rolled() -> list[Any] | None:
        loop = _Arrays(lowering, constants, carry, avals[:n_rows])
        each = [_parts(lowering, value, aval) for value, aval in zip(rows, avals[n_rows:])]
        row_avals = [atom.aval for atom in opened(jaxpr)[0].invars[n_rows:]]
        left = [n_carry + k for k in _positions(used[n_carry:])]
        left_avals = [jaxpr.out_avals[k] for k in left]

        def write(inner: Builder, carries: list[int], given: list[int], row: list[int]) -> Step:
            within = lowering.within(inner)
            values = [*loop.values(within, carries, given), *_shaped(inner, row, row_avals)]
            results = within.inline(jaxpr, values, wanted)
            return Step(
                loop.left(within, results[:n_carry]),
                _flat(within, [results[k] for k in left], left_avals),
            )

        by_row = [row for array in each for row in array[order].reshape(length, -1).T.tolist()]
        n_left = sum(map(_n_reals, left_avals))
        body = loop.body(write, by_row, length, used[:n_carry])
        if body.n_computed <= MOST_UNROLLED:
            return None
        carries, rows_left = body.roll(lowering.builder)
        columns = np.array([rows_left[k] for k in range(n_left)], dtype=np.int64)
        in_order = columns.reshape(n_left, length).T[np.argsort(order)]
        stacked: list[Any] = [None] * (len(used) - n_carry)
        sizes = np.cumsum([_n_reals(aval) for aval in left_avals])[:-1]
        for k, aval, block in zip(left, left_avals, np.split(in_order, sizes, axis=1)):
            parts = block.reshape(length, *_real_shape(aval))
            stacked[k - n_carry] = joined(lowering.builder, parts, aval.dtype.name)
        return [*loop.results(carries, used[:n_carry]), *stacked]

    is_short = length * len(opened(jaxpr)[0].eqns) <= _SHORT
    if is_short or _all_known(lowering, operands, avals):
        return unrolled()
    return _first_that_can(refs_among(constants), rolled, unrolled)


def while_(lowering: Lowering, equation: Any, operands: list[Value], used: list[bool]) -> list[Any]:
    """Lower a loop that runs while a condition holds."""
    params = equation.params
    condition, body = params["cond_jaxpr"], params["body_jaxpr"]
    n_condition = params["cond_nconsts"]
    n_constants = n_condition + params["body_nconsts"]
    constants, carry = operands[:n_constants], operands[n_constants:]
    avals = [atom.aval for atom in equation.invars]
    (going_aval,) = condition.out_avals

    def unrolled(most: int) -> list[Any]:
        now, n_steps, begun = carry, 0, lowering.builder.n_equations
        while True:
            (going,) = lowering.inline(condition, [*constants[:n_condition], *now])
            known = lowering.known(going, going_aval)
            if known is None:
                raise NotAProgram("it loops a number of times that depends on the values")
            if not known:
                return now
            n_steps += 1
            _refuse_long(lowering, n_steps, body)
            if lowering.builder.n_equations - begun > most:
                raise NotAProgram(f"it loops {n_steps:,} times and more")
            now = lowering.inline(body, [*constants[n_condition:], *now])

    def rolled() -> list[Any]:
        loop = _Arrays(lowering, constants, carry, avals)

        def write(inner: Builder, carries: list[int], given: list[int], row: list[int]) -> Step:
            within = lowering.within(inner)
            values = loop.values(within, carries, given)
            now = values[n_constants:]
            going = within.inline(condition, [*values[:n_condition], *now])
            results = within.inline(body, values[n_condition:])
            (goes_on,) = _flat(within, going, [going_aval])
            return Step(loop.left(within, results), [], goes_on)

        carries, _ = loop.body(write, [], None, used).roll(lowering.builder)
        return loop.results(carries, used)

    most = lowering.builder.max_equations
    if _all_known(lowering, operands, avals):
        return unrolled(most)
    refs = refs_among(constants)
    return _first_that_can(refs, lambda: unrolled(MOST_UNROLLED), rolled, lambda: unrolled(most))


class _Arrays:
    """The arrays that a loop's steps read, and the real variables of their elements.

    The contents of refs, which a step may read and write, are the first carries.

    Args:
        avals: those of the constants, then of the carries.
    """

    def __init__(
        self,
        lowering: Lowering,
        constants: Sequence[Any],
        carry: Sequence[Value],
        avals: Sequence[Any],
    ):
        self._lowering = lowering
        self._constants = constants
        self._refs = refs_among(constants)
        self._of_refs = [ref.aval for ref in self._refs]
        self._avals = [*self._of_refs, *avals[len(constants) :]]
        self._within: list[Ref] = []
        self._initial = _flat(lowering, [*contents(self._refs), *carry], self._avals)
        traced = [(v, aval) for v, aval in zip(constants, avals) if isinstance(v, np.ndarray)]
        self._traced_avals = [aval for _, aval in traced]
        self._given = _flat(lowering, [value for value, _ in traced], self._traced_avals)

    def values(self, within: Lowering, carries: list[int], given: list[int]) -> list[Any]:
        """Return the constants and the carries as arrays of a step's own variables."""
        traced = iter(_shaped(within.builder, given, self._traced_avals))
        arrays = _shaped(within.builder, carries, self._avals)
        n_refs = len(self._refs)
        self._within = [Ref(array, aval) for array, aval in zip(arrays, self._of_refs)]
        inner = dict(zip(self._refs, self._within))
        constants = [
            inner[v] if isinstance(v, Ref) else v if isinstance(v, Known) else next(traced)
            for v in self._constants
        ]
        return [*constants, *arrays[n_refs:]]

    def left(self, within: Lowering, results: Sequence[Value]) -> list[int]:
        """Return the variables that a step leaves for the next."""
        return _flat(within, [*contents(self._within), *results], self._avals)

    def body(
        self,
        write: Callable[..., Step],
        rows: Sequence[Sequence[int]],
        n_steps: int | None,
        used: Sequence[bool],
    ) -> Body:
        """Write a step; `used` tells which carries are read after the loop."""
        each = zip(self._every(used), self._avals)
        flags = [is_used for is_used, aval in each for _ in range(_n_reals(aval))]
        operands = Operands(self._initial, self._given, rows)
        return find_body(self._lowering.builder, write, operands, n_steps, _positions(flags))

    def results(self, carries: dict[int, int], used: Sequence[bool]) -> list[Any]:
        """Return the final carries, None for unused ones; set the final contents of refs."""
        arrays: list[Any] = []
        first = 0
        for is_used, aval in zip(self._every(used), self._avals):
            numbers = range(first, first + _n_reals(aval))
            first = numbers.stop
            if is_used:
                variables = [carries[k] for k in numbers]
                arrays += _shaped(self._lowering.builder, variables, [aval])
            else:
                arrays.append(None)  # it has no variables
        for ref in self._refs:
            ref.content = arrays.pop(0)
        return arrays

    def _every(self, used: Sequence[bool]) -> list[bool]:
        """Tell which contents of refs, all of them, and which carries are read."""
        return [*(True for _ in self._refs), *used]


def _first_that_can(refs: Sequence[Ref], *ways: Callable[[], list[Any] | None]) -> list[Any]:
    """Return the results of the first way that succeeds; else raise the last but one's error.

    Args:
        refs: the refs that the ways may write to; they are restored before each way.
    """
    failures: list[NotAProgram] = []
    before = contents(refs)
    for way in ways:
        for ref, content in zip(refs, before):
            ref.content = content
        try:
            results = way()
        except NotAProgram as error:
            failures.append(error)
        else:
            if results is not None:
                return results
    raise failures[-2] if len(failures) > 1 else failures[-1]


def _real_shape(aval: Any) -> tuple[int, ...]:
    """Return the shape of an array's real variables: complex numbers have one more dim."""
    return (*aval.shape, 2) if program_dtype(aval.dtype) in PART_DTYPES else tuple(aval.shape)


def _n_reals(aval: Any) -> int:
    return math.prod(_real_shape(aval))


def _parts(lowering: Lowering, value: Value, aval: Any) -> Variables:
    """Return the real variables of an array, in the shape `_real_shape`."""
    return parted(lowering.builder, lowering.variables(value, aval), aval.dtype.name)


def _flat(lowering: Lowering, values: Sequence[Value], avals: Sequence[Any]) -> list[int]:
    """Return the real variables of all elements of some arrays."""
    arrays = [_parts(lowering, value, aval) for value, aval in zip(values, avals)]
    return [variable for array in arrays for variable in array.ravel().tolist()]


def _shaped(b: Builder, variables: Sequence[int], avals: Sequence[Any]) -> list[Variables]:
    """Return arrays from flat real variables, the inverse of `_flat`."""
    sizes = np.cumsum([_n_reals(aval) for aval in avals])[:-1]
    blocks = np.split(np.array(variables, dtype=np.int64), sizes) if avals else []
    each = zip(blocks, avals)
    return [joined(b, part.reshape(_real_shape(aval)), aval.dtype.name) for part, aval in each]


def _positions(flags: Sequence[bool]) -> list[int]:
    return [position for position, flag in enumerate(flags) if flag]


def _all_known(lowering: Lowering, operands: Sequence[Value], avals: Sequence[Any]) -> bool:
    return all(lowering.known(value, aval) is not None for value, aval in zip(operands, avals))


def _rows(lowering: Lowering, value: Value, aval: Any) -> Sequence[Value]:
    """Return the value that each step of a loop reads."""
    if isinstance(value, Known) and program_dtype(aval.dtype) is None:
        return [Known(row) for row in value.array]
    return list(lowering.variables(value, aval))


def _refuse_long(lowering: Lowering, n_steps: int, body: Any) -> None:
    # Folded steps write no equations, so the builder's own limit does not see them.
    if n_steps * max(1, len(opened(body)[0].eqns)) > lowering.builder.max_equations:
        raise TooLong(f"it loops {n_steps:,} times")
