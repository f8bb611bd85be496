"""The statements with bodies that random torch functions are made of.

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
    lines_of,
    loop_body,
    where_pair,
    write,
)
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.grammar import floating, grow
from gradsweep.testing.fuzz.drawing.scope import Block, Scope, Statement
from gradsweep.testing.fuzz.drawing.torch.custom_rules import OTHER_RULES, RULES

__all__ = ["BLOCKS"]

_SINE = "torch.sin"


def _while(scope: Scope, choices: Choices) -> Statement | None:
    start = floating(scope, choices)
    if start is None:
        return None
    state, counter = scope.fresh(), scope.fresh("i")
    bound = choices.one_of(["1.5", "3.0", "0.5"])
    return write(
        scope,
        "loops",
        [
            f"{state}, {counter} = {start.name}, 0",
            f"while {state}.abs().sum() < {bound} and {counter} < 4:",
            *loop_body(scope, choices, _SINE, state, start, counter),
            f"    {counter} += 1",
        ],
        state,
    )


def _no_grad(scope: Scope, choices: Choices) -> Statement | None:
    inner = scope.within(before="with torch.no_grad():")
    grow(inner, choices, choices.between(1, 3))
    if not inner.statements:
        return None
    known = {variable.name for variable in scope.variables}
    names = [variable.name for variable in inner.variables if variable.name not in known]
    how = choices.one_of(["with torch.no_grad():", "with torch.set_grad_enabled(False):"])
    return write(scope, "no_grad", [how, *lines_of(inner)], *names)


_CAPTURED = (
    "torch.tensor([0.5, -1.5, 2.0], dtype=torch.float64)",
    "torch.tensor(0.75, dtype=torch.float64)",
    "torch.tensor([[1.0, 0.5], [-0.3, 2.0]], dtype=torch.float64)",
    "torch.tensor([2, 0, 1])",
    "torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]], dtype=torch.float64)",
    "torch.tensor([True, False, True])",
)


def _captured(scope: Scope, choices: Choices) -> Statement | None:
    """A tensor from outside."""
    name, result = scope.fresh("W"), scope.fresh()
    if not scope.define(f"{name} = {choices.one_of(_CAPTURED)}"):
        return None
    scope.capture(name)
    kind = next(v.type for v in scope.variables if v.name == name)
    text = f"{name} * 1.0" if kind.dtype == "float64" else name
    return write(scope, "closures", [f"{result} = {text}"], result)


def _rule_of(feature: str, rules: tuple) -> Block:
    def block(scope: Scope, choices: Choices) -> Statement | None:
        rule = choices.one_of(rules)
        operand = floating(scope, choices)
        if operand is None:
            return None
        name, result = scope.fresh("Rule"), scope.fresh()
        if not scope.define(rule.text(name)):
            return None
        # The operand is a value of its own, since a rule may write into it.
        operands = ", ".join([f"{operand.name} * 1.0"] * rule.n_operands)
        return write(scope, feature, [f"{result} = {name}.apply({operands})"], result)

    return block


BLOCKS: Mapping[str, tuple[Block, ...]] = {
    "categories": (by_category,),
    "branches": (branch,),
    "loops": (partial(for_loop, sine=_SINE), _while),
    "no_grad": (_no_grad,),
    "where_pairs": (partial(where_pair, library="torch"),),
    "closures": (inner_function, _captured),
    "containers": (partial(container, total="{}.sum()"),),
    "custom_rules": (_rule_of("custom_rules", RULES),),
    "other_rules": (_rule_of("other_rules", OTHER_RULES),),
}
