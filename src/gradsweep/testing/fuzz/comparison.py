"""Compare a result with the framework's own at every point.

A Dataset and the reference enter; a disagreement leaves, and how many points each rule excluded. A
number is excluded only where the framework itself does not settle it, and only after it was found
to differ:

- the framework's own derivative is not finite there: zeros that mean "nothing here" annihilate;
- the framework differs as much from itself at arguments a few roundings away: the derivative is
  ill-conditioned, or rounding decides a comparison (arguments with few digits are not moved, so
  that a kink is still judged);
- the number is that of the framework's own forward mode, in a request that may use this mode, and
  the derivative jumps there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradsweep.testing.fuzz.combinations import Combination
from gradsweep.testing.fuzz.counts import Counts
from gradsweep.testing.fuzz.drawing.arguments import Arguments
from gradsweep.testing.fuzz.reference.base import At, Reference
from gradsweep.testing.fuzz.reference.expected import expected_at

__all__ = ["Judge"]

# By the width of the narrowest floats: a framework's modes round different numbers to it.
_RTOL = {8: 1e-9, 4: 1e-3, 2: 2e-2}

# A number that is this small beside the largest of all may be the rounding of others.
_SMALL = 1e-3

# How far arguments are moved to see what rounding does, relative to their size.
_ROUNDINGS = {8: 2.0**-50, 4: 2.0**-21, 2: 2.0**-21}
_N_MOVES = 6

# How many times the framework's difference from itself still counts as rounding.
_TRUST = 32.0


@dataclass(eq=False)
class Judge:
    """Tells whether results are right.

    Attributes:
        n_bytes: the width of the narrowest floats that anything is computed with.
    """

    arguments: Arguments
    reference: Reference
    n_bytes: int
    counts: Counts
    cuts: bool = False

    def __post_init__(self) -> None:
        self._points = self.arguments.points()
        self._known: dict[tuple[int, int], At] = {}

    def at(self, number: int, order: int) -> At:
        """Return the framework's own values and derivatives at a point."""
        for higher in range(order, 3):
            if (number, higher) in self._known:
                return self._known[number, higher]
        found = self.reference.at(self.arguments.at(self._points[number]), order)
        self._known[number, order] = found
        return found

    def disagreement(self, combination: Combination, ds: Any) -> str:
        """Return what is wrong with a Dataset, or ""."""
        order = combination.order
        rows = [
            expected_at(combination, self.at(n, order), self.arguments, where)
            for n, where in enumerate(self._points)
        ]
        if set(ds.data_vars) != set(rows[0]):
            return f"found the variables {sorted(ds.data_vars)}, expected {sorted(rows[0])}"
        axes = self.arguments.axes
        found: dict[str, np.ndarray] = {}
        for name in rows[0]:
            found[name] = whole(ds[name], axes)
            shape = (*axes.values(), *rows[0][name].shape)
            if found[name].shape != shape:
                dims = dict(ds[name].sizes)
                return f"{name} has dims {dims}: over the whole sweep {found[name].shape}, {shape}"
        sizes = {name: _size([row[name] for row in rows]) for name in rows[0]}
        largest = max(sizes.values())
        for n, where in enumerate(self._points):
            self.counts.n_points += 1
            for name, expected in rows[n].items():
                here = found[name][tuple(where.values())]
                scale = max(sizes[name], _SMALL * max(largest, 1.0))
                if _agree(here, expected, _RTOL[self.n_bytes], scale):
                    continue
                reason = self._excuse(combination, n, name, here, expected, largest)
                if not reason:
                    plain = self._plainly(combination, n)[name]
                    if _agree(here, plain, _RTOL[self.n_bytes], scale):
                        reason = "the framework compiled differs from itself"
                if not reason:
                    return self.told(n, name, here, expected, list(ds[name].dims))
                self.counts.excluded[reason] += 1
        return ""

    def _plainly(self, combination: Combination, n: int) -> dict[str, np.ndarray]:
        at = self.reference.plainly_at(self.arguments.at(self._points[n]), combination.order)
        return expected_at(combination, at, self.arguments, self._points[n])

    def told(
        self, n: int, name: str, found: np.ndarray, expected: np.ndarray, dims: list[str]
    ) -> str:
        point = {key: _plain(v) for key, v in self.arguments.at(self._points[n]).items()}
        return (
            f"{name} at {point}:\nfound    {_plain(found)}, with dims {dims}\n"
            f"expected {_plain(expected)}"
        )

    def _excuse(
        self,
        combination: Combination,
        n: int,
        name: str,
        found: np.ndarray,
        expected: np.ndarray,
        largest: float,
    ) -> str:
        """Return the rule by which a number is excluded, or ""."""
        where = self._points[n]

        def of(at: At) -> np.ndarray:
            y = at.y or self.at(n, combination.order).y
            J = at.J or self.at(n, combination.order).J
            full = At(y, J, at.H)
            return expected_at(combination, full, self.arguments, where)[name]

        is_value = combination.quantity == "value" or name in self._value_names(combination, n)
        if not is_value and not np.all(np.isfinite(expected)):
            return "not finite in the framework"
        if self.is_unsettled(n, found, expected, of, combination.order):
            return "unsettled by rounding"
        if is_value or (combination.mode == "reverse" and combination.order < 2):
            return ""
        forward = self._forward(n, max(1, combination.order))
        if forward is None:
            return ""
        other = of(forward)
        if not np.all(np.isfinite(other)) and not np.all(np.isfinite(found)):
            return "not finite in the framework's forward mode"
        agrees = _agree(found, other, _RTOL[self.n_bytes], largest)
        if agrees and not self.cuts and self._jumps(n, expected, of, combination.order):
            return "a kink where the framework's modes differ"
        return ""

    def _value_names(self, combination: Combination, n: int) -> set[str]:
        if not combination.with_value:
            return set()
        value = Combination("value")
        return set(expected_at(value, self.at(n, 0), self.arguments, self._points[n]))

    def is_unsettled(
        self,
        n: int,
        found: np.ndarray,
        expected: np.ndarray,
        of: Callable[[At], np.ndarray],
        order: int,
    ) -> bool:
        """Tell whether the framework differs as much from itself, a few roundings away."""
        values = self.arguments.at(self._points[n])
        apart = np.zeros(np.shape(expected))
        for moved in self._moved(values, _ROUNDINGS[self.n_bytes], keeps_special=True):
            nearby = of(self.reference.at(moved, order))
            if _agree(found, nearby, _RTOL[self.n_bytes], _size([nearby])):
                return True
            with np.errstate(all="ignore"):
                apart = np.fmax(apart, np.abs(_float(nearby) - _float(expected)))
        with np.errstate(all="ignore"):
            return bool(np.all(np.abs(_float(found) - _float(expected)) <= _TRUST * apart.max()))

    def _jumps(
        self, n: int, expected: np.ndarray, of: Callable[[At], np.ndarray], order: int
    ) -> bool:
        """Tell whether the derivative has another value on some side of a point."""
        values = self.arguments.at(self._points[n])
        for moved in self._moved(values, 2.0**-30, keeps_special=False):
            nearby = of(self.reference.at(moved, order))
            if not _agree(nearby, expected, 1e-6, _size([nearby, expected])):
                return True
        return False

    def _moved(self, values: Mapping[str, Any], by: float, keeps_special: bool):
        """Yield the arguments moved a little, each time another way."""
        rng = np.random.default_rng(0)
        for _ in range(_N_MOVES):
            moved = dict(values)
            for name, value in values.items():
                array = np.asarray(value)
                if isinstance(value, int) or array.dtype.kind not in "fc":
                    continue
                is_complex = array.dtype.kind == "c"
                parts = np.array([array.real, array.imag]) if is_complex else array
                step = rng.choice([-4.0, -1.0, 0.0, 1.0, 4.0], parts.shape) * by
                size = np.maximum(np.abs(parts), 1e-3)
                if keeps_special:
                    step = np.where(parts * 4 == np.round(parts * 4), 0.0, step)
                parts = parts + step * size
                found = parts[0] + 1j * parts[1] if is_complex else parts
                moved[name] = np.asarray(found, array.dtype)
            yield moved

    def _forward(self, n: int, order: int) -> At | None:
        try:
            return self.reference.forward_at(self.arguments.at(self._points[n]), order)
        except Exception:
            return None


def whole(variable: Any, axes: Mapping[str, int]) -> np.ndarray:
    """Return a variable of a Dataset over all axes, these first."""
    own = [dim for dim in variable.dims if dim not in axes]
    return (
        variable.variable.set_dims({**axes, **{d: variable.sizes[d] for d in own}})
        .transpose(*axes, *own)
        .values
    )


def _float(array: Any) -> np.ndarray:
    return np.asarray(array).astype(np.float64)


def _size(arrays: list[np.ndarray]) -> float:
    """Return the largest finite magnitude."""
    every = np.concatenate([np.abs(_float(a)).ravel() for a in arrays])
    finite = every[np.isfinite(every)]
    return float(finite.max()) if len(finite) else 0.0


def _agree(found: np.ndarray, expected: np.ndarray, rtol: float, scale: float) -> bool:
    found, expected = _float(found), _float(expected)
    if found.shape != expected.shape:
        return False
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(all="ignore"):
        close = np.abs(found - expected) <= rtol * scale
    return bool(np.all(same | close))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
