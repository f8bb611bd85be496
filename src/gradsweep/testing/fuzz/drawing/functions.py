"""Random functions: drawn, and written out as source that can be pasted.

Choices and features enter; a DrawnFunction leaves: its statements, its arguments, its text, and
itself. Knows nothing of derivatives.
"""

import ast
import builtins
import linecache
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hypothesis import strategies as st

from gradsweep.testing.fuzz.drawing.arguments import Arguments, draw_arguments
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.dialects import dialect_of
from gradsweep.testing.fuzz.drawing.grammar import grow
from gradsweep.testing.fuzz.drawing.rows import Variable
from gradsweep.testing.fuzz.drawing.scope import Scope, Statement, indented

__all__ = ["REPEATED", "DrawnFunction", "draw_function", "draw_repeated", "functions"]

T = TypeVar("T")

# What a function that takes a container calls, and what makes the classes of containers.
_FLAT = "flat"
_OF_CLASSES = "from collections import namedtuple\nfrom dataclasses import make_dataclass"

# The first line of a loop whose length can be chosen.
REPEATED = "for _ in range({}):"

_MOST_STATEMENTS = 13
_MOST_OF_A_BODY = 5

_HALF = re.compile(r"float16|reduce_precision|\.half\(\)")
_SINGLE = re.compile(r"float32|\.float\(\)|complex64|\bint32\)\.to")


@dataclass(frozen=True, eq=False)
class DrawnFunction:
    """A function f as text.

    Attributes:
        module: lines that stand above it: what it closes over.
        result: the expression that it returns.
        features: the features that its statements were drawn from.
    """

    framework: str
    arguments: Arguments
    module: tuple[str, ...]
    statements: tuple[Statement, ...]
    result: str
    features: frozenset[str]

    @property
    def imports(self) -> str:
        lines = [*dialect_of(self.framework).imports, "", "import gradsweep as gs"]
        if self.arguments.container is not None:
            lines = [_OF_CLASSES, *lines]
        return "\n".join(lines)

    @property
    def computed_by(self) -> str:
        """The framework that gradsweep computes it by."""
        return dialect_of(self.framework).computed_by

    @property
    def n_bytes(self) -> int:
        """The width of the narrowest floats in it."""
        if _HALF.search(self.definition):
            return 2
        return 4 if self.arguments.is_single or _SINGLE.search(self.definition) else 8

    @property
    def is_closed(self) -> bool:
        """Whether every name that is read is defined somewhere."""
        nodes = [*ast.walk(ast.parse(f"{self.imports}\n{self.definition}"))]
        given = {*dir(builtins), *(n.arg for n in nodes if isinstance(n, ast.arg))}
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                given.add(node.name)
            elif isinstance(node, ast.alias):
                given.add((node.asname or node.name).split(".")[0])
        names = [node for node in nodes if isinstance(node, ast.Name)]
        given |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
        return all(node.id in given for node in names)

    @property
    def definition(self) -> str:
        """Return the source of the function and of what stands above it.

        One that takes a container calls one that takes each argument by itself.
        """
        names = ", ".join(argument.name for argument in self.arguments.every)
        lines = [line for statement in self.statements for line in statement.lines]
        head = "".join(f"{line}\n\n\n" for line in self.module)
        body = "\n".join(indented([*lines, f"return {self.result}"]))
        container = self.arguments.container
        if container is None:
            return f"{head}def f({names}):\n{body}\n"
        classes = "".join(f"{line}\n" for line in container.definitions)
        alone = [argument.name for argument in self.arguments.alone]
        given = ", ".join(container.reads.get(a.name, a.name) for a in self.arguments.every)
        return (
            f"{head}{classes}\n\ndef {_FLAT}({names}):\n{body}\n\n\n"
            f"def f({', '.join([*alone, container.name])}):\n    return {_FLAT}({given})\n"
        )

    def make(self, is_flat: bool = False) -> Callable[..., Any]:
        """Return the function itself.

        Args:
            is_flat: whether to return the one that takes each argument by itself.
        """
        text = f"{self.imports}\n\n\n{self.definition}"
        file = f"<drawn {abs(hash(text)):x}>"
        # As for a module that was imported: errors show the line.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        namespace: dict[str, Any] = {"__name__": "drawn"}
        with dialect_of(self.framework, self.dtype).running():
            exec(compile(text, file, "exec"), namespace)
        return namespace[_FLAT if is_flat and self.arguments.container else "f"]

    @property
    def dtype(self) -> str:
        """The precision that a sweep of it is computed in."""
        return "float32" if self.arguments.is_single else "float64"

    def without(self, position: int, line: int | None = None) -> "DrawnFunction":
        """Return the function without one of its statements, or one line of it."""
        lines = self.statements[position].lines
        shorter = () if line is None else (*lines[:line], *lines[line + 1 :])
        kept = [Statement(self.statements[position].feature, shorter)] if shorter else []
        before, after = self.statements[:position], self.statements[position + 1 :]
        return replace(self, statements=(*before, *kept, *after))

    def bypassing(self, position: int) -> Iterator["DrawnFunction"]:
        """Yield the function with an operand of one statement in place of the statement's value."""
        (first, *_) = self.statements[position].lines
        made, _, text = first.partition(" = ")
        if not made.isidentifier():
            return
        for name in dict.fromkeys(re.findall(r"\b[a-z]\d*\b", text)):
            yield self.without(position)._renamed(made, name)

    def _renamed(self, old: str, new: str) -> "DrawnFunction":
        def changed(text: str) -> str:
            return re.sub(rf"\b{old}\b", new, text)

        statements = tuple(
            replace(statement, lines=tuple(map(changed, statement.lines)))
            for statement in self.statements
        )
        return replace(self, statements=statements, result=changed(self.result))

    def unpacked(self) -> Iterator["DrawnFunction"]:
        """Yield the function of each argument by itself, where it takes a container."""
        if self.arguments.container is not None:
            yield replace(self, arguments=self.arguments.unpacked)

    def without_module(self, position: int) -> "DrawnFunction":
        """Return the function without one of the things that stand above it."""
        return replace(self, module=self.module[:position] + self.module[position + 1 :])

    def returning(self, result: str) -> "DrawnFunction":
        return replace(self, result=result)


