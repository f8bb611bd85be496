"""torch's own derivatives: torch.autograd.grad, and twice for the second order.

torch.polygamma, the derivative of digamma, has nine digits (torch 2.13.0): here, all.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import polygamma
from torch.autograd import forward_ad

from gradsweep.testing.fuzz.drawing.dialects import dialect_of
from gradsweep.testing.fuzz.reference.base import At, flat_outputs, in_parts
from gradsweep.tracing.torch.private import FastDispatchMode

__all__ = ["TorchReference"]


class _ExactPolygamma(FastDispatchMode):
    """Compute torch.polygamma of positive doubles by SciPy, which has all digits."""

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        found = op(*args, **(kwargs or {}))
        if op is not torch.ops.aten.polygamma.default or found.dtype is not torch.float64:
            return found
        n, x = args
        exact = torch.from_numpy(np.asarray(polygamma(n, x.detach().numpy())))
        return torch.where(x.detach() > 0, exact, found)


class TorchReference:
    def __init__(self, function: Callable[..., Any], wrt: Sequence[str], dtype: str):
        self._function = function
        self._wrt = tuple(wrt)
        self._dtype = getattr(torch, dtype)
        self._running = dialect_of("torch", dtype).running
        self._complex: set[str] = set()  # the arguments that enter as their parts

    def at(self, values: Mapping[str, Any], order: int) -> At:
        values, self._complex = in_parts(values)
        with self._running(), _ExactPolygamma():
            arguments = self._arguments(values, order > 0)
            y = self._outputs(arguments)
            x = [arguments[name] for name in self._wrt]
            J: dict[tuple[str, str], np.ndarray] = {}
            H: dict[tuple[str, str, str], np.ndarray] = {}
            for path, output in y.items() if order else ():
                rows = [self._gradients(e, x, order > 1) for e in output.reshape(-1)]
                for i, first in enumerate(self._wrt):
                    shape = (*output.shape, *x[i].shape)
                    J[path, first] = _array([row[i] for row in rows], shape)
                    for j, second in enumerate(self._wrt) if order > 1 else ():
                        entries = [
                            self._gradients(e, [x[j]], False)[0]
                            for row in rows
                            for e in row[i].reshape(-1)
                        ]
                        H[path, first, second] = _array(entries, (*shape, *x[j].shape))
            return At({path: _array([output], output.shape) for path, output in y.items()}, J, H)

    def plainly_at(self, values: Mapping[str, Any], order: int) -> At:
        return self.at(values, order)

    def forward_at(self, values: Mapping[str, Any], order: int) -> At:
        values, self._complex = in_parts(values)
        with self._running():
            columns: dict[tuple, list] = {}
            shapes: dict[str, tuple[int, ...]] = {}
            for name in self._wrt:
                n = np.size(values[name])
                for vector in torch.eye(n, dtype=self._dtype):
                    with forward_ad.dual_level():
                        arguments = self._arguments(values, order > 1)
                        given = dict(arguments)
                        for other in self._wrt:
                            zeros = torch.zeros_like(arguments[other])
                            seed = vector.reshape(zeros.shape) if other == name else zeros
                            given[other] = forward_ad.make_dual(arguments[other], seed)
                        y = self._outputs(given)
                        found: dict[tuple, torch.Tensor]
                        if order == 1:
                            found = {(path, name): output for path, output in y.items()}
                        else:
                            found = {
                                (path, first, name): part
                                for path, output in y.items()
                                for first, part in self._stacked(output, given)
                            }
                        for key, output in found.items():
                            column = forward_ad.unpack_dual(output).tangent
                            column = torch.zeros_like(output) if column is None else column
                            columns.setdefault(key, []).append(column.detach())
                        shapes[name] = tuple(arguments[name].shape)
            joined = {
                key: torch.stack(parts, -1).reshape((*parts[0].shape, *shapes[key[-1]])).numpy()
                for key, parts in columns.items()
            }
            return At({}, joined, {}) if order == 1 else At({}, {}, joined)

    def _stacked(self, output: torch.Tensor, arguments: Mapping[str, Any]):
        """Yield the gradient of every element of an output, stacked, for each argument."""
        x = [arguments[name] for name in self._wrt]
        rows = [self._gradients(e, x, True) for e in output.reshape(-1)]
        for i, name in enumerate(self._wrt):
            stacked = torch.stack([row[i] for row in rows])
            yield name, stacked.reshape((*output.shape, *x[i].shape))

    def _arguments(self, values: Mapping[str, Any], differentiated: bool) -> dict[str, Any]:
        arguments = {}
        for name, value in values.items():
            if isinstance(value, int | str):
                arguments[name] = value
                continue
            tensor = torch.tensor(np.asarray(value))
            arguments[name] = tensor
            if differentiated and name in self._wrt:
                tensor.requires_grad_()
        return arguments

    def _outputs(self, arguments: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        outputs = {}
        whole = {name: torch.complex(*arguments[name].unbind(-1)) for name in self._complex}
        for path, value in flat_outputs(self._function(**{**arguments, **whole})):
            array = value if isinstance(value, torch.Tensor) else torch.tensor(value)
            if array.is_complex():
                raise TypeError("a complex output")
            if array.dtype is not torch.bool and (
                not array.is_floating_point() or array.dtype.itemsize < self._dtype.itemsize
            ):
                array = array.to(self._dtype)
            outputs[path] = array
        return outputs

    def _gradients(self, output: torch.Tensor, x: Sequence[torch.Tensor], again: bool) -> tuple:
        if not output.requires_grad:
            return tuple(map(torch.zeros_like, x))
        return torch.autograd.grad(
            output,
            x,
            retain_graph=True,
            create_graph=again,
            allow_unused=True,
            materialize_grads=True,
        )


def _array(parts: Sequence[torch.Tensor], shape: Sequence[int]) -> np.ndarray:
    stacked = torch.stack([part.detach() for part in parts])
    return stacked.reshape(tuple(shape)).numpy().copy()
