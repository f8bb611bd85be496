"""Programs written by hand, and a function that runs one on an engine."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gradsweep.engines.axes import analyse
from gradsweep.engines.job import Engine, Job
from gradsweep.engines.stages import make_stages
from gradsweep.program.builder import Builder
from gradsweep.program.program import Equation, Input, Output, Program
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf
from gradsweep.running.chunks import allocate


def program_of(function: Callable[..., Sequence[int]], **dtypes: str) -> Program:
    """Return the Program that `function(builder, *inputs)` writes: one output per variable."""
    b = Builder()
    variables = function(b, *(b.input(name, 0, dtype) for name, dtype in dtypes.items()))
    return b.finish([Output(f"y{i}", (), (v,)) for i, v in enumerate(variables)])


def one_equation(primitive: str, n_operands: int, dtype: str, result: str) -> Program:
    """Return a Program of a single equation, unsimplified, of inputs x0, x1, ..."""
    return Program(
        tuple(Input(f"x{i}", 0, dtype) for i in range(n_operands)),
        (),
        (Equation(primitive, tuple(range(n_operands)), result),),
        (Output("y", (), (n_operands,)),),
    )


def leaves_of(**values: tuple[tuple[str, ...], np.ndarray]) -> dict[str, Leaf]:
    """Return leaves by name, from dims and values; axes without a dim are the leaf's shape."""
    return {
        name: Leaf(name, dims, np.shape(array)[len(dims) :], np.asarray(array))
        for name, (dims, array) in values.items()
    }


def make_job(program: Program, leaves: Mapping[str, Leaf], axes: Sequence[str]) -> Job:
    dependence = analyse(program, leaves)
    dims = tuple(
        tuple(axis for axis in axes if axis in dependence.of(output.variables))
        for output in program.outputs
    )
    traced = Trace("jax", (), program, "", (), _never, _never, _never, 0.0)
    return Job(traced, dict(leaves), tuple(axes), dims, make_stages(program, dependence))


def run(
    engine: Engine, program: Program, leaves: Mapping[str, Leaf], axes: Mapping[str, int]
) -> list[np.ndarray]:
    """Return the arrays that an engine fills."""
    job = make_job(program, leaves, tuple(axes))
    assert engine.refuses(job) == ""
    arrays = empty_results(job, axes)
    engine.prepare(job)(leaves, arrays)
    return arrays


def empty_results(job: Job, axes: Mapping[str, int]) -> list[np.ndarray]:
    program = job.traced.program
    assert program is not None
    arrays = [
        allocate(axes, dims, output.shape, program.dtype(output.variables[0]))
        for output, dims in zip(program.outputs, job.dims)
    ]
    for array in arrays:
        array.fill(123)  # so that a number that is never written shows
    return arrays


def _never(*_: object) -> None:
    raise AssertionError("a Program needs no framework")
