"""Terms that are zero in some cases, such as reverse mode makes from every choice.

The derivative of where(c, f, g) is the sum of where(c, df, 0) and where(c, 0, dg). Where f and g
are two formulas for one function (JAX's ndtr chooses among three), the sum is the same term in
every case, and that term replaces it.

A variable is *masked by w* when it is zero for some w. Conditions are comparisons of w or |w| with
constants; the range between two neighbouring constants is one case, each constant is another, and
NaN is one more.

Knows nothing of frameworks.
"""

import math
from collections.abc import Iterator

import numpy as np

from gradsweep.program.equations import Equations
from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import Equation

__all__ = ["find_mask", "merge"]

_COMPARISONS = ("lt", "le", "gt", "ge")

# A sum of more terms and factors than this is left as it is.
_MOST_VISITED = 64


def find_mask(b: Equations, name: str, operands: tuple[int, ...]) -> int | None:
    """Return the variable that masks `name` of `operands`, or None."""
    masks = [b.masks.get(operand) for operand in operands]
    match name, masks:
        case "select", _ if any(map(b.is_zero, operands[1:])) and b.dtype(operands[1])[0] == "f":
            return _compared(b, operands[0])
        case "neg", [w]:
            return w
        case "mul", [w, None] | [None, w]:
            return w
        case (("add" | "sub"), [w, other]) if w == other:
            return w
    return None


def merge(b: Equations, name: str, x: int, y: int) -> int | None:
    """Return a variable that equals x + y, or x - y, in every case; None if there is none.

    Every visited term is paid from `b.credit`, which grows with every equation asked for outside
    of merging, so that merging takes linear time for any terms.
    """
    w = b.masks.get(x)
    if w is None or w != b.masks.get(y) or b.credit <= 0:
        return None
    found: set[tuple[bool, _Node]] = set()
    dropped: set[int] = set()
    try:
        for value in _representatives(b, w, (x, y)):
            case = _Case(b, w, value, dropped)
            term = case.combine(name, x, y)
            b.credit -= case.n_visited
            found |= {term} if term else set()
            if term is None or len(found) > 1 or b.credit <= 0:
                return None
    except _TooLong:
        b.credit -= _MOST_VISITED
        return None
    ((is_negative, node),) = found
    with b.spending():
        variable = _write(b, node)
        # A zero times a dropped factor that is not finite would have been NaN.
        if not all(_is_finite(b, factor, variable) for factor in dropped):
            return None
        return b.emit("neg", variable) if is_negative else variable


class _TooLong(Exception):
    pass


# A variable, or an equation that is yet to be written: a primitive and its operands.
_Node = int | tuple[str, "_Node", "_Node"]
# A term, and whether it is subtracted; None is zero.
_Term = tuple[bool, _Node] | None


class _Case:
    """The terms that variables become for one value of w. No equation is written for them."""

    def __init__(self, b: Equations, w: int, value: float, dropped: set[int]):
        self._b, self._w, self._value, self._dropped = b, w, value, dropped
        self.n_visited = 0

    def combine(self, name: str, *operands: int) -> _Term:
        """Return the term that an equation's result becomes."""
        self.n_visited += 1
        if self.n_visited > _MOST_VISITED:
            raise _TooLong
        if name == "select":
            condition, if_true, if_false = operands
            return self._term(if_true if _holds(self._b, condition, self._value) else if_false)
        terms = [self._term(operand) for operand in operands]
        match name, terms:
            case "neg", [term]:
                return _negated(term)
            case "mul", [None, None]:
                return None
            case "mul", [None, (_, factor)] | [(_, factor), None]:
                kept = operands[0] if terms[1] is None else operands[1]
                self._dropped.add(factor if isinstance(factor, int) else kept)
                return None
            case "mul", [(x_negative, x), (y_negative, y)]:
                return x_negative != y_negative, _node(self._b, "mul", x, y)
            case (("add" | "sub"), [x_term, y_term]):
                return self._sum(x_term, _negated(y_term) if name == "sub" else y_term)
        raise AssertionError(name)

    def _sum(self, x: _Term, y: _Term) -> _Term:
        if x is None or y is None:
            return x or y
        if x[0] == y[0]:
            return x[0], _node(self._b, "add", x[1], y[1])
        added, subtracted = (y, x) if x[0] else (x, y)
        return False, _node(self._b, "sub", added[1], subtracted[1])

    def _term(self, variable: int) -> _Term:
        b = self._b
        if b.is_zero(variable):
            return None
        if b.is_constant(variable) and b.value(variable) < 0:
            return True, b.constant(-b.value(variable), b.dtype(variable))
        equation = b.equation(variable)
        if b.masks.get(variable) == self._w and equation:
            assert isinstance(equation.primitive, str)  # nothing else is masked
            return self.combine(equation.primitive, *equation.operands)
        negated = b.negated(variable)
        return (False, variable) if negated is None else (True, negated)


