"""Names and units as matplotlib's mathematics: `sigma` is σ, `x0` has a subscript.

Takes the names that `names` gave to arguments and outputs; returns text for titles and axes.
Knows nothing of figures.
"""

import re
from dataclasses import dataclass
from itertools import groupby

__all__ = ["Element", "number", "partial_of", "plain", "with_units"]

_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)

# What may follow a derivative in the long name that `names` gives it.
_SUFFIXES = {" · v": r"\cdot v"}

# A word, then its subscript: x0, x_0, sigma_max. The word is as short as it can be.
_NAME = re.compile(r"([^\W\d_]+?)(?:_?(\d+)|_(\w+))?")


@dataclass(frozen=True)
class Element:
    """An argument or an output, or one element of it where it is an array.

    Attributes:
        name: as the function has it, with the keys of containers: `params_weight`.
        index: the element's index; () for a whole array and for a scalar. A part of a complex
            number has a word for it.
    """

    name: str
    index: tuple[int | str, ...] = ()

    @property
    def text(self) -> str:
        """The element as Python writes it: `q[0, 1]`."""
        return f"{self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name

    @property
    def symbol(self) -> str:
        """The element in the language of mathtext, without the dollar signs."""
        below = [_upright(i) if isinstance(i, str) else str(i) for i in self.index]
        found = _NAME.fullmatch(self.name)
        base, digits, words = found.groups() if found else (self.name, None, None)
        if words and not _is_letter(base):
            base, words = self.name, None  # a long name is easier to read on one line
        if digits:
            below.insert(0, digits)
        if words:
            below.insert(0, _upright(words))
        shown = base if len(base) == 1 else rf"\{base}" if base in _GREEK else _upright(base)
        return f"{shown}_{{{','.join(below)}}}" if below else shown

    @property
    def label(self) -> str:
        return f"${self.symbol}$"


def partial_of(of: Element, wrt: tuple[Element, ...], suffix: str = "") -> str:
    """Write ∂y/∂x, ∂²y/∂a∂b or ∂³y/∂a²∂b; `suffix` follows it, such as " · v".

    An output without a name leaves ∂/∂x.
    """
    power = "" if len(wrt) == 1 else f"^{len(wrt)}"
    below = ""
    for element, same in groupby(wrt):
        n = len([*same])
        # A subscript and a power on one letter need the braces.
        below += rf"\partial {element.symbol}" if n == 1 else rf"\partial {{{element.symbol}}}^{n}"
    above = of.symbol if of.name else ""
    return rf"$\partial{power} {above}/{below}{_SUFFIXES.get(suffix, '')}$"


def plain(text: str) -> str:
    """Return text that matplotlib shows as it is."""
    return text.replace("$", r"\$")


def with_units(label: str, units: str) -> str:
    """Append units in parentheses, where there are any."""
    return f"{label} ({plain(units)})" if units else label


def number(value: float) -> str:
    """Write a number for a label: 4 significant digits, a power of ten where it is far from 1."""
    text = f"{value + 0.0:.4g}"  # -0.0 is 0
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text.replace("-", "−")
    shown = mantissa.replace("-", "−")
    return rf"{shown}$\times 10^{{{int(exponent)}}}$"


def _is_letter(base: str) -> bool:
    return len(base) == 1 or base in _GREEK


def _upright(word: str) -> str:
    escaped = re.sub(r"([\\$%#&{}_])", r"\\\1", word).replace(" ", r"\ ")
    return rf"\mathrm{{{escaped}}}"
