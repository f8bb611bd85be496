"""The graph that torch's backward walks: what its nodes say of the rules in it.

Outputs enter; Rules leave. Nothing is differentiated here.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

__all__ = ["Rules", "rules_of", "takes_logarithms"]


class Rules(NamedTuple):
    """What is known of the rules that a function is differentiated with.

    Attributes:
        are_own: some are the user's own. A pullback may then be no linear function.
        are_one_sided: some choose a first derivative by an argument's value. That value counts
            as a constant, so that mixed second derivatives depend on the order there: for x ** y
            at y = 0, d/dy of df/dx is 0, and d/dx of df/dy is 1 / x.
    """

    are_own: bool = False
    are_one_sided: bool = False

    @property
    def are_symmetric(self) -> bool:
        """Whether Hessians are sure to be symmetric."""
        return not (self.are_own or self.are_one_sided)

    def together(self, other: "Rules") -> "Rules":
        """Return what is known of both."""
        return Rules(self.are_own or other.are_own, self.are_one_sided or other.are_one_sided)


# Operations of two arguments. With one of them constant, nothing is mixed.
_ONE_SIDED = frozenset(
    """
    BinaryCrossEntropyBackward0 PowBackward1 SpecialXlog1PyBackward0 XlogyBackward0
    """.split()
)


def rules_of(outputs: tuple[torch.Tensor, ...]) -> Rules:
    """Return what is known of the rules behind some outputs.

    Raises:
        NotImplementedError: when a rule must not be differentiated, of which torch says nothing
            where another way leads to the arguments.
    """
    found = Rules()
    for node in _nodes(outputs):
        name = type(node).__name__
        if name == "Error":
            raise NotImplementedError(
                "an autograd.Function is marked with once_differentiable, and a second derivative "
                "was asked for."
            )
        arguments = [following for following, _ in node.next_functions if following is not None]
        is_own = isinstance(node, torch.autograd.function.BackwardCFunction)
        found = found.together(Rules(is_own, name in _ONE_SIDED and len(arguments) > 1))
    return found


def takes_logarithms(outputs: tuple[torch.Tensor, ...]) -> bool:
    """Tell whether a pullback lies in the graph that takes the logarithm of |w|.

    It is linear in w, but its derivative in w is 0 / 0 where w is 0. That is logcumsumexp's alone.
    """
    return any(type(node).__name__ == "LogcumsumexpBackward0" for node in _nodes(outputs))


def _nodes(outputs: tuple[torch.Tensor, ...]) -> Iterator[Any]:
    """Yield every node of the graph behind some outputs."""
    waiting, seen = [array.grad_fn for array in outputs], set[Any]()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [following for following, _ in node.next_functions]
