"""Rules of single matrices, applied to batches of them."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from gradsweep.tracing.torch.recorder.expression import Expression

__all__ = ["of_each", "stacked"]


def of_each(core: Callable, *ranks: int) -> Callable:
    """Return a rule that applies a function of single matrices to each of a batch of them.

    Args:
        ranks: how many dims each operand of the function has: the last ones of its array. Further
            arguments are options, passed on as they are.
    """

    def rule(call, *arguments, **options):
        operands = [call(array) for array in arguments[: len(ranks)]]
        n_batched = [len(o.shape) - rank for o, rank in zip(operands, ranks)]
        batch = np.broadcast_shapes(*(o.shape[:n] for o, n in zip(operands, n_batched)))
        rest = arguments[len(ranks) :]
        if not batch:
            return core(*operands, *rest, **options)
        each = [
            np.broadcast_to(o.variables, batch + o.shape[n:]) for o, n in zip(operands, n_batched)
        ]
        found = [
            core(*(o.of(array[index]) for o, array in zip(operands, each)), *rest, **options)
            for index in np.ndindex(*batch)
        ]
        if isinstance(found[0], Expression):
            return stacked(found, batch)
        return tuple(map(partial(stacked, batch=batch), zip(*found)))

    return rule


def stacked(expressions: Sequence[Expression], batch: tuple[int, ...] | None = None) -> Expression:
    """Return expressions of one shape as one, along a first dim or the dims of a batch."""
    array = np.stack([expression.variables for expression in expressions])
    return expressions[0].of(array if batch is None else array.reshape(batch + array.shape[1:]))
