"""Write the quotients of a function's body, with little use of a divider that is slow.

The reciprocal of a constant is a constant. That of a divisor that is the same in all lanes was
computed before, if the loop is `watched`; that of one that divides twice is computed once. Every
quotient has the bits of a division, so it makes no difference which of these it is.

Knows nothing of nests, nor of where arrays are.
"""

from collections import Counter
from collections.abc import Collection, Mapping

from gradsweep.engines.fused.lowering.arithmetic import division
from gradsweep.engines.fused.lowering.text import Text
from gradsweep.program.program import Equation, Program, total_flops

__all__ = ["Quotients", "is_quotient"]


def is_quotient(equation: Equation) -> bool:
    """Tell whether an equation divides floats."""
    return equation.primitive == "div" and equation.dtype.startswith("float")


# How many operations other units do while the divider computes one quotient.
_FLOPS_PER_DIVISION = 32


class Quotients:
    """The quotients of a body.

    Args:
        equations: the equations of the body.
        per: in a watched loop, the address of the reciprocal of each divisor that is steady.
    """

    def __init__(
        self,
        program: Program,
        equations: Collection[Equation],
        text: Text,
        per: Mapping[int, str] | None,
    ):
        self._program, self._text, self._per = program, text, per
        self._n_divided = Counter(e.operands[1] for e in equations if is_quotient(e))
        self._computed: dict[int, str] = {}
        self._approximates = text.isa.divides_slowly and text.isa.scales  # both are of AVX-512
        # The divider works beside the other units: it takes what it can do in the same time.
        self._n_to_divide = max(1, total_flops(equations) // _FLOPS_PER_DIVISION)

    def write(self, name: str, x: str, d: str, divisor: int, dtype: str) -> None:
        """Write x / d under a name.

        Args:
            divisor: the variable of which d is the vector.
        """
        text, vectors = self._text, self._text.vectors(dtype)
        watched = self._watched(name, divisor, dtype)
        if watched:
            division.write_watched_quotient(text, vectors, name, x, d, watched)
            return
        z = self._reciprocal(name, d, divisor, dtype) if text.isa.divides_slowly else ""
        if z:
            division.write_quotient(text, vectors, name, x, d, z)
        elif self._approximates and dtype == "float64" and not self._divides():
            division.write_by_newton(text, vectors, name, x, d, division.write_rcp14)
        else:
            text.lines.append(f"{name} = fdiv {vectors.type} {x}, {d}")

    def _watched(self, name: str, divisor: int, dtype: str) -> str:
        """Return the vector of 1 / d for a quotient that the flags watch; "" if there is none."""
        if self._per is None:
            return ""
        if divisor in self._per:
            return self._text.load(f"{name}.per", self._per[divisor], dtype)
        constant = self._program.constant(divisor)
        is_positive = constant is not None and constant.value > 0
        return self._reciprocal(name, "", divisor, dtype) if is_positive else ""

    def _divides(self) -> bool:
        """Tell whether the divider has time for one more quotient, and count it."""
        self._n_to_divide -= 1
        return self._n_to_divide >= 0

    def _reciprocal(self, name: str, d: str, divisor: int, dtype: str) -> str:
        """Return the vector of 1 / d; "" if it is not at hand, nor worth computing."""
        text, vectors = self._text, self._text.vectors(dtype)
        constant = self._program.constant(divisor)
        if constant is not None:
            found = division.find_reciprocal(constant.value, dtype)
            return "" if found is None else vectors.constant(found)
        if divisor not in self._computed and self._n_divided[divisor] > 1:
            self._computed[divisor] = f"{name}.per"
            division.write_reciprocal(text, vectors, f"{name}.per", d)
        return self._computed.get(divisor, "")
