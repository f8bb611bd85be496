"""Statements with bodies that read alike in every dialect, and the parts that the others share.

A Scope and Choices enter; lines, or the Statement that was written, leave.
"""

from gradsweep.testing.fuzz.drawing.arguments import CATEGORY, WORDS
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.grammar import floating, grow_value
from gradsweep.testing.fuzz.drawing.rows import Variable
from gradsweep.testing.fuzz.drawing.scope import Scope, Statement, indented

__all__ = [
    "branch",
    "by_category",
    "container",
    "fixed_integers",
    "for_loop",
    "inner_function",
    "lines_of",
    "loop_body",
    "where_pair",
    "write",
]


def lines_of(scope: Scope) -> list[str]:
    """Return the statements of a body, indented."""
    return indented(line for statement in scope.statements for line in statement.lines)


def write(scope: Scope, feature: str, lines: list[str], *names: str) -> Statement | None:
    """Write a statement, and return it, or None where it cannot be run."""
    statement = Statement(feature, tuple(lines))
    return statement if scope.write(statement, *names) else None


def _way(scope: Scope, choices: Choices, target: str, start: Variable) -> list[str]:
    """Return the lines of one way through a branch, the last of which sets the target."""
    inner = scope.within()
    value = grow_value(inner, choices, choices.between(1, 2), start.type) or start.name
    ends = [f"{value} * 1.0", value, f"{value} * 0.5 + {start.name}"]
    return [*lines_of(inner), f"    {target} = {choices.one_of(ends)}"]


def branch(scope: Scope, choices: Choices) -> Statement | None:
    """Python's if on a number, perhaps with elif."""
    seen, start = floating(scope, choices, 0), floating(scope, choices)
    if seen is None or start is None:
        return None
    bound = choices.one_of(["0.3", "0.0", "-0.4", "1.0"])
    condition = choices.one_of([">", "<=", "=="])
    target = scope.fresh()
    lines = [f"if {seen.name} {condition} {bound}:"]
    lines += _way(scope, choices, target, start)
    if choices.rarely(3):
        lines += [f"elif {seen.name} > -0.8:"]
        lines += _way(scope, choices, target, start)
    lines += ["else:", *_way(scope, choices, target, start)]
    return write(scope, "branches", lines, target)


def by_category(scope: Scope, choices: Choices) -> Statement | None:
    """A branch by the word that an argument is."""
    start = floating(scope, choices)
    if CATEGORY not in scope.values or start is None:
        return None
    target = scope.fresh()
    first, second = choices.distinct(WORDS, 2)
    lines = [f"if {CATEGORY} == {first!r}:", *_way(scope, choices, target, start)]
    if choices.rarely(2):
        lines += [f"elif {CATEGORY} == {second!r}:"]
        lines += _way(scope, choices, target, start)
    lines += ["else:", *_way(scope, choices, target, start)]
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


def for_loop(scope: Scope, choices: Choices, sine: str) -> Statement | None:
    """A state that a loop of a fixed length computes again and again.

    Args:
        sine: how the dialect writes the function.
    """
    start = floating(scope, choices)
    if start is None:
        return None
    state, counter = scope.fresh(), scope.fresh("i")
    body = loop_body(scope, choices, sine, state, start, counter)
    times = choices.one_of(["2", "3", "4", *fixed_integers(scope)])
    lines = [f"{state} = {start.name}", f"for {counter} in range({times}):", *body]
    return write(scope, "loops", lines, state)


def loop_body(
    scope: Scope, choices: Choices, sine: str, state: str, start: Variable, counter: str
) -> list[str]:
    """Return the lines of a loop's body, which sets the state anew."""
    inner = scope.within({state: scope.values[start.name], counter: 1}, [counter])
    value = grow_value(inner, choices, choices.between(1, 3), start.type) or state
    ends = [f"{value} * 0.5", f"0.3 * {value} + 0.5 * {state}", f"{sine}({value})", value]
    return [*lines_of(inner), f"    {state} = {choices.one_of(ends)}"]


def container(scope: Scope, choices: Choices, total: str) -> Statement | None:
    """State kept in a dict, replaced entry by entry.

    Args:
        total: how the dialect writes a sum of all elements, "{}.sum()".
    """
    first, second = floating(scope, choices), floating(scope, choices)
    if first is None or second is None:
        return None
    state, result = scope.fresh("d"), scope.fresh()
    return write(
        scope,
        "containers",
        [
            f"{state} = {{'p': {first.name}, 'q': [{second.name}, {first.name}]}}",
            f"{state}['p'] = {state}['q'][0] * " + total.format(f"{state}['p']"),
            f"{state}['q'].append({state}['p'])",
            f"{result} = {state}['q'].pop()",
        ],
        result,
    )


def where_pair(scope: Scope, choices: Choices, library: str) -> Statement | None:
    """Two states that a condition exchanges, several times."""
    seen, start = floating(scope, choices, 0), floating(scope, choices)
    if seen is None or start is None:
        return None
    first, second, condition = scope.fresh(), scope.fresh(), scope.fresh("c")
    change = choices.one_of(["{u} * 1.1 + 0.1", f"{library}.sin({{u}})", "{u} + 0.5 * {v}", "{u}"])
    changed = change.replace("{u}", first).replace("{v}", second)
    times = choices.one_of([2, 3, 5])
    return write(
        scope,
        "where_pairs",
        [
            f"{first}, {second} = {start.name}, {start.name} * 0.5",
            f"for _ in range({times}):",
            f"    {condition} = {choices.one_of([seen.name, first + '.sum()'])} > 0.2",
            f"    {first}, {second} = (",
            f"        {library}.where({condition}, {changed}, {second}),",
            f"        {library}.where({condition}, {second}, {changed}),",
            "    )",
        ],
        first,
        second,
    )


def fixed_integers(scope: Scope) -> list[str]:
    """Return the names of Python integers that are arguments, and no counters of loops."""
    return [name for name in scope.counters if not name.startswith("i")]
