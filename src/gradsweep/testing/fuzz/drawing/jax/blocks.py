"""The statements with bodies that random JAX functions are made of.

Each takes a Scope and Choices, and returns the Statement that it has written, or None.
"""

from collections.abc import Mapping
from functools import partial

from gradsweep.testing.fuzz.drawing.bodies import (
    by_category,
    fixed_integers,
    lines_of,
    where_pair,
    write,
)
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.grammar import floating, grow_value
from gradsweep.testing.fuzz.drawing.jax.custom_rules import OTHER_RULES, RULES
from gradsweep.testing.fuzz.drawing.rows import Variable
from gradsweep.testing.fuzz.drawing.scope import Block, Scope, Statement

__all__ = ["BLOCKS"]


def _like(text: str, variable: Variable) -> str:
    return f"jnp.asarray({text}, jnp.{variable.type.dtype})"


def _way(scope: Scope, choices: Choices, like: Variable) -> tuple[str, list[str]]:
    """Return the name and the lines of a function from a type to itself."""
    name, parameter = scope.fresh("g"), scope.fresh()
    inner = scope.within({parameter: scope.values[like.name]})
    value = grow_value(inner, choices, choices.between(1, 2), like.type) or parameter
    ends = [f"{value} * 1.0", value, f"jnp.sin({value})", f"{value} * 0.5 + {parameter}"]
    lines = [f"def {name}({parameter}):", *lines_of(inner)]
    return name, [*lines, f"    return {_like(choices.one_of(ends), like)}"]


def _cond(scope: Scope, choices: Choices) -> Statement | None:
    seen, start = floating(scope, choices, 0), floating(scope, choices)
    if seen is None or start is None:
        return None
    (first, lines), (second, more) = (_way(scope, choices, start) for _ in range(2))
    result = scope.fresh()
    condition = f"{seen.name} {choices.one_of(['>', '<='])} {choices.one_of(['0.3', '0.0'])}"
    call = f"{result} = jax.lax.cond({condition}, {first}, {second}, {start.name})"
    return write(scope, "cond", [*lines, *more, call], result)


def _switch(scope: Scope, choices: Choices) -> Statement | None:
    seen, start = floating(scope, choices, 0), floating(scope, choices)
    if seen is None or start is None:
        return None
    ways = [_way(scope, choices, start) for _ in range(choices.between(2, 3))]
    result = scope.fresh()
    names = ", ".join(name for name, _ in ways)
    index = f"jnp.floor({seen.name} + 0.5).astype(int)"
    call = f"{result} = jax.lax.switch({index}, [{names}], {start.name})"
    return write(scope, "cond", [*(line for _, ls in ways for line in ls), call], result)


def _scan(scope: Scope, choices: Choices) -> Statement | None:
    """A scan over the rows of an array, or of some steps without rows."""
    start = floating(scope, choices)
    if start is None:
        return None
    arrays = [v for v in scope.recent if v.type.shape and not v.is_ref]
    rows = choices.one_of([*arrays, None])
    name, state, row = scope.fresh("g"), scope.fresh(), scope.fresh()
    values = {state: scope.values[start.name]}
    if rows is not None:
        values[row] = scope.values[rows.name][0]
    inner = scope.within(values)
    value = grow_value(inner, choices, choices.between(1, 3), start.type) or state
    last = floating(inner, choices)
    assert last is not None  # the state itself, at least
    ends = [f"{value} * 0.5", f"0.3 * {value} + 0.5 * {state}", f"jnp.sin({value})", value]
    over = (
        rows.name
        if rows is not None
        else f"None, length={choices.one_of(['2', '3', *fixed_integers(scope)])}"
    )
    options = choices.one_of(["", ", reverse=True", ", unroll=2"])
    final, ys = scope.fresh(), scope.fresh()
    lines = [
        f"def {name}({state}, {row}):",
        *lines_of(inner),
        f"    return {_like(choices.one_of(ends), start)}, {last.name}",
        f"{final}, {ys} = jax.lax.scan({name}, {start.name}, {over}{options})",
    ]
    return write(scope, "scan", lines, final, ys)


def _fori(scope: Scope, choices: Choices) -> Statement | None:
    start = floating(scope, choices)
    if start is None:
        return None
    name, counter, state, result = (scope.fresh(p) for p in ("g", "i", "v", "v"))
    values = {state: scope.values[start.name], counter: scope.values["jnp"].asarray(1)}
    inner = scope.within(values)
    value = grow_value(inner, choices, choices.between(1, 3), start.type) or state
    ends = [f"{value} * 0.5", f"{value} + 0.1 * {counter}", f"jnp.sin({value})", value]
    times = choices.one_of(
        ["0, 2", "0, 3", "1, 4", *(f"0, {name}" for name in fixed_integers(scope))]
    )
    lines = [
        f"def {name}({counter}, {state}):",
        *lines_of(inner),
        f"    return {_like(choices.one_of(ends), start)}",
        f"{result} = jax.lax.fori_loop({times}, {name}, {start.name})",
    ]
    return write(scope, "fori_loop", lines, result)


