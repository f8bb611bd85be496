"""A Program as readable straight-line code.

A Program enters, text leaves.
"""

from collections.abc import Iterable, Iterator, Sequence

from gradsweep.program.program import Equation, Loop, LoopResult, Program

__all__ = ["source"]

Stages = Iterable[tuple[str, Sequence[tuple[int, Equation]]]]


def source(program: Program, stages: Stages | None = None) -> str:
    """Write a Program as readable straight-line code, each Loop where it runs.

    Args:
        stages: groups of equations with their numbers, each with a title; by default one group
            without a title.
    """
    name = _Names(program)
    lines = []
    loops: dict[Loop, str] = {}
    for title, equations in [("", [*program.numbered()])] if stages is None else stages:
        lines += [f"# {title}"] if title else []
        for variable, (primitive, operands, _) in equations:
            if isinstance(primitive, LoopResult):
                loop, number = primitive
                if loop not in loops:
                    loops[loop] = f"loop{len(loops)}"
                    lines += _loop(loops[loop], loop, [*map(name, operands)])
                right = f"{loops[loop]}[{number}]"
            else:
                right = _formula(primitive, [*map(name, operands)])
            lines.append(f"v{variable} = {right}")
    lines += [
        f"guard {name(guard.variable)} == {guard.expected!r}  # {guard.where}"
        for guard in program.guards
    ]
    for output in program.outputs:
        values = ", ".join(map(name, output.variables))
        lines.append(f"{output.name} = {values if output.shape == () else f'[{values}]'}")
    return "\n".join(lines)


class _Names:
    """Names a variable: a constant by its value, an input by its leaf."""

    def __init__(self, program: Program):
        self._program = program
        self._arrays = {entry.leaf for entry in program.inputs if entry.element > 0}

    def __call__(self, variable: int) -> str:
        constant = self._program.constant(variable)
        if constant is not None:
            return repr(constant.value)
        if variable >= len(self._program.inputs):
            return f"v{variable}"
        leaf, element, _ = self._program.inputs[variable]
        return f"{leaf}[{element}]" if leaf in self._arrays else leaf


def _loop(name: str, loop: Loop, operands: Sequence[str]) -> Iterator[str]:
    """Yield the lines for a Loop: its operands and its body."""
    often = "while going" if loop.n_steps is None else f"{loop.n_steps:,} times"
    yield f"{name}: {often}, where"
    for entry, places in sorted(zip(loop.body.inputs, loop.places)):
        first, last = operands[places[0]], operands[places[-1]]
        values = f"{first} .. {last}" if len(places) > 1 else first
        yield f"    {entry.leaf}[{entry.element}] = {values}"
    yield from (f"    {line}" for line in source(loop.body).splitlines())


_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "eq": "==", "ne": "!=", "lt": "<", "le": "<=",
    "gt": ">", "ge": ">=",
}  # fmt: skip


def _formula(primitive: str, operands: list[str]) -> str:
    if primitive in _INFIX:
        return f" {_INFIX[primitive]} ".join(operands)
    return f"-{operands[0]}" if primitive == "neg" else f"{primitive}({', '.join(operands)})"
