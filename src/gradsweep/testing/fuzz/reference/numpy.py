"""The derivative of a NumPy function, by differences in long doubles.

NumPy has no derivative of its own. The function is run in numbers of 64 bits of mantissa: central
differences at steps that halve, extrapolated to step zero (Ridders, Advances in Engineering
Software 4, 1982). Where the extrapolations do not agree to a part in 1e12, as near a kink, or the
slopes of both sides do not meet, the derivative is NaN: not settled.

scipy.differentiate has first derivatives alone to this accuracy: its Hessian differs differences.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from gradsweep.testing.fuzz.reference.base import At, flat_outputs, in_parts

__all__ = ["NumpyReference"]

_FIRST_STEP = 2.0**-3
_N_STEPS = 8
_LAST_STEP = _FIRST_STEP / 2 ** (_N_STEPS - 1)
_MOST_APART = 1e-12
# How far the difference over the last step, which is not extrapolated, may be from the limit.
_MOST_FROM_LAST = 0.05

# An element of an argument: its name, and the position in the flat array.
_Place = tuple[str, int]


class NumpyReference:
    def __init__(self, function: Callable[..., Any], wrt: Sequence[str]):
        self._function = function
        self._precise = _in_long_doubles(function)
        self._wrt = tuple(wrt)
        self._complex: set[str] = set()  # the arguments that enter as their parts

    def at(self, values: Mapping[str, Any], order: int) -> At:
        values, self._complex = in_parts(values)
        y = self._outputs(self._function, values, np.float64)
        shapes = {path: output.shape for path, output in y.items()}
        places = {name: [(name, k) for k in range(np.size(values[name]))] for name in self._wrt}
        J: dict[tuple[str, str], np.ndarray] = {}
        H: dict[tuple[str, str, str], np.ndarray] = {}
        for name in self._wrt if order > 0 else ():
            columns = [self._derivative(values, place) for place in places[name]]
            for path, part in _by_path(np.stack(columns, -1), shapes):
                J[path, name] = part.reshape((*shapes[path], *np.shape(values[name])))
        if order > 1:
            every = [place for own in places.values() for place in own]
            entries: dict[tuple, np.ndarray] = {}
            for i, p in enumerate(every):
                for q in every[i:]:
                    entries[p, q] = entries[q, p] = _limit(partial(self._second, values, p, q))
            for first in self._wrt:
                for second in self._wrt:
                    block = [entries[p, q] for p in places[first] for q in places[second]]
                    own_shape = (*np.shape(values[first]), *np.shape(values[second]))
                    for path, part in _by_path(np.stack(block, -1), shapes):
                        H[path, first, second] = part.reshape((*shapes[path], *own_shape))
        return At(y, J, H)

    def plainly_at(self, values: Mapping[str, Any], order: int) -> At:
        return self.at(values, order)

    def forward_at(self, values: Mapping[str, Any], order: int) -> At:
        raise NotImplementedError("NumPy has no forward mode")

    def _derivative(self, values: Mapping[str, Any], place: _Place) -> np.ndarray:
        found = _limit(partial(self._first, values, place))
        # The slopes of both sides differ by h times the second derivative, so that half the step
        # halves it; at a kink the difference stays.
        wide, narrow = (
            np.abs(self._second(values, place, place, h) * h) for h in (_LAST_STEP, _LAST_STEP / 2)
        )
        return np.where((narrow > 1e-9) & (narrow > 0.75 * wide), np.longdouble("nan"), found)

    def _first(self, values: Mapping[str, Any], place: _Place, h: float) -> np.ndarray:
        return (self._moved(values, {place: h}) - self._moved(values, {place: -h})) / (2 * h)

    def _second(self, values: Mapping[str, Any], p: _Place, q: _Place, h: float) -> np.ndarray:
        if p == q:
            middle = self._moved(values, {})
            ends = self._moved(values, {p: h}) + self._moved(values, {p: -h})
            return (ends - 2 * middle) / (h * h)
        alike = self._moved(values, {p: h, q: h}) + self._moved(values, {p: -h, q: -h})
        apart = self._moved(values, {p: h, q: -h}) + self._moved(values, {p: -h, q: h})
        return (alike - apart) / (4 * h * h)

    def _moved(self, values: Mapping[str, Any], steps: Mapping[_Place, float]) -> np.ndarray:
        """Return all outputs as one vector, with some elements of the arguments moved."""
        moved = dict(values)
        for name in self._wrt:
            moved[name] = np.array(values[name], np.longdouble)
        for (name, k), step in steps.items():
            moved[name].reshape(-1)[k] += step
        outputs = self._outputs(self._precise, moved, np.longdouble)
        return np.concatenate([output.reshape(-1) for output in outputs.values()])

    def _outputs(
        self, function: Callable[..., Any], values: Mapping[str, Any], dtype: type
    ) -> dict[str, np.ndarray]:
        arguments: dict[str, Any] = {
            name: value if isinstance(value, int | str) else np.array(value)[()]
            for name, value in values.items()
        }
        for name in self._complex:
            arguments[name] = arguments[name][..., 0] + 1j * arguments[name][..., 1]
        with np.errstate(all="ignore"):
            result = function(**arguments)
        outputs = {}
        for path, value in flat_outputs(result):
            array = np.asarray(value)
            if array.dtype.kind == "c":
                raise TypeError("a complex output")
            outputs[path] = array if array.dtype.kind == "b" else array.astype(dtype)
        return outputs


def _by_path(
    stacked: np.ndarray, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the rows of each output, in double precision."""
    start = 0
    for path, shape in shapes.items():
        n = math.prod(shape)
        yield path, stacked[start : start + n].astype(np.float64)
        start += n


