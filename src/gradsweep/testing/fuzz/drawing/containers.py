"""Draw containers that hold some of a function's arguments, such as p={"x": ("i", values)}.

Names of arguments enter; a Container leaves, which knows its value and its text in a Sweep, and how
the function reads each argument of it. Knows nothing of the arguments' values.
"""

from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from typing import Any, Literal

from gradsweep.testing.fuzz.drawing.choices import Choices

__all__ = ["Container", "draw_container"]

Kind = Literal["dict", "dataclass", "named tuple"]

_KINDS: tuple[Kind, ...] = ("dict", "dataclass", "named tuple")

# What entries are called: "i" like a dim, which they may be swept along.
_KEYS = ("a", "b", "i", "rate", "x")


@dataclass(frozen=True)
class Container:
    """A dict, a dataclass or a named tuple, of arguments and of containers again.

    Attributes:
        name: what it is called: an argument where it stands alone, else the key of its entry.
        entries: the name of an argument by its key, and containers in it.
    """

    name: str
    kind: Kind
    entries: tuple[tuple[str, "str | Container"], ...]

    @property
    def paths(self) -> dict[str, str]:
        """The path to each argument in it, such as "p.a", by the argument's name."""
        return {name: ".".join((self.name, *keys)) for keys, name in self._leaves()}

    @property
    def reads(self) -> dict[str, str]:
        """The expression that reads each argument of it, by the argument's name."""
        return {name: self._read(keys) for keys, name in self._leaves()}

    @property
    def definitions(self) -> list[str]:
        """The lines that define its classes."""
        entries = [entry for _, entry in self.entries if not isinstance(entry, str)]
        inner = [line for entry in entries for line in entry.definitions]
        keys = ", ".join(repr(key) for key, _ in self.entries)
        match self.kind:
            case "dict":
                return inner
            case "dataclass":
                return [*inner, f'{self._type} = make_dataclass("{self._type}", [{keys}])']
            case "named tuple":
                return [*inner, f'{self._type} = namedtuple("{self._type}", [{keys}])']

    def value(self, values: Mapping[str, Any]) -> Any:
        """Return it with the value of each argument in it."""
        made = {
            key: values[entry] if isinstance(entry, str) else entry.value(values)
            for key, entry in self.entries
        }
        match self.kind:
            case "dict":
                return made
            case "dataclass":
                return make_dataclass(self._type, [*made])(**made)
            case "named tuple":
                return namedtuple(self._type, [*made])(**made)  # type: ignore[misc]

    def text(self, texts: Mapping[str, str]) -> str:
        """Return its source, given that of each argument in it."""
        made = {
            key: texts[entry] if isinstance(entry, str) else entry.text(texts)
            for key, entry in self.entries
        }
        if self.kind == "dict":
            return f"{{{', '.join(f'{key!r}: {text}' for key, text in made.items())}}}"
        return f"{self._type}({', '.join(f'{key}={text}' for key, text in made.items())})"

    @property
    def _type(self) -> str:
        return f"Of{self.name.upper()}"

    def _leaves(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the keys that lead to each argument, and its name."""
        for key, entry in self.entries:
            if isinstance(entry, str):
                yield (key,), entry
            else:
                yield from (((key, *keys), name) for keys, name in entry._leaves())

    def _read(self, keys: Sequence[str]) -> str:
        text, here = self.name, self
        for key in keys:
            text += f'["{key}"]' if here.kind == "dict" else f".{key}"
            entry = dict(here.entries)[key]
            here = here if isinstance(entry, str) else entry
        return text


def draw_container(choices: Choices, names: Sequence[str], depth: int = 0) -> Container:
    """Draw a container of some arguments; of two and more, the last may stand in one inside.

    Args:
        depth: how many containers it stands in; each has a name, and a class, of its own.
    """
    keys = choices.distinct(_KEYS, min(len(names), len(_KEYS)))
    entries: list[tuple[str, str | Container]] = [*zip(keys, names)]
    if len(names) > 1 and choices.rarely(3):
        n_inner = choices.between(1, len(names) - 1)
        inner = draw_container(choices, names[-n_inner:], depth + 1)
        entries = [*zip(keys, names[:-n_inner]), (inner.name, inner)]
    return Container("q" * depth or "held", choices.one_of(_KINDS), tuple(entries))
