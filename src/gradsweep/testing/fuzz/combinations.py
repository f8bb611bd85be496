"""What is asked of a function: a quantity, an engine, a mode, directions.

Combinations are drawn, or all of them listed. Knows nothing of how one is run or judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradsweep.request.quantities import QUANTITIES
from gradsweep.testing.fuzz.drawing.arguments import Arguments
from gradsweep.testing.fuzz.drawing.choices import Choices

__all__ = ["Combination", "combinations", "draw_combination"]

# How often each is drawn. An engine that compiles every function or operation anew is slow.
_ENGINES = {
    "torch": {"auto": 4, "fused": 4, "reference": 4, "torch": 3, "loop": 3},
    "numpy": {"auto": 4, "fused": 4, "reference": 4, "loop": 3},
    "jax": {"auto": 4, "fused": 4, "reference": 4, "xla": 2, "loop": 1},
}

# The quantities to which the mode makes a difference.
_WITH_MODES = ("gradient", "jacobian", "contributions", "hessian", "hvp")

# The quantities that the true numbers know.
_KNOWN = ("value", "gradient", "jacobian", "jvp", "contributions", "vjp", "hessian", "hvp")

_DIRECTION = (0.7, -1.1, 0.4, 1.3, -0.6, 0.9)


@dataclass(frozen=True, eq=False)
class Combination:
    """One request of a function.

    Attributes:
        wrt: the names of the arguments that are differentiated; None to leave the option out.
        direction: dims and values, of the tangent by argument or of the cotangent by output.
        paths: the path to each argument that stands in a container, by its name.
    """

    quantity: str
    engine: str = "auto"
    mode: str = "auto"
    with_value: bool = False
    wrt: tuple[str, ...] | None = None
    direction: Mapping[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def order(self) -> int:
        return QUANTITIES[self.quantity].order

    @property
    def options(self) -> dict[str, Any]:
        """The options that the quantity is called with."""
        options: dict[str, Any] = {"engine": self.engine}
        if self.quantity != "value":
            options |= {"mode": self.mode, "with_value": self.with_value}
            if self.wrt is not None:
                options["wrt"] = [self.paths.get(name, name) for name in self.wrt]
        return {k: v for k, v in options.items() if v not in ("auto", False)}

    @property
    def directions(self) -> tuple[Any, ...]:
        """The tangent or cotangent as a quantity takes it, if it takes one."""
        if not QUANTITIES[self.quantity].direction:
            return ()
        given = {
            name: (dims, values) if dims else values
            for name, (dims, values) in self.direction.items()
        }
        if set(given) == {""}:
            return (given[""],)
        if QUANTITIES[self.quantity].direction == "tangent":
            return (_in_containers({self.paths.get(n, n): v for n, v in given.items()}),)
        return (given,)

    @property
    def text(self) -> str:
        """Return the source of the call."""
        words = ["f", "sweep"]
        if directions := self.directions:
            words.append(_text(directions[0]))
        words += [f"{key}={value!r}" for key, value in self.options.items()]
        return f"gs.{self.quantity}({', '.join(words)})"


def _in_containers(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is given by paths as containers, which a tangent has too."""
    found: dict[str, Any] = {}
    for path, value in given.items():
        *outer, last = path.split(".")
        inner = found
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return found


def _text(direction: Any) -> str:
    if isinstance(direction, dict):
        return f"{{{', '.join(f'{k!r}: {_text(v)}' for k, v in direction.items())}}}"
    if isinstance(direction, tuple):
        return f"({direction[0]!r}, {_text(direction[1])})"
    array = np.asarray(direction)
    if array.dtype in (np.float32, np.complex64):
        return f"np.array({array.tolist()}, {array.dtype.name!r})"
    return repr(array.item()) if not array.ndim else f"np.array({array.tolist()})"


def _vector(shape: Sequence[int], turn: int) -> np.ndarray:
    return np.resize(np.roll(_DIRECTION, turn), tuple(shape))


def _quantities(is_scalar: bool, features: frozenset[str]) -> list[str]:
    return [
        name
        for name, row in QUANTITIES.items()
        if (is_scalar or not row.scalar_only)
        and ("second_order" in features or row.order < 2)
        and name in _KNOWN
    ]


def _modes(quantity: str, features: frozenset[str]) -> list[str]:
    if quantity not in _WITH_MODES:
        return ["auto"]
    return ["auto", "reverse", *(["forward"] if "forward" in features else [])]


def draw_combination(
    choices: Choices,
    framework: str,
    arguments: Arguments,
    outputs: Mapping[str, tuple[int, ...]],
    features: frozenset[str],
) -> Combination:
    """Draw a combination.

    Args:
        outputs: the shape of each output, by path.
    """
    quantity = choices.one_of(_quantities(all(s == () for s in outputs.values()), features))
    names = [argument.name for argument in arguments.differentiated]
    wrt = None
    if quantity != "value" and choices.rarely(3):
        wrt = tuple(choices.distinct(names, choices.between(1, len(names))))
    return Combination(
        quantity,
        engine=choices.weighted([*_ENGINES[framework]], [*_ENGINES[framework].values()]),
        mode=choices.one_of(_modes(quantity, features)),
        with_value=quantity != "value" and choices.rarely(3),
        wrt=wrt,
        direction=_direction(quantity, arguments, outputs, wrt or names, choices.between(0, 5)),
        paths=arguments.paths,
    )


def combinations(
    framework: str,
    arguments: Arguments,
    outputs: Mapping[str, tuple[int, ...]],
    features: frozenset[str],
) -> Iterator[Combination]:
    """Yield every quantity by every engine in every mode."""
    names = [argument.name for argument in arguments.differentiated]
    turn = 0
    for quantity in _quantities(all(s == () for s in outputs.values()), features):
        for mode in _modes(quantity, features):
            for engine in _ENGINES[framework]:
                turn += 1
                # Some combinations name arguments: all of them, or the last.
                wrt = (None, tuple(names), tuple(names[-1:]))[turn % 3]
                wrt = None if quantity == "value" else wrt
                direction = _direction(quantity, arguments, outputs, wrt or names, turn % 6)
                with_value = quantity != "value" and turn % 4 == 0
                yield Combination(
                    quantity, engine, mode, with_value, wrt, direction, arguments.paths
                )


def _direction(
    quantity: str,
    arguments: Arguments,
    outputs: Mapping[str, tuple[int, ...]],
    wrt: Sequence[str],
    turn: int,
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return a tangent or cotangent of all names or of all but one, fixed or swept."""
    kind = QUANTITIES[quantity].direction
    if not kind:
        return {}
    sizes = arguments.axes
    # A direction of double precision would make the whole sweep double.
    precision = np.float32 if arguments.is_single else np.float64
    shapes: list[tuple[str, tuple[str, ...], tuple[int, ...]]]
    complex_names = {a.name for a in arguments.every if np.asarray(a.values).dtype.kind == "c"}
    if kind == "cotangent":
        shapes = [(path, (), shape) for path, shape in outputs.items()]
    else:
        every = {argument.name: argument for argument in arguments.every}
        shapes = [(name, every[name].dims if turn % 2 else (), every[name].shape) for name in wrt]
    if turn > 3 and len(shapes) > 1:
        shapes = shapes[:-1]
    found = {}
    for i, (name, dims, shape) in enumerate(shapes):
        full = (*(sizes[dim] for dim in dims), *shape)
        vector = _vector(full, turn + i).astype(precision)
        if kind == "tangent" and name in complex_names:
            imaginary = _vector(full, turn + i + 1).astype(precision)
            vector = vector + np.multiply(1j, imaginary)
        found[name] = dims, vector
    return found