def _limit(difference: Callable[[float], np.ndarray]) -> np.ndarray:
    """Extrapolate a difference, even in its step, to step zero; NaN where it does not settle."""
    with np.errstate(all="ignore"):
        rows: list[list[np.ndarray]] = []
        best, least = np.asarray(np.nan), np.asarray(np.inf)
        for k in range(_N_STEPS):
            row = [difference(_FIRST_STEP / 2**k)]
            for m in range(1, k + 1):
                row.append(row[-1] + (row[-1] - rows[-1][m - 1]) / (4.0**m - 1.0))
                apart = np.maximum(np.abs(row[m] - row[m - 1]), np.abs(row[m] - rows[-1][m - 1]))
                best = np.where(apart < least, row[m], best)
                least = np.where(apart < least, apart, least)
            rows.append(row)
        size = np.maximum(1.0, np.abs(best))
        is_settled = least <= _MOST_APART * size
        # Over wide steps, a function that jumps may give the same slope twice.
        is_near = np.abs(best - rows[-1][0]) <= _MOST_FROM_LAST * size
        return np.where(is_settled & is_near, best, np.longdouble("nan"))


def _in_long_doubles(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose `np` and `math` make long doubles, and so do its helpers'.

    The helpers are the functions of its own globals; modules are not changed.
    """
    assert isinstance(function, FunctionType)
    scope = function.__globals__
    long = {"np": _LongNumpy(), "math": _LongMath(), "cmath": _LongCmath(), "complex": _complex}
    precise = {**scope, **long}
    for name, value in scope.items():
        if isinstance(value, FunctionType) and value.__globals__ is scope:
            precise[name] = _with_globals(value, precise)
        elif isinstance(value, np.ndarray) and value.dtype == np.float64:
            precise[name] = value.astype(np.longdouble)
    return _with_globals(function, precise)


def _with_globals(function: FunctionType, scope: dict[str, Any]) -> FunctionType:
    made = FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _long(value: Any) -> Any:
    dtype = getattr(value, "dtype", None)
    if dtype in (np.float64, np.complex128):
        return value.astype(np.longdouble if dtype == np.float64 else np.clongdouble)
    return value


def _complex(real: Any = 0.0, imag: Any = 0.0) -> Any:
    return real + np.clongdouble(1j) * imag


class _LongNumpy:
    """NumPy, whose functions give long doubles where they would give doubles."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        if isinstance(value, type) or not callable(value) or isinstance(value, np.ufunc):
            return value
        return lambda *args, **kwargs: _long(value(*args, **kwargs))

    def interp(self, x: Any, xp: Any, fp: Any) -> Any:
        k = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
        xp, fp = (np.asarray(a, np.longdouble) for a in (xp, fp))
        inside = fp[k] + (x - xp[k]) * (fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k])
        return np.where(x < xp[0], fp[0], np.where(x > xp[-1], fp[-1], inside))


class _LongMath:
    """The functions of `math`, computed by NumPy in long doubles."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(math, name)
        return getattr(np, name) if callable(value) else value


class _LongCmath:
    """The functions of `cmath`, computed by NumPy in long doubles."""

    def __getattr__(self, name: str) -> Any:
        return lambda z: getattr(np, name)(_complex(z))

    def phase(self, z: Any) -> Any:
        return np.arctan2(np.imag(z), np.real(z))

    def polar(self, z: Any) -> Any:
        return np.abs(z), self.phase(z)

    def rect(self, r: Any, phi: Any) -> Any:
        return _complex(r * np.cos(phi), r * np.sin(phi))