def functions(framework: str, features: frozenset[str]) -> st.SearchStrategy[DrawnFunction]:
    """Return a strategy of random functions of a framework."""

    @st.composite
    def strategy(draw: Any) -> DrawnFunction:
        return draw_function(Choices(draw), framework, features)

    return strategy()


def draw_function(choices: Choices, framework: str, features: frozenset[str]) -> DrawnFunction:
    """Draw a function and the sweep of its arguments."""
    arguments = draw_arguments(choices, features)

    def draw(scope: Scope) -> DrawnFunction:
        grow(scope, choices, choices.between(1, _MOST_STATEMENTS))
        return _drawn(scope, arguments, _draw_result(scope, choices, features))

    return _with_scope(draw, framework, arguments, features)


def draw_repeated(
    choices: Choices, framework: str, features: frozenset[str]
) -> DrawnFunction | None:
    """Draw a function that turns x into another value of its type, in a loop that runs once.

    Returns:
        A function of one statement, the loop; None where no value has the type of x.
    """
    arguments = draw_arguments(choices, features - {"special_points", "float32", "containers"})

    def draw(scope: Scope) -> DrawnFunction | None:
        start = scope.variables[0]
        grow(scope, choices, choices.between(1, _MOST_OF_A_BODY))
        ends = [v for v in scope.recent if v.type == start.type and v.name not in arguments.names]
        if not ends:
            return None
        tanh = "torch.tanh" if framework == "torch" else "jnp.tanh"
        result = choices.one_of([f"{ends[0].name} * 0.5", f"{tanh}({ends[0].name})"])
        lines = [line for statement in scope.statements for line in statement.lines]
        loop = Statement("loops", (REPEATED.format(1), *indented([*lines, f"x = {result}"])))
        return replace(_drawn(scope, arguments, "x"), statements=(loop,))

    return _with_scope(draw, framework, arguments, features)


def _with_scope(
    draw: Callable[[Scope], T], framework: str, arguments: Arguments, features: frozenset[str]
) -> T:
    """Call `draw` with the scope of a function that has arguments and no statements yet."""
    dialect = dialect_of(framework, "float32" if arguments.is_single else "float64")
    values: dict[str, Any] = {}
    exec("\n".join(dialect.imports), values)
    first = arguments.at(arguments.points()[0])
    fixed = {name: value for name, value in first.items() if isinstance(value, int | str)}
    counters = [name for name, value in fixed.items() if isinstance(value, int)]

    def with_arrays(arrays: dict[str, Any]) -> T:
        scope = Scope(dialect, features, {**values, **fixed, **arrays}, counters=counters)
        for name in arrays:
            scope.capture(name)
        return draw(scope)

    return dialect.drawing(
        with_arrays, {name: value for name, value in first.items() if name not in fixed}
    )


def _drawn(scope: Scope, arguments: Arguments, result: str) -> DrawnFunction:
    return DrawnFunction(
        framework=scope.dialect.name,
        arguments=arguments,
        module=tuple(line.rstrip() for line in scope.module),
        statements=tuple(scope.statements),
        result=result,
        features=frozenset({*scope.used, *(["containers"] if arguments.container else [])}),
    )


def _draw_result(scope: Scope, choices: Choices, features: frozenset[str]) -> str:
    """Draw the result: the newest value and some that are not used yet, in some form."""
    last, *others = scope.recent
    unused = [v for v in others if not _is_used(v, scope)] or others
    also = choices.distinct(unused, min(len(unused), choices.between(0, 3)))
    ends = [last, *also]
    if "several_outputs" in features and choices.rarely(3):
        return _several(scope, choices, ends)
    return " + ".join(scope.dialect.number(end, choices.between(0, 2)) for end in ends)


def _several(scope: Scope, choices: Choices, ends: list[Variable]) -> str:
    """Return an array, a tuple or a nest of outputs."""
    form = choices.one_of(["array", "tuple", "dict"])
    outputs = [scope.dialect.output(end) for end in ends]
    if form == "array" or len(outputs) == 1:
        return outputs[0]
    if form == "tuple":
        return f"({', '.join(outputs[:2])})"
    if len(outputs) == 2:
        return f"{{'p': {outputs[0]}, 'q': {outputs[1]}}}"
    return f"{{'p': {outputs[0]}, 'q': {{'r': {outputs[1]}, 's': {outputs[2]}}}}}"


def _is_used(variable: Variable, scope: Scope) -> bool:
    pattern = re.compile(rf"\b{variable.name}\b")
    uses = sum(len(pattern.findall(line)) for s in scope.statements for line in s.lines)
    return uses > 1
