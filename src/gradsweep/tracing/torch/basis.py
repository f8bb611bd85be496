"""Record a linear function once for a whole basis.

The operators of autograd with one addition: a linear function that is applied to every vector of a
basis is recorded on a vector of unknowns, and its equations are then rewritten for each basis
vector, whose zeros are structural. The function's own operations run once.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch

from gradsweep.request.quantities import Mode
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.ad import Tensors, TorchAD
from gradsweep.tracing.torch.meaning import Watch
from gradsweep.tracing.torch.recorder.record import SEED, ReadsSeed, Recorder
from gradsweep.tracing.torch.recorder.tensor import Cells, RecordedTensor, from_numpy

__all__ = ["RecordedAD"]


class RecordedAD(TorchAD):
    """The operators by autograd while a Recorder is active."""

    # The columns of a Hessian are recorded once for all, and take fewer equations than its rows.
    outer: Mode = "forward"

    def __init__(self, recorder: Recorder, dtype: torch.dtype, twice: bool, watch: Watch):
        super().__init__(dtype, twice, watch=watch)
        self.recorder = recorder
        # Inside another derivative the results carry a graph, which rewritten equations would lose.
        self._is_inside = False

    def _linear(self, transposed: bool) -> AbstractContextManager[None]:
        return self.recorder.builder.linear(transposed)

    def vjp(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        outside, self._is_inside = self._is_inside, True
        try:
            return super().vjp(function, x)
        finally:
            self._is_inside = outside

    def over_basis(self, function: Callable, like: Tensors) -> list[Tensors]:
        if self._is_inside or sum(array.numel() for array in like) <= 1:
            return super().over_basis(function, like)
        try:
            return self._over_unknowns(function, like)
        except ReadsSeed:
            return super().over_basis(function, like)

    def _over_unknowns(self, function: Callable, like: Tensors) -> list[Tensors]:
        seeds = self._unknowns(like)
        results = [self.recorder.recorded(tensor) for tensor in function(tuple(seeds))]
        every = [None if seed.cells is None else seed.cells.variables for seed in seeds]
        tables = []
        for array, own in zip(like, every):
            written = self._for_each(own, every, results)
            column = []
            for position, result in enumerate(results):
                shape = (*array.shape, *result.shape)
                value = from_numpy(np.zeros(shape, _numpy_dtype(result.dtype)))
                variables = None if written is None else written[position].reshape(shape)
                depends = set(result.depends) - {SEED}
                column.append(self.recorder.made(value, variables, depends))
            tables.append(tuple(column))
        return tables

    def _unknowns(self, like: Tensors) -> list[RecordedTensor]:
        dtype = _numpy_dtype(self.dtype)
        flat = self.recorder.input(SEED, np.ones(sum(a.numel() for a in like), dtype))
        seeds, start = [], 0
        for array in like:
            stop = start + array.numel()
            value = from_numpy(np.ones(tuple(array.shape), dtype))
            cells = flat.cells
            if cells is not None:
                cells = Cells(cells.variables[start:stop].copy(), cells.dtype)
            seeds.append(RecordedTensor(self.recorder, value, cells, {SEED}))
            start = stop
        return [
            seed if seed.dtype == array.dtype else seed.to(array.dtype)
            for seed, array in zip(seeds, like)
        ]

    def _for_each(
        self, own: np.ndarray | None, every: list, results: list[RecordedTensor]
    ) -> list[np.ndarray] | None:
        """Return the variables of every result for each basis vector of one array."""
        if self.recorder.reason or own is None:
            return None
        builder = self.recorder.builder
        unknowns = np.concatenate(every)
        zeros = {int(u): builder.structural_zero(builder.dtype(int(u))) for u in unknowns}
        replacements = [{**zeros, int(u): builder.constant(1, builder.dtype(int(u)))} for u in own]
        sizes = [result.variables.size for result in results]
        flat = [v for result in results for v in result.variables.ravel().tolist()]
        try:
            rows = builder.substitute(flat, replacements)
        except NotAProgram as error:
            self.recorder.refuse(str(error))
            return None
        table = np.array(rows, dtype=np.int64).reshape(len(replacements), len(flat))
        return np.split(table, np.cumsum(sizes)[:-1], axis=1)


def _numpy_dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
