"""The operators of an Array: NumPy's, and Python's own between numbers of Python's.

An argument without dims is a number of Python's, as in a plain call: True + True is 2, and after
`y = x; y += 1` x is what it was. NumPy's numbers are no different but for truth values, whose sum
is "or". An array of no dims is written into.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from gradsweep.tracing.numpy.library import library_of

__all__ = ["Number", "Operators"]

# Whose number something without dims is; "" for an array.
Number = Literal["python", "numpy", ""]

_PYTHONS = (bool, int, float, complex)
_OPERANDS = (*_PYTHONS, np.ndarray, np.generic)

# What takes Python's truth values as integers. ~True is left to mean "not", as for NumPy's: that it
# is -2 is a mistake of Python's, which has it no more from 3.16 on.
_ARITHMETIC = {
    np.add, np.subtract, np.multiply, np.true_divide, np.floor_divide, np.remainder, np.power,
    np.divmod, np.negative, np.positive, np.absolute,
}  # fmt: skip


def _is_operand(value: Any, beside: "Operators") -> bool:
    """Tell whether something may stand beside an Array; no list may beside a number of Python's."""
    if isinstance(value, list | tuple):
        return beside.number != "python"
    return isinstance(value, (Operators, *_OPERANDS)) or library_of(value) is not None


def _is_pythons(value: Any) -> bool:
    return value.number == "python" if isinstance(value, Operators) else type(value) in _PYTHONS


def _as_integer(value: Any) -> Any:
    if isinstance(value, Operators):
        return value.astype(np.int64) if value.dtype.kind == "b" else value
    return int(value) if isinstance(value, bool) else value


def _operate(ufunc: np.ufunc, *values: Any) -> Any:
    """Return the result of an operator, which is a number of Python's where all operands are."""
    if not all(map(_is_pythons, values)):
        return Operators.apply(ufunc, values, {})
    if ufunc in _ARITHMETIC:
        values = tuple(map(_as_integer, values))
    found = Operators.apply(ufunc, values, {})
    if isinstance(found, tuple):
        return tuple(one.as_number("python") for one in found)
    return found.as_number("python")


def _forward(ufunc: np.ufunc) -> Callable:
    """Return the method of an operator with the Array on its left."""

    def method(self: "Operators", other: Any) -> Any:
        return _operate(ufunc, self, other) if _is_operand(other, self) else NotImplemented

    return method


def _unary(ufunc: np.ufunc) -> Callable:
    def method(self: "Operators") -> Any:
        return _operate(ufunc, self)

    return method


def _methods(ufunc: np.ufunc) -> tuple[Callable, Callable, Callable]:
    """Return the methods of a binary operator: forward, reflected and in place."""

    def reflected(self: "Operators", other: Any) -> Any:
        return _operate(ufunc, other, self) if _is_operand(other, self) else NotImplemented

    def in_place(self: Any, other: Any) -> Any:
        if not _is_operand(other, self):
            return NotImplemented
        new = _operate(ufunc, self, other)
        if self.number:  # y = x; y += 1 leaves x as it is
            return new
        kinds = "biufc"
        if kinds.index(self.dtype.kind) < 3 <= kinds.index(new.dtype.kind):
            raise TypeError(
                f"Cannot cast the output of {ufunc.__name__} from {new.dtype} to {self.dtype}: "
                f"the array that is written into holds integers"
            )
        self[...] = new
        return self

    return _forward(ufunc), reflected, in_place


def _powers() -> tuple[Callable, Callable, Callable]:
    """Return the methods of `**`: an integer to a traced integer is a float, as of Python's.

    10 ** n is 0.01 where n is -2, and what n is differs from point to point.
    """
    forward, reflected, in_place = _methods(np.power)

    def is_traced_integer(value: Any) -> bool:
        return isinstance(value, Operators) and value.is_traced and value.dtype.kind in "iu"

    def power(self: "Operators", other: Any) -> Any:
        is_whole = self.dtype.kind in "iu" and is_traced_integer(other)
        return forward(self.astype(float) if is_whole else self, other)

    def of_other(self: "Operators", other: Any) -> Any:
        is_whole = type(other) is int and is_traced_integer(self)
        return reflected(self, float(other) if is_whole else other)

    return power, of_other, in_place