def _negated(term: _Term) -> _Term:
    return term and (not term[0], term[1])


def _node(b: Equations, name: str, x: _Node, y: _Node) -> _Node:
    """Return an equation to be written, the same for either order if they commute."""
    if isinstance(x, int) and isinstance(y, int):
        if b.is_constant(x) and b.is_constant(y):
            return b.emit(name, x, y)
        for one, other in ((x, y), (y, x)):
            if name == "mul" and b.equals(other, 1.0):
                return one
    if name != "sub" and str(x) > str(y):
        x, y = y, x
    return name, x, y


def _write(b: Equations, node: _Node) -> int:
    if isinstance(node, int):
        return node
    name, x, y = node
    return b.emit(name, _write(b, x), _write(b, y))


def _compared(b: Equations, condition: int) -> int | None:
    """Return w if the condition compares w or |w| with a constant, else None."""
    match b.equation(condition):
        case Equation(name, (x, y)) if name in _COMPARISONS:
            compared = [operand for operand in (x, y) if not b.is_constant(operand)]
            if len(compared) == 1:
                inner = b.operand_of("abs", compared[0])
                return compared[0] if inner is None else inner
    return None


def _holds(b: Equations, condition: int, value: float) -> bool:
    equation = b.equation(condition)
    assert equation and isinstance(equation.primitive, str)
    x, y = (
        b.value(o) if b.is_constant(o) else value if b.operand_of("abs", o) is None else abs(value)
        for o in equation.operands
    )
    return bool(PRIMITIVES[equation.primitive].numpy(x, y))


def _representatives(b: Equations, w: int, variables: tuple[int, ...]) -> Iterator[float]:
    """Yield one or more values of w for each case."""
    bounds = {bound for v in variables for bound in _bounds(b, w, v)}
    for bound in bounds | {-bound for bound in bounds}:
        yield from (math.nextafter(bound, -math.inf), bound, math.nextafter(bound, math.inf))
    yield math.nan


def _bounds(b: Equations, w: int, variable: int) -> Iterator[float]:
    """Yield the constants that w is compared with."""
    waiting = [variable]
    for _ in range(_MOST_VISITED):
        if not waiting:
            return
        last = waiting.pop()
        equation = b.equation(last)
        if equation is None or b.masks.get(last) != w:
            continue
        if equation.primitive == "select":
            compared = b.equation(equation.operands[0])
            assert compared
            yield from (b.value(o) for o in compared.operands if b.is_constant(o))
        waiting += equation.operands
    raise _TooLong


def _is_finite(b: Equations, factor: int, product: int) -> bool:
    """Whether a factor is finite, or is NaN only where the product is NaN too."""
    if b.is_constant(factor):
        return bool(np.isfinite(b.value(factor)))
    exponent = b.operand_of("exp", factor)
    square = None if exponent is None else b.negated(exponent)
    match None if square is None else b.equation(square):
        case Equation("mul", (x, y)) if x == y:
            return _is_factor(b, factor, product)
    return False


def _is_factor(b: Equations, factor: int, product: int) -> bool:
    waiting, seen = [product], set[int]()
    while waiting and len(seen) < _MOST_VISITED:
        variable = waiting.pop()
        if variable == factor:
            return True
        equation = b.equation(variable)
        if variable not in seen and equation is not None and equation.primitive == "mul":
            waiting += equation.operands
        seen.add(variable)
    return False
