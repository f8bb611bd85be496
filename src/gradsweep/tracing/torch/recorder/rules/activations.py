"""Activations of neural networks and their derivatives, as torch's CPU kernels write them."""

import math
from collections.abc import Callable
from typing import Any

from gradsweep.tracing.torch.recorder.expression import apply, where
from gradsweep.tracing.torch.recorder.rules.formulas import (
    E,
    clamp,
    erf,
    exp,
    log1p,
    maximum,
    minimum,
    sigmoid,
    tanh,
)

__all__ = ["ACTIVATIONS"]


def _softplus(x: E, beta: float = 1, threshold: float = 20) -> E:
    scaled = x * beta
    return where(scaled > threshold, x, log1p(exp(scaled)) / beta)


def _softplus_backward(g: E, x: E, beta: float, threshold: float) -> E:
    z = exp(x * beta)
    return where(x * beta > threshold, g, g * z / (z + 1.0))


def _elu(x: E, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> E:
    negative = apply("expm1", x * input_scale) * (alpha * scale)
    return where(x <= 0, negative, x * scale)


def _elu_backward(g: E, alpha: float, scale: float, input_scale: float, is_result: bool, x: E) -> E:
    slope = alpha * scale * input_scale
    if is_result:
        negative = g * input_scale * (x + alpha * scale)
    else:
        negative = g * slope * exp(x * input_scale)
    return where(x <= 0, negative, g * scale)


def _leaky_relu(x: E, negative_slope: float = 0.01) -> E:
    return where(x > 0, x, x * negative_slope)


def _leaky_relu_backward(g: E, x: E, negative_slope: float, is_result: bool) -> E:
    return where(x > 0, g, g * negative_slope)


def _gelu(x: E, *, approximate: str = "none") -> E:
    if approximate == "tanh":
        inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1.0 + tanh(inner))
    return x * 0.5 * (1.0 + erf(x * math.sqrt(0.5)))


def _gelu_backward(g: E, x: E, *, approximate: str = "none") -> E:
    if approximate == "tanh":
        beta, kappa = math.sqrt(2.0 / math.pi), 0.044715
        t = tanh(beta * (x + kappa * (x * x * x)))
        left = 0.5 * (1.0 + t)
        right = 0.5 * x * (1.0 - t * t) * beta * (1.0 + 3.0 * kappa * (x * x))
        return g * (left + right)
    cdf = 0.5 * (1.0 + erf(x * math.sqrt(0.5)))
    pdf = exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))
    return g * (cdf + x * pdf)


def _silu_backward(g: E, x: E) -> E:
    s = sigmoid(x)
    return g * s * (1.0 + x * (1.0 - s))


def _mish(x: E) -> E:
    return x * tanh(log1p(exp(x)))


def _mish_backward(g: E, x: E) -> E:
    t = tanh(log1p(exp(x)))
    return g * (t + x * (1.0 - t * t) * sigmoid(x))


def _hardtanh_backward(g: E, x: E, low: float, high: float) -> E:
    return where((x <= low) | (x >= high), 0.0, g)


def _hardsigmoid(x: E) -> E:
    return clamp(x + 3.0, 0.0, 6.0) / 6.0


def _hardswish_backward(g: E, x: E) -> E:
    middle = where(x < 3.0, g * (x / 3.0 + 0.5), g)
    return where(x <= -3.0, 0.0, middle)


def _log_sigmoid(x: E) -> E:
    return minimum(x, 0.0) - log1p(exp(-abs(x)))


def _log_sigmoid_backward(g: E, x: E, buffer: E | None = None) -> E:
    is_negative = x < 0
    z = exp(-abs(x))
    slope = where(is_negative, 1.0, x.lift(0.0)) - where(is_negative, 1.0, x.lift(-1.0)) * (
        z / (1.0 + z)
    )
    return slope * g


def _threshold(x: E, threshold: float, value: float) -> E:
    return where(x <= threshold, value, x)


def _threshold_backward(g: E, x: E, threshold: float) -> E:
    return where(x <= threshold, g.zeros(), g)


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "softplus": _softplus,
    "softplus_backward": _softplus_backward,
    "relu": lambda x: maximum(x, 0),
    "relu6": lambda x: clamp(x, 0, 6),
    "softshrink": lambda x, size=0.5: where(
        x > size, x - size, where(x < -size, x + size, x * 0.0)
    ),
    "softshrink_backward": lambda g, x, size: where((x >= -size) & (x <= size), 0.0, g),
    "hardshrink": lambda x, size=0.5: where((x >= -size) & (x <= size), 0.0, x),
    "hardshrink_backward": lambda g, x, size: where((x >= -size) & (x <= size), 0.0, g),
    "threshold": _threshold,
    "threshold_backward": _threshold_backward,
    "leaky_relu": _leaky_relu,
    "leaky_relu_backward": _leaky_relu_backward,
    "elu": _elu,
    "celu": lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1.0 / alpha),
    "selu": lambda x: _elu(x, 1.6732632423543772, 1.0507009873554805),
    "elu_backward": _elu_backward,
    "gelu": _gelu,
    "gelu_backward": _gelu_backward,
    "silu": lambda x: x / (1.0 + exp(-x)),
    "silu_backward": _silu_backward,
    "mish": _mish,
    "mish_backward": _mish_backward,
    "hardtanh": lambda x, low=-1.0, high=1.0: clamp(x, low, high),
    "hardtanh_backward": _hardtanh_backward,
    "hardsigmoid": _hardsigmoid,
    "hardsigmoid_backward": lambda g, x: where((x > -3.0) & (x < 3.0), g * (1.0 / 6.0), 0.0),
    "hardswish": lambda x: x * _hardsigmoid(x),
    "hardswish_backward": _hardswish_backward,
    "log_sigmoid_forward": lambda x: (_log_sigmoid(x), exp(-abs(x))),
    "log_sigmoid_backward": _log_sigmoid_backward,
}
