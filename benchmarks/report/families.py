"""Whose each way to compute is: its name for readers, its colour and its marker.

A rival names its family; the page and the plot show the fastest of a family's forms.
"""

from typing import NamedTuple

__all__ = ["FAMILIES", "OURS", "Family"]


class Family(NamedTuple):
    """Attributes: label is what a reader calls it; without one, only the long table has it."""

    label: str
    color: str
    marker: str


# Our own, by what a call leaves: into the arrays of the call before, into new ones, and a Dataset.
OURS = ("gradsweep, out=", "gradsweep, new arrays", "gradsweep, labelled")

# Okabe and Ito (2008), Color Universal Design: told apart with any colour vision, and by marker.
FAMILIES = {
    "gradsweep, out=": Family("gradsweep, into out=", "#0072B2", "o"),
    "gradsweep, new arrays": Family("gradsweep, new arrays", "#0072B2", "s"),
    "gradsweep, labelled": Family("gradsweep, labelled", "#0072B2", "^"),
    "gradsweep, other engines": Family("", "#9FB7C9", "."),
    "C": Family("C by hand", "#000000", "x"),
    "C, less accurate": Family("", "#000000", "+"),
    "Dr.Jit": Family("Dr.Jit", "#CC79A7", "D"),
    "heyoka": Family("heyoka", "#8B5A2B", "p"),
    "JAX": Family("JAX", "#D55E00", "v"),
    "torch.compile": Family("torch.compile", "#009E73", "<"),
    "torch": Family("torch, eager", "#E69F00", ">"),
    "CasADi": Family("CasADi", "#56B4E9", "P"),
    "NumPy": Family("NumPy by hand", "#7F7F7F", "X"),
    "loop": Family("the question's loop", "#4D4D4D", "*"),
}
