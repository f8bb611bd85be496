"""Grow a function: draw a feature, a row or a block of it, and what its slots hold.

A Scope and Choices enter; statements are written to the Scope. Knows no framework: the rows and
blocks are those of the Scope's dialect.
"""

from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.features import FEATURES
from gradsweep.testing.fuzz.drawing.rows import Row, Type, Variable, fill
from gradsweep.testing.fuzz.drawing.scope import Scope, Statement

__all__ = ["floating", "grow", "grow_value"]

# A drawn statement may not be possible: nothing in scope fits, or it fails when it is run. Then
# another of its feature is tried, and then another feature.
_TRIES = 3
_TRIES_OF_FEATURE = 4

# The depth of bodies within bodies at which no further body is drawn.
_DEEPEST = 2


def grow(scope: Scope, choices: Choices, n: int) -> None:
    """Write n statements, or fewer where none can be found."""
    for _ in range(n):
        for _ in range(_TRIES):
            if _grow_one(scope, choices):
                break


def grow_value(scope: Scope, choices: Choices, n: int, like: Type) -> str | None:
    """Write statements, and return the newest variable of a type."""
    grow(scope, choices, n)
    return scope.of_type(like)


def floating(scope: Scope, choices: Choices, n_dims: int | None = None) -> Variable | None:
    """Draw a floating variable, with `n_dims` dims where that is given."""
    fitting = [
        v
        for v in scope.recent
        if v.type.dtype in ("float64", "float32")
        and not v.is_ref
        and (n_dims is None or len(v.type.shape) == n_dims)
    ]
    return choices.one_of(fitting) if fitting else None


def _grow_one(scope: Scope, choices: Choices) -> bool:
    dialect = scope.dialect
    options: dict[str, list] = {}
    for row in dialect.rows:
        if row.feature in scope.features:
            options.setdefault(row.feature, []).append(row)
    if scope.depth < _DEEPEST:
        for feature, blocks in dialect.blocks.items():
            if feature in scope.features:
                options.setdefault(feature, []).extend(blocks)
    names = [name for name in FEATURES if name in options]
    feature = choices.weighted(names, [FEATURES[name].weight for name in names])
    for _ in range(_TRIES_OF_FEATURE):
        chosen = choices.one_of(options[feature])
        if isinstance(chosen, Row):
            if _write_row(scope, choices, chosen):
                return True
        elif chosen(scope, choices) is not None:
            return True
    return False


def _write_row(scope: Scope, choices: Choices, row: Row) -> bool:
    text = fill(row.template, scope.recent, choices, scope.counters)
    if text is None:
        return False
    if row.is_write:
        return scope.write(Statement(row.feature, (text,)))
    name = scope.fresh()
    return scope.write(Statement(row.feature, (f"{name} = {text}",)), name)
