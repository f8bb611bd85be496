"""The reference engine: a Program interpreted in NumPy.

It is the oracle for the other engines: each equation is one call of its primitive's NumPy function.
An array has length 1 along every axis that its variable does not vary with, so NumPy's broadcasting
computes it once per point of the axes it depends on.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from gradsweep.engines.job import Job, Kernel, Leaves
from gradsweep.engines.scratch import project_bytes
from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import Equation, Loop, Program, reads
from gradsweep.program.rolled_loops import iterate
from gradsweep.request.leaf import Leaf

__all__ = ["ReferenceEngine", "evaluate", "last_uses"]


class ReferenceEngine:
    name = "reference"
    runs_programs = True
    is_vectorised = True
    compiles = False

    def refuses(self, job: Job) -> str:
        return "" if job.traced.program is not None else job.traced.reason

    def scratch_bytes(self, job: Job, block: Mapping[str, int]) -> int:
        assert job.traced.program is not None
        return project_bytes(job.traced.program, job.stages, block)

    def prepare(self, job: Job) -> Kernel:
        program = job.traced.program
        assert program is not None
        order = [pair for stage in job.stages for pair in stage.equations]
        wanted = {variable for output in program.outputs for variable in output.variables}

        def kernel(leaves: Leaves, arrays: Sequence[np.ndarray]) -> None:
            values = evaluate(program, leaves, job.axes, order, wanted)
            for output, dims, array in zip(program.outputs, job.dims, arrays):
                absent = tuple(i for i, axis in enumerate(job.axes) if axis not in dims)
                for index, variable in zip(np.ndindex(output.shape), output.variables):
                    array[(..., *index)] = np.squeeze(values[variable], absent)

        return kernel


def evaluate(
    program: Program,
    leaves: Mapping[str, Leaf],
    axes: Sequence[str],
    order: Sequence[tuple[int, Equation]],
    wanted: Iterable[int],
) -> dict[int, np.ndarray]:
    """Compute some variables of a Program at every point of a sweep.

    Args:
        order: the equations, each after those it reads.
        wanted: the variables to keep; every other is freed after its last use.

    Returns:
        For each wanted variable, an array with one dim for each axis, of length 1 where the
        variable does not vary.
    """
    values: dict[int, np.ndarray] = {}
    for variable, entry in enumerate(program.inputs):
        dims, array = leaves[entry.leaf].element(entry.element)
        values[variable] = _place(array, dims, axes)
    _add_constants(values, program, len(axes))
    with np.errstate(all="ignore"):
        _compute(values, order, set(wanted))
    return values


def _add_constants(values: dict[int, np.ndarray], program: Program, n_axes: int) -> None:
    for variable, constant in enumerate(program.constants, start=len(program.inputs)):
        values[variable] = np.full((1,) * n_axes, constant.value, dtype=constant.dtype)


def _compute(
    values: dict[int, np.ndarray], order: Sequence[tuple[int, Equation]], keep: set[int]
) -> None:
    """Add the values of equations to those that they read."""
    last = last_uses(order)
    of_loops: dict[Loop, list[np.ndarray]] = {}
    for variable, (primitive, _, _), operands in reads(order):
        if isinstance(primitive, str):
            values[variable] = PRIMITIVES[primitive].numpy(*(values[o] for o in operands))
        else:
            loop, number = primitive
            if loop not in of_loops:
                given = [values[operand] for operand in operands]
                step = partial(_step, n_axes=given[0].ndim)
                of_loops[loop] = iterate(loop, given, step, np.any, np.where)
            values[variable] = of_loops[loop][number]
        for operand in set(operands):
            if last[operand] == variable and operand not in keep:
                del values[operand]


def _step(body: Program, inputs: Sequence[np.ndarray], n_axes: int) -> list[np.ndarray]:
    """Compute the outputs of a Loop's body."""
    values = dict(enumerate(inputs))
    _add_constants(values, body, n_axes)
    wanted = [variable for output in body.outputs for variable in output.variables]
    _compute(values, list(body.numbered()), {*wanted, *range(body.n_leading)})
    return [values[variable] for variable in wanted]


def last_uses(order: Sequence[tuple[int, Equation]]) -> dict[int, int]:
    """Return, for each variable that is read, the variable whose equation reads it last."""
    return {operand: variable for variable, _, operands in reads(order) for operand in operands}


def _place(values: np.ndarray, dims: tuple[str, ...], axes: Sequence[str]) -> np.ndarray:
    """Move dims to their places among the axes, with length 1 where absent."""
    moved = values.transpose([dims.index(axis) for axis in axes if axis in dims])
    sizes = iter(moved.shape)
    return moved.reshape([next(sizes) if axis in dims else 1 for axis in axes])
