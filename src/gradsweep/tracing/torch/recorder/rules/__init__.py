"""The meaning of each operation of torch: a table of rules by name.

A rule takes a Call and the operation's arguments and returns an Expression for each result. A name
is an aten operation's, or one overload's ("max.dim"), which is looked up first.
"""

from typing import Literal

from gradsweep.tracing.torch.recorder.rules import algebra, distances, moves, pointwise, reductions

__all__ = ["CREATIONS", "RULES"]

# What operations create that depends only on the shape of their operand. Uninitialised memory is
# zeroed, so that two traces are the same; the zeros of both kinds are structural.
CREATIONS: dict[str, Literal["uninitialised", "zeros", "constants"]] = {
    **dict.fromkeys(("ones_like", "new_ones", "full_like", "new_full"), "constants"),
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros", "zero", "eye"), "zeros"),
    **dict.fromkeys(
        (
            "empty", "empty_like", "empty_strided", "empty_permuted", "new_empty",
            "new_empty_strided", "_new_zeros_with_same_feature_meta",
        ),
        "uninitialised",
    ),
}  # fmt: skip

RULES = {
    **pointwise.RULES,
    **moves.RULES,
    **reductions.RULES,
    **algebra.RULES,
    **distances.RULES,
}
