"""What JAX's primitives are in scalars: a table a file.

The variables of an equation's operands enter; those of its results leave.
Never sees control flow, nor which derivative is taken.
"""
