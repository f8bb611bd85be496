"""The statements with bodies that random NumPy functions are made of.

Each takes a Scope and Choices, and returns the Statement that it has written, or None.
"""

from collections.abc import Mapping
from functools import partial

from gradsweep.testing.fuzz.drawing.bodies import (
    branch,
    by_category,
    container,
    for_loop,
    inner_function,
    write,
)
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.grammar import floating
from gradsweep.testing.fuzz.drawing.scope import Block, Scope, Statement

__all__ = ["BLOCKS"]


def _filled(scope: Scope, choices: Choices) -> Statement | None:
    """An array that a loop fills, each entry from the one before."""
    start, other = floating(scope, choices, 0), floating(scope, choices, 0)
    if start is None or other is None:
        return None
    made, counter = scope.fresh(), scope.fresh("i")
    step = choices.one_of([
        "{a}[{i}] + 0.1 * {x}",
        "np.sin({a}[{i}]) * {x}",
        "{a}[{i}] * (1.0 - 0.2 * {a}[{i}])",
        "0.5 * {a}[{i}] + math.tanh({x})",
    ])  # fmt: skip
    text = step.format(a=made, i=counter, x=other.name)
    how = choices.one_of(["np.zeros(4)", "np.empty(4)", "np.ones(4)"])
    return write(
        scope,
        "loops",
        [
            f"{made} = {how}",
            f"{made}[0] = {start.name}",
            f"for {counter} in range(3):",
            f"    {made}[{counter} + 1] = {text}",
        ],
        made,
    )


def _listed(scope: Scope, choices: Choices) -> Statement | None:
    """A list that a comprehension makes, as an array."""
    start = floating(scope, choices, 0)
    if start is None:
        return None
    result, counter = scope.fresh(), scope.fresh("i")
    entry = choices.one_of([
        "{x} * ({i} + 1)",
        "{x} ** {i}",
        "math.exp(-0.3 * {i}) * {x}",
        "np.cos({i} * {x})",
    ])  # fmt: skip
    text = f"[{entry.format(x=start.name, i=counter)} for {counter} in range(3)]"
    made = choices.one_of([f"np.array({text})", f"sum({text})", f"np.sum({text})"])
    return write(scope, "containers", [f"{result} = {made}"], result)


_HELPERS = (
    "def {g}(u):\n    return math.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)",
    "def {g}(u):\n    w = np.zeros(2)\n    w[0] = u\n    w[1] = np.sin(u)\n    return w.sum()",
    "def {g}(u, scale=0.5):\n    return np.where(u > 0.4, u * scale, u)",
    "{g} = lambda u: np.tanh(u) + 0.25 * u",
    "def {g}(u):\n    if u > 0.3:\n        return u * u\n    return 0.3 * u",
)


def _helper(scope: Scope, choices: Choices) -> Statement | None:
    """A function that stands above, with NumPy and math of its own."""
    operand = floating(scope, choices, 0)
    if operand is None:
        return None
    name, result = scope.fresh("g"), scope.fresh()
    if not scope.define(choices.one_of(_HELPERS).replace("{g}", name)):
        return None
    return write(scope, "closures", [f"{result} = {name}({operand.name})"], result)


_CAPTURED = (
    "np.array([0.5, -1.5, 2.0])",
    "0.75",
    "np.array([[1.0, 0.5], [-0.3, 2.0]])",
    "np.array([2, 0, 1])",
    "[0.4, 1.1, -0.6]",
)


def _captured(scope: Scope, choices: Choices) -> Statement | None:
    """A number, an array or a list from outside."""
    name, result = scope.fresh("W"), scope.fresh()
    text = choices.one_of(_CAPTURED)
    if not scope.define(f"{name} = {text}"):
        return None
    if text.startswith("np"):
        scope.capture(name)
    made = f"np.asarray({name}) * 1.0"
    return write(scope, "closures", [f"{result} = {made}"], result)


BLOCKS: Mapping[str, tuple[Block, ...]] = {
    "categories": (by_category,),
    "branches": (branch,),
    "loops": (partial(for_loop, sine="np.sin"), _filled),
    "closures": (inner_function, _helper, _captured),
    "containers": (partial(container, total="np.sum({})"), _listed),
}
