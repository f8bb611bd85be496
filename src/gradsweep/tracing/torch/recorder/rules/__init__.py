"""What each operation of torch means: a table from its name to a rule.

A rule takes a Call and the operation's arguments and returns an Expression for each result. A name
is that of an aten operation, or of one overload ("max.dim"), which is asked for first.
"""

from gradsweep.tracing.torch.recorder.rules import algebra, distances, moves, pointwise, reductions

__all__ = ["CONSTANTS", "RULES", "UNINITIALISED", "ZEROS"]

# What these create depends on the shape of their operand alone.
CONSTANTS = {"ones_like", "new_ones", "full_like", "new_full"}

# What these create holds zeros that stand for nothing: structural ones.
ZEROS = {"zeros", "zeros_like", "new_zeros", "zero", "eye"}
# Memory without values is zeroed too, so that a trace is the same twice.
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
