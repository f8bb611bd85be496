"""Draw the arguments of a function and their sweep.

Choices enter; Arguments leave, each of which knows its text in a Sweep and its value at a point.
Some may stand in a container there, as the entries of one argument.
Knows nothing of what the function does with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradsweep.request.sweep import Sweep
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.containers import Container, draw_container

__all__ = ["CATEGORY", "WORDS", "Arguments", "Drawn", "draw_arguments"]

_NAMES = ("x", "y", "z")

# The argument that may be a category, and its words.
CATEGORY = "kind"
WORDS = ("call", "put", "both")

# Values where frameworks choose a derivative, and where signs and ties show.
_SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -2.0)


@dataclass(frozen=True, eq=False)
class Drawn:
    """One argument.

    Attributes:
        values: of shape (lengths of the dims, own shape); a Python integer where it is fixed and
            passed as it is; words where it is a category.
        is_differentiated: whether derivatives are taken with respect to it.
    """

    name: str
    dims: tuple[str, ...]
    values: Any
    is_differentiated: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.values)[len(self.dims) :]

    def at(self, where: Mapping[str, int]) -> Any:
        """Return the value at a point, as the function receives it."""
        if isinstance(self.values, int):
            return self.values
        value = np.asarray(self.values)[tuple(where[dim] for dim in self.dims)]
        if value.dtype.kind == "U":
            return str(value)
        # Swept integers become floats.
        return np.asarray(value, np.float64) if value.dtype.kind == "i" and self.dims else value

    def written(self, is_entry: bool = False) -> Any:
        """Return the argument as a Sweep takes it.

        Args:
            is_entry: whether it stands in a container, where an array is held fixed as it is.
        """
        if not self.dims and (is_entry or isinstance(self.values, int) or not np.ndim(self.values)):
            return self.values
        return (self.dims, self.values)

    def text(self, is_entry: bool = False) -> str:
        """Return the argument as source, for a Sweep."""
        if isinstance(self.values, int):
            return repr(self.values)
        array = np.asarray(self.values)
        if array.dtype in (np.float64, np.complex128) or array.dtype.kind == "U":
            written = repr(array.tolist())
            if array.ndim > len(self.dims) or not self.dims:
                written = f"np.array({written})" if array.ndim else written
        else:
            written = f"np.array({array.tolist()!r}, {array.dtype.name!r})"
        if not self.dims and not array.ndim:
            is_plain = array.dtype in (np.float64, np.complex128)
            return written if is_plain else f"np.{array.dtype.name}({array!s})"
        if not self.dims and is_entry:
            return written
        dims = repr(self.dims[0]) if len(self.dims) == 1 else repr(self.dims)
        return f"({dims}, {written})"


@dataclass(frozen=True, eq=False)
class Arguments:
    """All arguments, and the points of their sweep.

    Attributes:
        container: what holds some of them in the Sweep, if anything does.
    """

    every: tuple[Drawn, ...]
    container: Container | None = None

    @property
    def paths(self) -> Mapping[str, str]:
        """The path to each argument that stands in the container, by its name."""
        return {} if self.container is None else self.container.paths

    def called(self, name: str) -> str:
        """Return what an argument is called in the names of results."""
        return self.paths.get(name, name).replace(".", "_")

    @property
    def alone(self) -> tuple[Drawn, ...]:
        """The arguments that stand in no container."""
        return tuple(argument for argument in self.every if argument.name not in self.paths)

    @property
    def unpacked(self) -> "Arguments":
        """The same arguments without a container."""
        return replace(self, container=None)

    @property
    def axes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for argument in self.every:
            found |= dict(zip(argument.dims, np.shape(argument.values)))
        return found

    @property
    def names(self) -> list[str]:
        return [argument.name for argument in self.every]

    @property
    def differentiated(self) -> tuple[Drawn, ...]:
        return tuple(argument for argument in self.every if argument.is_differentiated)

    @property
    def is_single(self) -> bool:
        """Whether a sweep of them is computed in single precision: swept integers are doubles."""
        arrays = [(bool(a.dims), np.asarray(a.values)) for a in self.every]
        floats = {
            v.real.dtype.name for swept, v in arrays if v.dtype.kind in "fc" and (swept or v.ndim)
        }
        return floats == {"float32"} and not any(
            swept and v.dtype.kind == "i" for swept, v in arrays
        )

    @property
    def sweep(self) -> Sweep:
        given = {argument.name: argument.written() for argument in self.alone}
        if self.container is not None:
            entries = {argument.name: argument.written(is_entry=True) for argument in self.every}
            given[self.container.name] = self.container.value(entries)
        return Sweep(given)

    @property
    def text(self) -> str:
        given = {argument.name: argument.text() for argument in self.alone}
        if self.container is not None:
            entries = {argument.name: argument.text(is_entry=True) for argument in self.every}
            given[self.container.name] = self.container.text(entries)
        return ", ".join(f"{name}={text}" for name, text in given.items())

    def points(self) -> list[dict[str, int]]:
        """Return the index along every axis of every point."""
        axes = self.axes
        return [dict(zip(axes, index)) for index in np.ndindex(*axes.values())]

    def at(self, where: Mapping[str, int]) -> dict[str, Any]:
        """Return the arguments at a point, floats in the precision of the sweep."""
        precision = np.float32 if self.is_single else np.float64
        found = {}
        for argument in self.every:
            value = argument.at(where)
            kind = np.asarray(value).dtype.kind
            dtype = {"f": precision, "c": np.result_type(precision, np.complex64)}.get(kind)
            found[argument.name] = value if dtype is None else np.asarray(value, dtype)
        return found


def draw_arguments(choices: Choices, features: frozenset[str]) -> Arguments:
    """Draw one to three numbers, swept or fixed, and perhaps others beside them."""
    is_single = "float32" in features and choices.rarely(12)
    precision = np.float32 if is_single else np.float64
    n_special = 8 if "special_points" in features else 0
    arguments = []
    # One is swept; the others go along with it, on an axis of their own, or are fixed.
    ways = ["along", "fixed", "across"]
    n_points = choices.between(3, 4)
    for i, name in enumerate(_NAMES[: choices.between(1, 3)]):
        way = choices.one_of(ways) if i else "along"
        dims: tuple[str, ...] = {"along": ("i",), "across": ("j",), "fixed": ()}[way]
        if way == "across":
            ways.remove("across")
        n = {"along": n_points, "across": choices.between(2, 3), "fixed": 1}[way]
        values = _floats(choices, n, n_special).astype(precision)
        arguments.append(Drawn(name, dims, values if dims else values[0].item()))
    if "arrays" in features and choices.rarely(2):
        arguments.append(_array(choices, n_points, precision, n_special))
    if "complex_arguments" in features and choices.rarely(4):
        arguments.append(_complex(choices, n_points, precision, n_special))
    if "integer_arguments" in features and choices.rarely(4):
        arguments.append(_other(choices, n_points))
    if "categories" in features and choices.rarely(6):
        arguments.append(_category(choices, n_points))
    return Arguments(tuple(arguments), _container(choices, features, arguments))


def _container(
    choices: Choices, features: frozenset[str], arguments: Sequence[Drawn]
) -> Container | None:
    """Draw what holds some of the arguments; words stand alone."""
    names = [argument.name for argument in arguments if argument.name != CATEGORY]
    if "containers" not in features or not choices.rarely(4):
        return None
    return draw_container(choices, choices.distinct(names, choices.between(1, len(names))))


def _floats(choices: Choices, n: int, n_special: int) -> np.ndarray:
    """Draw different numbers, a special one now and then."""
    steps = [choices.between(0, 160)]
    for _ in range(n - 1):
        steps.append((steps[-1] + choices.between(7, 90)) % 251)
    values = [round(0.0173 * (step - 120 if step % 2 else step) + 0.0091, 4) for step in steps]
    if n_special and choices.rarely(4):
        values[choices.between(0, n - 1)] = choices.one_of(_SPECIAL)
    return np.array(values)


def _array(choices: Choices, n_points: int, precision: type, n_special: int) -> Drawn:
    """Draw an array argument, fixed or swept along with the first."""
    shape = choices.one_of([(3,), (2,), (2, 2), (2, 3)])
    dims: tuple[str, ...] = ("i",) if choices.rarely(2) else ()
    full = (n_points, *shape) if dims else shape
    values = _floats(choices, int(np.prod(full)), n_special)
    return Drawn("w", dims, values.reshape(full).astype(precision))


def _complex(choices: Choices, n_points: int, precision: type, n_special: int) -> Drawn:
    """Draw complex numbers: one, fixed or swept along with the first, or an array."""
    shape = choices.one_of([(), (), (2,)])
    dims: tuple[str, ...] = ("i",) if choices.rarely(2) else ()
    full = (n_points, *shape) if dims else shape
    parts = _floats(choices, 2 * int(np.prod(full)), n_special).reshape((2, *full))
    values = (parts[0] + 1j * parts[1]).astype(np.result_type(precision, np.complex64))
    return Drawn("c", dims, values if values.ndim else values.item())


def _other(choices: Choices, n_points: int) -> Drawn:
    """Draw a fixed integer, a swept one, or swept truth values."""
    match choices.one_of(["fixed", "swept", "truth"]):
        case "fixed":
            return Drawn("n", (), choices.between(2, 3), is_differentiated=False)
        case "swept":
            start = choices.between(0, 3)
            return Drawn("m", ("i",), np.arange(start, start + n_points))
        case _:
            truth = [choices.between(0, 1) == 1 for _ in range(n_points)]
            return Drawn("s", ("i",), np.array(truth), is_differentiated=False)


def _category(choices: Choices, n_points: int) -> Drawn:
    """Draw words, along the first dim or along one of their own."""
    if choices.rarely(2):
        return Drawn(CATEGORY, ("k",), np.array(WORDS), is_differentiated=False)
    words = [choices.one_of(WORDS) for _ in range(n_points)]
    return Drawn(CATEGORY, ("i",), np.array(words), is_differentiated=False)
