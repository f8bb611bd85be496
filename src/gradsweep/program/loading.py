"""A Program read from the JSON that `Program.to_json` writes.

Text enters, a Program leaves, or an error that says what is wrong with the text.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import (
    Constant,
    Equation,
    Guard,
    Input,
    Loop,
    LoopResult,
    Output,
    Program,
    reads,
)

__all__ = ["load"]


def load(text: str) -> Program:
    """Read a Program from the text that `to_json` wrote.

    Raises:
        ValueError: when it names a primitive outside the table, or an equation reads a
            variable that is not yet defined.
    """
    return _from_data(json.loads(text))


def _from_data(data: Mapping[str, Any]) -> Program:
    loops = [
        (Loop(_from_data(body), *numbers), tuple(operands))
        for *numbers, operands, body in data["loops"]
    ]

    def equation(primitive: Any, operands: Sequence[int], dtype: str) -> Equation:
        if isinstance(primitive, str):
            return Equation(primitive, tuple(operands), dtype)
        loop, given = loops[primitive[0]]
        return Equation(LoopResult(loop, primitive[1]), given, dtype)

    program = Program(
        inputs=tuple(Input(*row) for row in data["inputs"]),
        constants=tuple(Constant(_value(v), dtype) for v, dtype in data["constants"]),
        equations=tuple(equation(*row) for row in data["equations"]),
        outputs=tuple(Output(n, tuple(s), tuple(v)) for n, s, v in data["outputs"]),
        guards=tuple(Guard(v, _value(e), where) for v, e, where in data["guards"]),
    )
    for variable, (primitive, _, _), operands in reads(program.numbered()):
        if isinstance(primitive, LoopResult):
            loop, number = primitive
            is_whole = not operands or len(operands) == loop.n_operands
            if not is_whole or not 0 <= number < loop.n_results:
                raise ValueError(f"equation v{variable} is no result of its loop")
        elif primitive not in PRIMITIVES:
            raise ValueError(f"the Program uses {primitive!r}, which is no primitive")
        if not all(0 <= operand < variable for operand in operands):
            raise ValueError(f"equation v{variable} reads a variable that is not yet defined")
    return program


def _value(text: str | int | bool) -> float | int | bool:
    return float.fromhex(text) if isinstance(text, str) else text
