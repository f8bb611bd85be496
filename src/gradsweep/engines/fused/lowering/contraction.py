"""Find the products that are added with one rounding, as a fused multiply-add.

A Program enters; which sums and differences take a product in leaves. This is a choice of the
Program's alone: left to LLVM, it would change with the basic blocks that a product and its sum
happen to stand in, and the bits with it.

Knows nothing of machine code.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from gradsweep.engines.fused.lowering.rounding import sharp_variables
from gradsweep.program.program import CARRY, Equation, Loop, LoopResult, Program, reads

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
    finder = _Finder(sharp_variables(equations))
    finder.find(program, None, equations, frozenset())
    return finder.found


class _Finder:
    """Finds the sums of a Program, and of the bodies of its Loops, that take in a product.

    Attributes:
        found: the sums of each that was looked at.
    """

    def __init__(self, sharp: Mapping[Loop | None, Collection[int]]):
        self._sharp = sharp
        self.found: dict[Loop | None, dict[int, Contracted]] = {}

    def find(
        self,
        program: Program,
        own: Loop | None,
        equations: Iterable[tuple[int, Equation]],
        inputs: Set[int],
    ) -> Set[int]:
        """Find the sums of a Program, or of a Loop's body; return which variables are products.

        Args:
            inputs: those that are products.
        """
        products = set(inputs)
        contracted = self.found[own] = {}
        n_readers = _count_readers(program)
        inside: dict[Loop, Set[int]] = {}
        for variable, (primitive, operands, dtype) in equations:
            if isinstance(primitive, LoopResult):
                loop, number = primitive
                if loop not in inside:
                    inside[loop] = self._find_in_loop(loop, [o in products for o in operands])
                if loop.ports[loop.port(number)] in inside[loop]:
                    products.add(variable)
            elif primitive == "mul" or (primitive == "neg" and operands[0] in products):
                products.add(variable)
            elif primitive in ("add", "sub") and dtype.startswith("float"):
                are_products = [operand in products for operand in operands]
                if sum(are_products) != 1 or variable in self._sharp[own]:
                    continue
                is_first = are_products[0]
                product, term = operands if is_first else operands[::-1]
                if _primitive(program, product) == "mul" and n_readers[product] == 1:
                    is_difference = primitive == "sub"
                    contracted[variable] = Contracted(
                        product, term, is_difference and not is_first, is_difference and is_first
                    )
        return products

    def _find_in_loop(self, loop: Loop, are_products: Sequence[bool]) -> Set[int]:
        """Find the sums of a Loop's body; return which of its variables are products.

        Args:
            are_products: whether each operand of the Loop is a product.
        """
        body, ports = loop.body, loop.ports
        inputs = {n for n, places in enumerate(loop.places) if any(are_products[p] for p in places)}
        while True:
            found = self.find(body, loop, body.numbered(), inputs)
            more = {
                number
                for number, entry in enumerate(body.inputs)
                if entry.leaf == CARRY and ports[entry.element] in found
            }
            if more <= inputs:
                return found
            inputs |= more


def _primitive(program: Program, variable: int) -> object:
    return _equation(program, variable).primitive if variable >= program.n_leading else None


def _equation(program: Program, variable: int) -> Equation:
    return program.equations[variable - program.n_leading]


def _count_readers(program: Program) -> Counter[int]:
    """Count how often each variable is read, by equations and by who reads the outputs."""
    counted = Counter(o for _, _, operands in reads(program.numbered()) for o in operands)
    counted.update(v for output in program.outputs for v in output.variables)
    return counted
