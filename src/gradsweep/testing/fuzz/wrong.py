"""A failure, and its text: a function that can be pasted."""

from gradsweep.testing.fuzz.combinations import Combination
from gradsweep.testing.fuzz.drawing.functions import DrawnFunction

__all__ = ["Wrong", "kind_of"]


class Wrong(Exception):
    """A failure that a function has shown.

    Attributes:
        what: the kind of failure: "number", "error", "time", ...
        drawn: the function.
        combination: what was asked of it; None where it was nothing in particular.
        told: what was found and what was expected.
    """

    what = ""

    def __init__(self, drawn: DrawnFunction, combination: Combination | None, told: str):
        super().__init__(told)
        self.drawn, self.combination, self.told = drawn, combination, told

    @property
    def text(self) -> str:
        """Return source that shows the failure."""
        drawn = self.drawn
        call = "" if self.combination is None else f"print({self.combination.text})\n"
        comment = "".join(f"# {line}\n" for line in self.told.splitlines())
        return (
            f"{drawn.imports}\n\n\n{drawn.definition}\n\n"
            f"sweep = gs.Sweep({drawn.arguments.text})\n{call}{comment}"
        )


_KINDS: dict[str, type[Wrong]] = {}


def kind_of(what: str) -> type[Wrong]:
    """Return the class of a kind of failure: hypothesis shrinks a failure to one of its class."""
    if what not in _KINDS:
        _KINDS[what] = type("Wrong", (Wrong,), {"what": what})
    return _KINDS[what]
