"""Equations solved in torch, by `implicit` with the loops of `looped`; `orders` counts derivatives.

`looped` runs the search, as a loop of the Program while the function is recorded.

An Equation enters, the leaves of its solution leave, with their derivatives in autograd's graph.
Never sees a sweep or an engine.
"""

from gradsweep.tracing.torch.solved.implicit import solve

__all__ = ["solve"]
