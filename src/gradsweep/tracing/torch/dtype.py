"""Make tensors that a function creates without a dtype as wide as its arguments.

torch's default is float32, and a float64 function that writes torch.tensor(0.1) would lose half
of its digits; so it would with complex64. The default is never changed; a mode adds the dtype while
the function runs.
"""

import sys
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Float64Mode"]

# Functions whose result is floating for any arguments ...
_FLOATING = {
    torch.zeros, torch.ones, torch.empty, torch.eye, torch.linspace, torch.logspace,
    torch.hann_window, torch.hamming_window, torch.blackman_window, torch.bartlett_window,
    torch.kaiser_window,
}  # fmt: skip
# ... and functions whose result is floating when they are given a Python float.
_FROM_VALUES = {
    torch.tensor, torch.as_tensor, torch.asarray, torch.full, torch.arange, torch.scalar_tensor,
}  # fmt: skip
# Their bool is a condition, and only the numbers to choose from become wider.
_CHOOSES = {torch.where, torch.Tensor.where}
_NARROWS = {torch.Tensor.float, torch.Tensor.cfloat, torch.Tensor.to, torch.Tensor.type}

# The dtypes that torch gives to numbers, and those with all their digits.
_HALVES = {torch.float32: torch.float64, torch.complex64: torch.complex128}


class Float64Mode(TorchFunctionMode):
    """Python numbers become float64 or complex128 tensors where torch would halve their digits."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in _FLOATING and kwargs.get("dtype") is None:
            return function(*args, **{**kwargs, "dtype": torch.float64})
        if function in _FROM_VALUES:
            return _from_values(function, args, kwargs)
        result = function(*args, **kwargs)
        if isinstance(result, torch.Tensor) and result.dtype in _HALVES:
            # Arithmetic of integers alone: torch.arange(3) / 2.
            if function not in _NARROWS and not _names_a_dtype(args, kwargs):
                tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
                if tensors and not any(map(_is_wide_enough, tensors)):
                    widen = _widen_number if function in _CHOOSES else _widen
                    return function(*map(widen, args), **{k: widen(v) for k, v in kwargs.items()})
        return result


def _from_values(function, args: tuple, kwargs: dict) -> torch.Tensor:
    asked = kwargs.get("dtype")
    if asked is torch.get_default_dtype() and _caller_is_distributions():
        asked = None
    if asked is None and not (args and hasattr(args[0], "dtype")):
        result = function(*args, **{**kwargs, "dtype": None})
        if result.is_complex():
            asked = torch.complex128
        elif result.dtype is torch.get_default_dtype():
            asked = torch.float64
        else:
            return result
    return function(*args, **{**kwargs, "dtype": asked})


def _caller_is_distributions() -> bool:
    # torch.distributions turns Normal(0.1, 0.3) into tensors, and names the default dtype.
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_between(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return frame.f_globals.get("__name__", "").startswith("torch.distributions")


def _is_between(module: str) -> bool:
    """Tell whether a module's code runs between a mode and the code that called torch."""
    return module.startswith((__package__, "torch.overrides", "torch.functional"))


def _is_wide_enough(tensor: torch.Tensor) -> bool:
    """Tell whether it is a tensor's own dtype that decides the result's."""
    return tensor.is_floating_point() or tensor.is_complex()


def _names_a_dtype(args: tuple, kwargs: dict) -> bool:
    return any(isinstance(a, torch.dtype) for a in (*args, *kwargs.values()))


def _widen(value: Any) -> Any:
    return value.double() if isinstance(value, torch.Tensor) else value


def _widen_number(value: Any) -> Any:
    return torch.tensor(value, dtype=torch.float64) if isinstance(value, float) else value
