"""Equations solved in torch: `implicit` solves them, `orders` tells how often one differentiates.

An Equation enters, the leaves of its solution leave, with their derivatives in autograd's graph.
Never sees a Program, a sweep or an engine.
"""

from gradsweep.tracing.torch.solved.implicit import solve

__all__ = ["solve"]
