"""The graph that torch's backward walks: what its nodes say of the rules in it.

Outputs enter; Rules leave. Nothing is differentiated here.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

__all__ = ["Graph", "Rules"]


class Rules(NamedTuple):
    """What is known of the rules that a function is differentiated with.

    Attributes:
        are_own: some are the user's own. A pullback may then be no linear function.
        are_one_sided: some choose a first derivative by an argument's value. That value counts
            as a constant, so that mixed second derivatives depend on the order there: for x ** y
            at y = 0, d/dy of df/dx is 0, and d/dx of df/dy is 1 / x.
        take_logarithms: some take the logarithm of |w|, for the w that is pulled back. Such a
            pullback is linear in w, but its derivative in w is 0 / 0 where w is 0.
    """

    are_own: bool = False
    are_one_sided: bool = False
    take_logarithms: bool = False

    @property
    def are_symmetric(self) -> bool:
        """Whether Hessians are sure to be symmetric."""
        return not (self.are_own or self.are_one_sided)

    def together(self, other: "Rules") -> "Rules":
        """Return what is known of both."""
        return Rules(*(a or b for a, b in zip(self, other)))


# Operations of two arguments. With one of them constant, nothing is mixed.
_ONE_SIDED = frozenset(
    """
    BinaryCrossEntropyBackward0 PowBackward1 SpecialXlog1PyBackward0 XlogyBackward0
    """.split()
)


class Graph:
    """Looks at the nodes behind outputs, and holds them until it is dropped.

    Once Python has looked at a node, torch (2.13) frees what it was computed from by a call inside
    a call, and the stack ends at some 30,000 nodes. Held here, they are freed one by one.
    """

    def __init__(self) -> None:
        self._nodes: list[Any] = []  # arguments before what is computed from them
        self._known: set[int] = set()

    def __del__(self) -> None:
        while self._nodes:
            self._nodes.pop()

    def rules_of(self, outputs: tuple[torch.Tensor, ...]) -> Rules:
        """Return what is known of the rules behind some outputs.

        Raises:
            NotImplementedError: when a rule must not be differentiated, of which torch says nothing
                where another way leads to the arguments.
        """
        found = Rules()
        for node in self._behind(outputs):
            name = type(node).__name__
            if name == "Error":
                raise NotImplementedError(
                    "an autograd.Function is marked with once_differentiable, and a second "
                    "derivative was asked for."
                )
            of_node = Rules(
                are_own=isinstance(node, torch.autograd.function.BackwardCFunction),
                are_one_sided=name in _ONE_SIDED and len(_arguments(node)) > 1,
                take_logarithms=name == "LogcumsumexpBackward0",
            )
            found = found.together(of_node)
        return found

    def _behind(self, outputs: tuple[torch.Tensor, ...]) -> Sequence[Any]:
        """Return every node of the graph behind some outputs."""
        found, seen = [], set[int]()
        waiting = [(array.grad_fn, False) for array in outputs if array.grad_fn is not None]
        while waiting:
            node, is_done = waiting.pop()
            if is_done:
                found.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                waiting.append((node, True))
                waiting += [(argument, False) for argument in _arguments(node)]
        self._nodes += [node for node in found if id(node) not in self._known]
        self._known |= seen
        return found


def _arguments(node: Any) -> list[Any]:
    return [argument for argument, _ in node.next_functions if argument is not None]
