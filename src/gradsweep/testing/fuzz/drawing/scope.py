"""The function as far as it is written: its statements, and the variables in scope after them.

Statements enter as text, one after another. Each is run at one point before it is kept, which tells
whether it is valid, and the types of its results. A statement that fails, or whose results grow out
of bounds, is dropped. Knows of the frameworks only what a `Dialect` tells.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.rows import Row, Type, Variable

__all__ = ["LARGEST", "MOST_ELEMENTS", "Block", "Dialect", "Scope", "Statement", "indented"]

T = TypeVar("T")

# Values of more elements, or with a larger number, are not kept.
MOST_ELEMENTS = 16
LARGEST = 1e4
_MOST_DIMS = 3


@dataclass(frozen=True)
class Statement:
    """Lines of source, and the feature that they were drawn from."""

    feature: str
    lines: tuple[str, ...]


Block = Callable[["Scope", Choices], "Statement | None"]


class Dialect(Protocol):
    """A framework's grammar, and questions about its values.

    Attributes:
        computed_by: the framework that differentiates what is written in it.
        imports: lines of source.
        rows: statements of one line.
        blocks: by feature, functions that draw statements with bodies; each writes to the scope
            that it is given, and returns the statement, or None where it cannot be.
    """

    name: str
    imports: tuple[str, ...]
    rows: tuple[Row, ...]
    blocks: Mapping[str, tuple[Block, ...]]

    @property
    def computed_by(self) -> str: ...

    def running(self) -> AbstractContextManager:
        """Return the context that source is run in."""

    def drawing(self, draw: Callable[[dict[str, Any]], T], arguments: Mapping[str, Any]) -> T:
        """Call `draw` with the arguments as arrays of the framework."""

    def type_of(self, value: Any) -> Type | None:
        """Return a value's type; None where it is no array."""

    def is_ref(self, value: Any) -> bool: ...

    def is_bounded(self, value: Any) -> bool:
        """Tell whether every number is finite and none is large, as far as that is known."""

    def memory_of(self, value: Any) -> int | None:
        """Return which memory a value lies in, if it may be written."""

    def number(self, variable: Variable, how: int) -> str:
        """Return source that makes one real number of a variable, in one of three ways."""

    def output(self, variable: Variable) -> str:
        """Return source that makes a real array of a variable."""


@dataclass
class _Shared:
    """The state that a scope shares with the scopes within it."""

    n_names: int = 0
    module: list[str] = field(default_factory=list)
    features: set[str] = field(default_factory=set)
    n_failed: int = 0


class Scope:
    """What can be read at one place of the function.

    Attributes:
        features: the features that may be drawn.
        variables: the variables, in the order in which they were made.
        counters: the names of Python integers.
        depth: how many bodies this place lies in.
        before: a line that each statement is run under, such as a `with`; "" for none.
    """

    def __init__(
        self,
        dialect: Dialect,
        features: frozenset[str],
        values: dict[str, Any],
        variables: Iterable[Variable] = (),
        counters: Sequence[str] = (),
        outer: "Scope | None" = None,
        before: str = "",
    ):
        self.dialect = dialect
        self.features = features
        self.values = values
        self.variables = [*variables]
        self.counters = [*counters]
        self.depth: int = outer.depth + 1 if outer else 0
        self.before: str = before or (outer.before if outer else "")
        self.statements: list[Statement] = []
        self._shared: _Shared = outer._shared if outer else _Shared()
        self._foreign: set[int] = outer._foreign if outer else set()
        for variable in self.variables:
            self._is_foreign(variable.name)

    # -- names

    @property
    def module(self) -> list[str]:
        """Lines that stand above the function."""
        return self._shared.module

    @property
    def used(self) -> set[str]:
        """The features that statements were drawn from."""
        return self._shared.features

    @property
    def n_failed(self) -> int:
        """How many statements were drawn and not written."""
        return self._shared.n_failed

    def fresh(self, prefix: str = "v") -> str:
        self._shared.n_names += 1
        return f"{prefix}{self._shared.n_names}"

    @property
    def recent(self) -> list[Variable]:
        """The variables, the newest first."""
        return self.variables[::-1]

    def of_type(self, wanted: Type) -> str | None:
        """Return the newest variable of a type."""
        return next((v.name for v in self.recent if v.type == wanted and not v.is_ref), None)

    def within(
        self,
        values: Mapping[str, Any] = (),  # type: ignore[assignment]
        counters: Sequence[str] = (),
        before: str = "",
        hides: bool = False,
    ) -> "Scope":
        """Return the scope of a body, which sees the variables here and has values of its own.

        Args:
            before: a line that its statements are run under.
            hides: whether only its own values are seen.
        """
        values = dict(values)
        seen = [v for v in self.variables if not hides and v.name not in values]
        inner = Scope(
            self.dialect,
            self.features,
            {**self.values, **values},
            seen,
            [*self.counters, *counters],
            outer=self,
            before=before,
        )
        for name in values:
            inner.see(name)
        return inner

    # -- writing

    def see(self, name: str) -> Variable | None:
        """Put a name that has a value in scope."""
        value = self.values[name]
        kind = self.dialect.type_of(value)
        if kind is None:
            return None
        memory = self.dialect.memory_of(value)
        is_own = memory is not None and memory not in self._foreign
        variable = Variable(name, kind, is_own, self.dialect.is_ref(value))
        self.variables = [v for v in self.variables if v.name != name] + [variable]
        return variable

    def write(self, statement: Statement, *names: str) -> bool:
        """Run a statement and keep it, if it can be run and its names have bounded values."""
        text = "\n".join(statement.lines)
        if self.before:
            text = "\n".join([self.before, *indented(statement.lines)])
        before = {name: self.values.get(name) for name in names}
        try:
            with self.dialect.running():
                exec(compile(text, "<drawn>", "exec"), self.values)
                fits = all(self._is_fit(self.values[name]) for name in names)
        except Exception:
            fits = False
        if not fits:
            self._shared.n_failed += 1
            for name, value in before.items():
                self.values[name] = value
            return False
        self.statements.append(statement)
        self._shared.features.add(statement.feature)
        for name in names:
            self.see(name)
        return True

    def define(self, line: str) -> bool:
        """Write a line above the function: something that it closes over, or a class."""
        try:
            with self.dialect.running():
                exec(compile(line, "<drawn>", "exec"), self.values)
        except Exception:
            return False
        self.module.append(line)
        return True

    def capture(self, name: str) -> None:
        """Put a name that was defined above in scope, as memory that is not the function's own."""
        self._is_foreign(name)
        self.see(name)

    def _is_foreign(self, name: str) -> None:
        if self.depth == 0:
            memory = self.dialect.memory_of(self.values[name])
            if memory is not None:
                self._foreign.add(memory)

    def _is_fit(self, value: Any) -> bool:
        kind = self.dialect.type_of(value)
        if kind is None:
            return True
        size = 1
        for length in kind.shape:
            size *= length
        is_small = 0 < size <= MOST_ELEMENTS and len(kind.shape) <= _MOST_DIMS
        return is_small and self.dialect.is_bounded(value)


def indented(lines: Iterable[str]) -> list[str]:
    return [f"    {part}" for line in lines for part in line.split("\n")]
