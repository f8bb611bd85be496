"""JAX's primitives in scalars, one table in each file.

The variables of an equation's operands enter; those of its results leave.
Never sees control flow, nor which derivative is taken.
"""