# Powers of ten up to this one are doubles.
_MOST_DIGITS = 22

# Doubles beyond are whole numbers.
_ALL_WHOLE = 2.0**53

# Splits a double into two of half the digits: Dekker (1971), "A floating-point technique for
# extending the available precision".
_SPLIT = 2.0**27 + 1


def _round_decimal(x: Any, n_digits: int) -> Any:
    """Return a float rounded to decimal digits as Python does it: by the digits that it has.

    np.round multiplies first: 2.675, which is a little less, is 2.68 to it, and 2.67 to Python.
    """
    power = 10.0**n_digits
    product = x * power
    (x_high, x_low), (high, low) = _halves(x), _halves(power)
    error = ((x_high * high - product) + x_high * low + x_low * high) + x_low * low
    below = np.floor(product)
    is_half = product - below == 0.5
    whole = np.where(is_half & (error > 0), below + 1, np.rint(product))
    whole = np.where(is_half & (error < 0), below, whole)
    # A product that is infinite, too, belongs to a number that has no more digits.
    found = np.where(np.abs(product) < _ALL_WHOLE, np.copysign(whole / power, x), x)
    return found.as_number("python")


def _halves(x: Any) -> tuple[Any, Any]:
    moved = x * _SPLIT
    high = moved - (moved - x)
    return high, x - high


class Operators:
    """What has operators: an Array, which says what it is."""

    __slots__ = ()

    # `call` sets it: the call of a function of NumPy's.
    apply: ClassVar[Callable[[Any, tuple, Mapping[str, Any]], Any]]

    number: Number
    dtype: Any
    is_traced: Any

    def astype(self, dtype: Any) -> Any:
        raise NotImplementedError

    def as_number(self, number: Number) -> Any:
        raise NotImplementedError

    __add__, __radd__, __iadd__ = _methods(np.add)
    __sub__, __rsub__, __isub__ = _methods(np.subtract)
    __mul__, __rmul__, __imul__ = _methods(np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = _methods(np.true_divide)
    __floordiv__, __rfloordiv__, __ifloordiv__ = _methods(np.floor_divide)
    __mod__, __rmod__, __imod__ = _methods(np.remainder)
    __pow__, __rpow__, __ipow__ = _powers()
    __matmul__, __rmatmul__, __imatmul__ = _methods(np.matmul)
    __and__, __rand__, __iand__ = _methods(np.bitwise_and)
    __or__, __ror__, __ior__ = _methods(np.bitwise_or)
    __xor__, __rxor__, __ixor__ = _methods(np.bitwise_xor)
    __lshift__, __rlshift__, __ilshift__ = _methods(np.left_shift)
    __rshift__, __rrshift__, __irshift__ = _methods(np.right_shift)
    __divmod__, __rdivmod__, _ = _methods(np.divmod)
    __lt__, __le__ = _forward(np.less), _forward(np.less_equal)
    __gt__, __ge__ = _forward(np.greater), _forward(np.greater_equal)
    __eq__, __ne__ = _forward(np.equal), _forward(np.not_equal)  # type: ignore[assignment]
    __hash__ = object.__hash__
    __neg__, __pos__, __abs__ = _unary(np.negative), _unary(np.positive), _unary(np.absolute)
    __invert__ = _unary(np.invert)
    del _

    def __round__(self, ndigits: int | None = None) -> Any:
        if ndigits is None:
            return self._whole(np.rint)
        if self.number == "python" and self.dtype.kind == "f" and 0 <= ndigits <= _MOST_DIGITS:
            return _round_decimal(self, ndigits)
        return Operators.apply(np.round, (self, ndigits), {}).as_number(self.number)

    def __floor__(self) -> Any:
        return self._whole(np.floor)

    def __ceil__(self) -> Any:
        return self._whole(np.ceil)

    def __trunc__(self) -> Any:
        return self._whole(np.trunc)

    def _whole(self, ufunc: np.ufunc) -> Any:
        return Operators.apply(ufunc, (self,), {}).astype(np.int64).as_number("python")
