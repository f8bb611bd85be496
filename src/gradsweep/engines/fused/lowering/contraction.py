"""Find the products that are added with one rounding, as a fused multiply-add.

A Program enters; which sums and differences take a product in leaves. This is a choice of the
Program's alone: left to LLVM, it would change with the basic blocks that a product and its sum
happen to stand in, and the bits with it.

Knows nothing of machine code.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from gradsweep.engines.fused.lowering.rounding import sharp_variables
from gradsweep.program.program import Equation, Loop, Program, reads

__all__ = ["Contracted", "Contractions", "find_contracted"]


class Contracted(NamedTuple):
    """A sum a b + c of three variables, rounded once.

    Attributes:
        product: the variable that is a b.
        term: the variable c.
        negates_product, negates_term: whether -a b, and -c, take their place.
    """

    product: int
    term: int
    negates_product: bool
    negates_term: bool


# The sums that take in a product, by the variable that each defines: those of a Program, under
# None, and those of the body of each Loop.
Contractions = Mapping[Loop | None, Mapping[int, Contracted]]


def find_contracted(program: Program, equations: Sequence[tuple[int, Equation]]) -> Contractions:
    """Return the sums that take in a product.

    A product that is read elsewhere too stays rounded. So does each of two that are added:
    x * x - y * y is zero where x is y, and has to remain so. So does one in a sum whose last bit
    may change a result by far.

    Args:
        equations: those that are computed, each after those that it reads; a Loop may yield fewer
            results than the Program's.
    """
    sharp = sharp_variables(equations)
    return {
        loop: _find_in(program if loop is None else loop.body, variables)
        for loop, variables in sharp.items()
    }


def _find_in(program: Program, sharp: Collection[int]) -> Mapping[int, Contracted]:
    """Return the sums of a Program, or of a body, that take in a product; none of `sharp`."""
    found: dict[int, Contracted] = {}
    n_readers = _count_readers(program)
    for variable, (primitive, operands, dtype) in program.numbered():
        if primitive not in ("add", "sub") or not dtype.startswith("float"):
            continue
        if variable in sharp:
            continue
        products = [_is_product(program, operand) for operand in operands]
        if sum(products) != 1:
            continue
        product, term = operands if products[0] else operands[::-1]
        if _primitive(program, product) == "mul" and n_readers[product] == 1:
            is_difference = primitive == "sub"
            is_first = products[0]
            found[variable] = Contracted(
                product, term, is_difference and not is_first, is_difference and is_first
            )
    return found


def _is_product(program: Program, variable: int) -> bool:
    """Tell whether a variable is a product, or the negative of one."""
    if _primitive(program, variable) == "neg":
        (variable,) = _equation(program, variable).operands
    return _primitive(program, variable) == "mul"


def _primitive(program: Program, variable: int) -> object:
    return _equation(program, variable).primitive if variable >= program.n_leading else None


def _equation(program: Program, variable: int) -> Equation:
    return program.equations[variable - program.n_leading]


def _count_readers(program: Program) -> Counter[int]:
    """Count how often each variable is read, by equations and by who reads the outputs."""
    counted = Counter(o for _, _, operands in reads(program.numbered()) for o in operands)
    counted.update(v for output in program.outputs for v in output.variables)
    return counted