def _map(scope: Scope, choices: Choices) -> Statement | None:
    arrays = [
        v for v in scope.recent if v.type.shape and v.type.dtype == "float64" and not v.is_ref
    ]
    if not arrays:
        return None
    rows = choices.one_of(arrays)
    name, row, result = scope.fresh("g"), scope.fresh(), scope.fresh()
    inner = scope.within({row: scope.values[rows.name][0]})
    kind = next(v.type for v in inner.variables if v.name == row)
    value = grow_value(inner, choices, choices.between(1, 2), kind) or row
    lines = [
        f"def {name}({row}):",
        *lines_of(inner),
        f"    return {value} * {row}",
        f"{result} = jax.lax.map({name}, {rows.name})",
    ]
    return write(scope, "fori_loop", lines, result)


def _while(scope: Scope, choices: Choices) -> Statement | None:
    """A loop of unknown length, over a value that is not differentiated."""
    start, other = floating(scope, choices), floating(scope, choices, 0)
    if start is None or other is None:
        return None
    result = scope.fresh()
    stop = choices.one_of(["s[0] < 3", "(s[1] < 1.5) & (s[0] < 5)"])
    step = choices.one_of(["s[1] * 1.3 + 0.1", "jnp.cos(s[1])", "s[1] + s[0]"])
    body = f"lambda s: (s[0] + 1, {step})"
    begin = f"(0, jax.lax.stop_gradient({other.name}) * 1.0)"
    lines = [
        f"{result} = jax.lax.while_loop(lambda s: {stop}, {body}, {begin})",
        f"{result} = {result}[{choices.one_of(['1', '0'])}] * {start.name}",
    ]
    return write(scope, "while_loop", lines, result)


def _ref_in_loop(scope: Scope, choices: Choices) -> Statement | None:
    """A ref that a loop's body writes."""
    start, other = floating(scope, choices), floating(scope, choices, 0)
    if start is None or other is None:
        return None
    name, counter, ref, result = (scope.fresh(p) for p in ("g", "i", "r", "v"))
    changes = [
        f"{ref}[...] = {ref}[...] * {other.name} + 0.1",
        f"{ref}[...] += {other.name}",
        f"{ref}[...] = jnp.sin({ref}[...]) + {counter}",
    ]
    if start.type.shape:
        length = start.type.shape[0]
        changes += [
            f"{ref}[{counter}] = {ref}[({counter} + 1) % {length}] * {other.name}",
            f"{ref}[{counter} % {length}] += {other.name} * {counter}",
        ]
    lines = [
        f"{ref} = jax.new_ref({start.name} * 1.0)",
        f"def {name}({counter}, carry):",
        f"    {choices.one_of(changes)}",
        "    return carry",
        f"jax.lax.fori_loop(0, {choices.one_of(['2', '3'])}, {name}, None)",
        f"{result} = {choices.one_of([f'{ref}[...]', f'jax.freeze({ref})'])}",
    ]
    return write(scope, "refs", lines, result)


def _function(scope: Scope, choices: Choices) -> Statement | None:
    """A function within the function, called twice, perhaps compiled."""
    start = floating(scope, choices)
    if start is None:
        return None
    name, lines = _way(scope, choices, start)
    result = scope.fresh()
    others = [v.name for v in scope.recent if v.type == start.type and not v.is_ref]
    how = choices.one_of(["", "@jax.jit", "@jax.checkpoint"])
    call = f"{result} = {name}({start.name}) + {name}({choices.one_of(others)})"
    return write(scope, "closures", [*([how] if how else []), *lines, call], result)


_CAPTURED = (
    "jnp.array([0.5, -1.5, 2.0])",
    "np.array([[1.0, 0.5], [-0.3, 2.0]])",
    "np.float64(0.75)",
    "jnp.array([2, 0, 1])",
    "np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])",
    "np.array([True, False, True])",
)


def _captured(scope: Scope, choices: Choices) -> Statement | None:
    """An array from outside."""
    name, result, operand = scope.fresh("W"), scope.fresh(), floating(scope, choices, 0)
    if operand is None or not scope.define(f"{name} = {choices.one_of(_CAPTURED)}"):
        return None
    return write(scope, "closures", [f"{result} = {name} * {operand.name}"], result)


def _rule_of(feature: str, rules: tuple) -> Block:
    def block(scope: Scope, choices: Choices) -> Statement | None:
        rule = choices.one_of(rules)
        operand = floating(scope, choices)
        if operand is None:
            return None
        name, result = scope.fresh("rule"), scope.fresh()
        if not scope.define(rule.text(name)):
            return None
        operands = ", ".join([operand.name] * rule.n_operands)
        return write(scope, feature, [f"{result} = {name}({operands})"], result)

    return block


BLOCKS: Mapping[str, tuple[Block, ...]] = {
    "categories": (by_category,),
    "cond": (_cond, _switch),
    "scan": (_scan,),
    "fori_loop": (_fori, _map),
    "while_loop": (_while,),
    "refs": (_ref_in_loop,),
    "where_pairs": (partial(where_pair, library="jnp"),),
    "closures": (_function, _captured),
    "custom_rules": (_rule_of("custom_rules", RULES),),
    "other_rules": (_rule_of("other_rules", OTHER_RULES),),
}
