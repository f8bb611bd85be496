"""The meaning of each operation of torch: a table of rules by name.

A rule takes a Call and the operation's arguments and returns an Expression for each result. A name
is an aten operation's, or one overload's ("max.dim"), which is looked up first.
"""

from gradsweep.tracing.torch.recorder.rules import algebra, distances, moves, pointwise, reductions

__all__ = ["CONSTANTS", "RULES", "UNINITIALISED", "ZEROS"]

# These create tensors that depend only on the shape of their operand.
CONSTANTS = {"ones_like", "new_ones", "full_like", "new_full"}

# These create tensors whose zeros are structural.
ZEROS = {"zeros", "zeros_like", "new_zeros", "zero", "eye"}
# Uninitialised memory is zeroed too, so that two traces are the same.
UNINITIALISED = {
    "empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided",
    "_new_zeros_with_same_feature_meta",
}  # fmt: skip

RULES = {
    **pointwise.RULES,
    **moves.RULES,
    **reductions.RULES,
    **algebra.RULES,
    **distances.RULES,
}
