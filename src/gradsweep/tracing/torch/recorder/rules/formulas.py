"""Formulas that several tables of rules use."""

import math
from collections.abc import Callable

from gradsweep.tracing.torch.recorder.expression import Expression, Operand, apply

__all__ = [
    "E",
    "clamp",
    "conj",
    "erf",
    "exp",
    "is_infinite",
    "is_nan",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "primitive",
    "sigmoid",
    "sqrt",
    "tanh",
]

E = Expression


def primitive(name: str) -> Callable[..., E]:
    return lambda x, *others: apply(name, x, *others)


def exp(x: E) -> E:
    return apply("exp", x)


def log(x: E) -> E:
    return apply("log", x)


def log1p(x: E) -> E:
    return apply("log1p", x)


def sqrt(x: E) -> E:
    return apply("sqrt", x)


def tanh(x: E) -> E:
    return apply("tanh", x)


def erf(x: E) -> E:
    return apply("erf", x)


def conj(x: E) -> E:
    return apply("conj", x) if x.is_complex else x


def is_nan(x: E) -> E:
    return x.differs(x)


def is_infinite(x: E) -> E:
    return apply("isinf", x) if x.is_complex else abs(x).equals(math.inf)


def maximum(x: E, y: Operand) -> E:
    return apply("max", x, y)


def minimum(x: E, y: Operand) -> E:
    return apply("min", x, y)


def sigmoid(x: E) -> E:
    return 1.0 / (1.0 + exp(-x))


def clamp(x: E, low: Operand | None = None, high: Operand | None = None) -> E:
    # NaN in x stays; as in torch, the upper bound wins where the bounds cross.
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)
