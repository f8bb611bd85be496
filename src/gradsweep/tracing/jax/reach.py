"""Find which inputs of a jaxpr each output may depend on, array by array.

An input too many costs time; one missing would give wrong numbers. So the results of an equation
depend on all of its operands unless it is known that they depend on fewer.
"""

from collections.abc import Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, Literal

from gradsweep.tracing.jax.nested import INLINED, is_ref, opened

__all__ = ["reach"]

Keys = frozenset[str]


def reach(closed: ClosedJaxpr, keys: Sequence[str]) -> tuple[Keys, ...]:
    """Return, for each output, the keys of the inputs that it may depend on."""
    return tuple(_walk(closed, [frozenset([key]) for key in keys]))


def _walk(jaxpr: Any, operands: Sequence[Keys]) -> list[Keys]:
    jaxpr, _ = opened(jaxpr)
    found: dict[Any, Keys] = dict.fromkeys(jaxpr.constvars, frozenset())
    found |= zip(jaxpr.invars, operands)

    def read(atom: Any) -> Keys:
        return frozenset() if isinstance(atom, Literal) else found[atom]

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        refs = [atom for atom in equation.invars if is_ref(atom)]
        if not refs:
            found |= zip(equation.outvars, _equation(equation, operands))
            continue
        # A value read from a ref depends on everything written to it, and so does the ref.
        everything = frozenset[str]().union(*operands)
        found |= dict.fromkeys([*equation.outvars, *refs], everything)
    return [read(atom) for atom in jaxpr.outvars]


def _equation(equation: Any, operands: list[Keys]) -> list[Keys]:
    name = equation.primitive.name
    if name in INLINED:
        return _walk(equation.params[INLINED[name]], operands)
    if name == "cond":
        index, *rest = operands
        ways = [_walk(branch, rest) for branch in equation.params["branches"]]
        return [index.union(*results) for results in zip(*ways)]
    everything = frozenset[str]().union(*operands)
    return [everything] * len(equation.outvars)
