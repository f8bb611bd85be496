"""The torch engine: nested torch.func.vmap, eager or through torch.compile.

Results that vary with the same axes are computed together, vectorised over just those axes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

import numpy as np

from gradsweep.engines.frameworks import offered_by
from gradsweep.engines.job import (
    Job,
    Kernel,
    Leaves,
    groups_by_dims,
    needs_framework,
    reduced,
    unknown_scratch_bytes,
    vectorised,
)
from gradsweep.engines.loop import at_point, filled
from gradsweep.support.errors import require, warn

__all__ = ["TorchEngine", "with_code_of_its_own"]


@dataclass(frozen=True)
class TorchEngine:
    """Run the function's own torch code under vmap.

    Attributes:
        compile: whether to compile it with torch.compile, which takes seconds the first time.
    """

    name = "torch"
    runs_programs = False
    is_vectorised = True
    compiles = False

    compile: bool = False

    def refuses(self, job: Job) -> str:
        if reason := needs_framework(job, "torch"):
            return reason
        torch = require("torch", "the torch engine")
        # No abstract evaluation follows vmap everywhere, so a few points are computed.
        if any(leaf.is_empty for leaf in job.leaves.values()):
            return ""
        try:
            for dims, positions in groups_by_dims(job):
                function = vectorised(job, dims, positions, torch.func.vmap)
                results = _run(job, dims, positions, function, job.leaves)
                if not all(
                    _agree(results, *pair) for pair in _at_some_points(job, dims, positions)
                ):
                    return "torch.vmap gives other numbers than torch itself"
        except Exception as error:
            return f"torch.vmap fails on it ({type(error).__name__}: {str(error).splitlines()[0]})"
        return ""

    def scratch_bytes(self, job: Job, block: Mapping[str, int]) -> int:
        return unknown_scratch_bytes(job, block)

    def prepare(self, job: Job) -> Kernel:
        torch = require("torch", "the torch engine")
        functions = []
        for dims, positions in groups_by_dims(job):
            function = vectorised(job, dims, positions, torch.func.vmap)
            functions.append((dims, positions, _compiled(function) if self.compile else function))

        def kernel(leaves: Leaves, arrays: Sequence[np.ndarray]) -> None:
            for dims, positions, function in functions:
                if arrays[positions[0]].size == 0:
                    continue
                results = _run(job, dims, positions, function, leaves)
                for position, result in zip(positions, results):
                    arrays[position][...] = result.detach().numpy()

        return kernel


def _compiled(function: Callable) -> Callable:
    """Compile a function as a whole; where that fails, it runs as it is, with a warning.

    What torch.compile leaves out runs in Python inside vmap, where it would compile parts of this
    package one by one, and fail.
    """
    import torch

    run = torch.compile(with_code_of_its_own(function), fullgraph=True)

    def try_to_run(values: Any) -> Any:
        nonlocal run
        try:
            return run(values)
        except Exception as error:
            if run is function:
                raise
            results = function(values)
            warn(
                f"the function runs without torch.compile, which cannot compile it "
                f"({type(error).__name__}: {str(error).partition(chr(10))[0]})."
            )
            run = function
            return results

    return try_to_run


def with_code_of_its_own(function: Callable) -> Callable:
    """Return a function of one argument under a code object that nothing else has.

    torch.compile counts how often it has compiled a code object, and after eight times no longer
    compiles it; all functions that vmap returns share one.
    """

    def over_sweep(values: Any) -> Any:
        return function(values)

    code = over_sweep.__code__.replace()
    return FunctionType(code, over_sweep.__globals__, closure=over_sweep.__closure__)


def _run(
    job: Job, dims: tuple[str, ...], positions: list[int], function: Callable, leaves: Leaves
) -> tuple:
    """Compute some results over their axes.

    Args:
        function: computes them, mapped over the axes.
    """
    own = offered_by("torch")
    with job.traced.context():
        values = {key: own.array(reduced(leaf, dims)[1]) for key, leaf in leaves.items()}
        results = function(values)
        if (by_rows := job.traced.by_rows) is None:
            return results
        other = replace(job, traced=by_rows)
        return filled(
            results, lambda: vectorised(other, dims, positions, own.transforms.vmap)(values)
        )


def _at_some_points(
    job: Job, dims: tuple[str, ...], positions: list[int]
) -> Iterator[tuple[tuple[int, ...], tuple]]:
    """Yield some points, no two with a coordinate in common, and the results there.

    They are computed one by one, without vmap and torch.func.
    """
    placed = {key: reduced(leaf, dims) for key, leaf in job.leaves.items()}
    lengths = {dim: n for own, array in placed.values() for dim, n in zip(own, array.shape)}
    for step in range(min(lengths.values(), default=1)):
        point = tuple(lengths[dim] - 1 - step for dim in dims)
        with job.traced.context():
            where = dict(zip(dims, point))
            values = {k: v[tuple(where[dim] for dim in own)] for k, (own, v) in placed.items()}
            results = at_point(job.traced, values)
        yield point, tuple(results[position] for position in positions)


# torch's rounding differs between one matrix and many; a wrong number is off by far more.
_TOLERANCE = {"float64": 1e-6, "float32": 1e-2}


def _agree(over_points: Sequence[Any], point: tuple[int, ...], at_point: Sequence[Any]) -> bool:
    """Tell whether results over several axes agree, at a point, with those computed there."""
    for mapped, single in zip(over_points, at_point):
        expected = single.detach().numpy()
        found = mapped.detach().numpy()[point]
        tolerance = _TOLERANCE.get(expected.dtype.name, 0.0)
        scale = np.max(np.abs(expected), where=np.isfinite(expected), initial=0.0)
        if not np.allclose(found, expected, rtol=0.0, atol=tolerance * scale, equal_nan=True):
            return False
    return True
