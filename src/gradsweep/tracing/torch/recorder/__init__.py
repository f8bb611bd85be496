"""The operations that torch dispatches, recorded as equations of a Builder.

Operations on recorded tensors enter, one by one; variables of a Program leave. A rule for an
operation is a row of a table in rules/.
Never sees which derivative is taken.
"""
