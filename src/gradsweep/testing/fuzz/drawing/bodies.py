"""Statements with bodies that read alike in every dialect, and the parts that the others share.

A Scope and Choices enter; lines, or the Statement that was written, leave.
"""

from gradsweep.testing.fuzz.drawing.arguments import CATEGORY, WORDS
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.grammar import floating, grow_value
from gradsweep.testing.fuzz.drawing.rows import Type
from gradsweep.testing.fuzz.drawing.scope import Scope, Statement, indented

__all__ = ["by_category", "fixed_integers", "inner_function", "lines_of", "way", "write"]


def lines_of(scope: Scope) -> list[str]:
    """Return the statements of a body, indented."""
    return indented(line for statement in scope.statements for line in statement.lines)


def write(scope: Scope, feature: str, lines: list[str], *names: str) -> Statement | None:
    """Write a statement, and return it, or None where it cannot be run."""
    statement = Statement(feature, tuple(lines))
    return statement if scope.write(statement, *names) else None


def way(scope: Scope, choices: Choices, target: str, start: str, like: Type) -> list[str]:
    """Return the lines of one way through a branch, the last of which sets the target."""
    inner = scope.within()
    value = grow_value(inner, choices, choices.between(1, 2), like) or start
    ends = [f"{value} * 1.0", value, f"{value} * 0.5 + {start}"]
    return [*lines_of(inner), f"    {target} = {choices.one_of(ends)}"]


def by_category(scope: Scope, choices: Choices) -> Statement | None:
    """A branch by the word that an argument is."""
    start = floating(scope, choices)
    if CATEGORY not in scope.values or start is None:
        return None
    target = scope.fresh()
    first, second = choices.distinct(WORDS, 2)
    lines = [f"if {CATEGORY} == {first!r}:", *way(scope, choices, target, start.name, start.type)]
    if choices.rarely(2):
        lines += [f"elif {CATEGORY} == {second!r}:"]
        lines += way(scope, choices, target, start.name, start.type)
    lines += ["else:", *way(scope, choices, target, start.name, start.type)]
    return write(scope, "categories", lines, target)


def inner_function(scope: Scope, choices: Choices) -> Statement | None:
    """A function within the function, which reads variables around it."""
    start = floating(scope, choices)
    if start is None:
        return None
    name, parameter = scope.fresh("g"), scope.fresh()
    inner = scope.within({parameter: scope.values[start.name]})
    value = grow_value(inner, choices, choices.between(1, 3), start.type) or parameter
    result = scope.fresh()
    others = [v.name for v in scope.recent if v.type == start.type]
    return write(
        scope,
        "closures",
        [
            f"def {name}({parameter}):",
            *lines_of(inner),
            f"    return {value} * 1.0",
            f"{result} = {name}({start.name}) + {name}({choices.one_of(others)})",
        ],
        result,
    )


def fixed_integers(scope: Scope) -> list[str]:
    """Return the names of Python integers that are arguments, and no counters of loops."""
    return [name for name in scope.counters if not name.startswith("i")]
