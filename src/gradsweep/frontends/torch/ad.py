"""torch's two operators, pushforward and pullback, in both of torch's forms.

Each implements `compose.AD`. TorchAD goes through autograd: it is what is recorded, and what the
loop engine runs. FunctionalAD goes through torch.func, which vmap can vectorise.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from gradsweep.errors import OutputError

__all__ = ["FunctionalAD", "TorchAD", "float_dtype"]

Tensors = tuple[torch.Tensor, ...]

# Up to so many basis vectors are followed one by one. Under the vmap over points, a second one over
# a basis makes of a product of matrices many small ones, which takes up to five times as long.
_FEW_VECTORS = 8


def float_dtype(dtypes: Sequence[str]) -> torch.dtype:
    """Return the dtype of results: float64, unless every floating leaf is narrower."""
    floating = {dtype for dtype in dtypes if dtype.startswith("float")}
    return torch.float32 if floating == {"float32"} else torch.float64


class _Arrays:
    """What both forms have in common: how a torch array is handled."""

    def __init__(self, dtype: torch.dtype):
        self.dtype = dtype

    def as_output(self, path: str, value: Any) -> torch.Tensor:
        if isinstance(value, torch.Tensor) or hasattr(value, "__array__"):
            array = torch.as_tensor(value)
        elif isinstance(value, bool | int | float | complex):
            array = torch.tensor(value)
        else:
            raise OutputError(
                f"{_called(path)} is {_described(value)}.\n"
                f"Return numbers, tensors, or a dict or tuple of them."
            )
        if array.is_complex():
            raise OutputError(
                f"{_called(path)} is complex. Return its real and imaginary parts as two outputs."
            )
        if array.dtype is torch.bool:
            return array
        # Wider than asked for stays; narrower would lose digits in silence.
        if not array.is_floating_point() or array.dtype.itemsize < self.dtype.itemsize:
            return array.to(self.dtype)
        return array

    def zeros_like(self, array: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(array)

    def moveaxis(
        self, array: torch.Tensor, source: Sequence[int], target: Sequence[int]
    ) -> torch.Tensor:
        return torch.movedim(array, tuple(source), tuple(target))


def _called(path: str) -> str:
    return f"output {path!r}" if path else "what the function returns"


def _described(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _basis(like: Tensors) -> list[torch.Tensor]:
    """Return, for each array, its standard basis as the rows of a matrix."""
    return [torch.eye(array.numel(), dtype=array.dtype) for array in like]


def _shaped(results: torch.Tensor, array: torch.Tensor) -> torch.Tensor:
    """Give the results for each basis vector of an array the array's own dims first."""
    return results.reshape((*array.shape, *results.shape[1:]))


class TorchAD(_Arrays):
    """autograd and dual numbers.

    Args:
        dtype: of floating results.
        twice: whether what `vjp` returns is differentiated again.
    """

    def __init__(self, dtype: torch.dtype, twice: bool):
        super().__init__(dtype)
        self.twice = twice

    def jvp(self, function: Callable, x: Tensors, v: Tensors) -> tuple[Tensors, Tensors]:
        try:
            with forward_ad.dual_level():
                duals = tuple(map(forward_ad.make_dual, x, v))
                unpacked = [forward_ad.unpack_dual(y) for y in function(*duals)]
        except (NotImplementedError, RuntimeError):
            # An operation with a backward formula alone, such as an autograd.Function.
            return self._jvp_by_transposing(function, x, v)
        y = tuple(pair.primal for pair in unpacked)
        tangents = (pair.tangent for pair in unpacked)
        return y, tuple(torch.zeros_like(p) if t is None else t for p, t in zip(y, tangents))

    def _jvp_by_transposing(
        self, function: Callable, x: Tensors, v: Tensors
    ) -> tuple[Tensors, Tensors]:
        """Return J v as the derivative along v of w J, which is linear in w.

        Reference: Townsend (2017), "A new trick for calculating Jacobian vector products".
        """
        twice, self.twice = self.twice, True
        try:
            y, pull = self.vjp(function, x)
            w = tuple(torch.zeros_like(array).requires_grad_(_differentiable(array)) for array in y)
            _, transposed = self._vjp_at(lambda *w: pull(w), w)
        finally:
            self.twice = twice
        return y, transposed(v)

    def vjp(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        with torch.enable_grad():
            fresh = tuple(array.view_as(array) for array in x)
            for array in fresh:
                if not array.requires_grad:
                    array.requires_grad_()
            return self._vjp_at(function, fresh)

    def _vjp_at(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        with torch.enable_grad():
            y = tuple(function(*x))
        connected = [i for i, array in enumerate(y) if array.requires_grad]
        wanted = [i for i, array in enumerate(x) if array.requires_grad]

        def pull(w: Tensors) -> Tensors:
            found: dict[int, torch.Tensor | None] = {}
            if connected and wanted:
                # w given as `grad_outputs` makes torch import its symbolic shapes: 0.4 s.
                with torch.enable_grad():
                    product = sum((y[i] * w[i]).sum() for i in connected)
                gradients = torch.autograd.grad(
                    product,
                    [x[i] for i in wanted],
                    retain_graph=True,
                    create_graph=self.twice,
                    allow_unused=True,
                )
                found = dict(zip(wanted, gradients))
            given = (found.get(i) for i in range(len(x)))
            return tuple(torch.zeros_like(a) if g is None else g for a, g in zip(x, given))

        return y, pull

    def over_basis(self, function: Callable, like: Tensors) -> list[Tensors]:
        zeros = [torch.zeros_like(array) for array in like]
        tables = []
        for position, (array, basis) in enumerate(zip(like, _basis(like))):
            rows = []
            for vector in basis.unbind():
                seeds = list(zeros)
                seeds[position] = vector.reshape(array.shape)
                rows.append(function(tuple(seeds)))
            if not rows:  # an array without elements: the shapes still have to be right
                rows, kept = [function(tuple(zeros))], 0
            else:
                kept = len(rows)
            tables.append(
                tuple(_shaped(torch.stack(column)[:kept], array) for column in zip(*rows))
            )
        return tables


def _differentiable(array: torch.Tensor) -> bool:
    return array.is_floating_point()


class FunctionalAD(_Arrays):
    """torch.func: the same, in a form that torch.func.vmap and torch.compile accept."""

    def jvp(self, function: Callable, x: Tensors, v: Tensors) -> tuple[Tensors, Tensors]:
        y, tangents = torch.func.jvp(lambda *x: tuple(function(*x)), x, v)
        return y, tangents

    def vjp(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        return torch.func.vjp(lambda *x: tuple(function(*x)), *x)

    def over_basis(self, function: Callable, like: Tensors) -> list[Tensors]:
        zeros = [torch.zeros_like(array) for array in like]
        tables = []
        for position, (array, basis) in enumerate(zip(like, _basis(like))):

            def apply(vector: torch.Tensor, position=position, array=array) -> Tensors:
                seeds = list(zeros)
                seeds[position] = vector.reshape(array.shape)
                return function(tuple(seeds))

            if 0 < array.numel() <= _FEW_VECTORS:
                rows = [apply(vector) for vector in basis.unbind()]
                columns = tuple(torch.stack(column) for column in zip(*rows))
            else:
                columns = torch.func.vmap(apply)(basis)
            tables.append(tuple(_shaped(column, array) for column in columns))
        return tables
