"""JAX's primitives in scalars, one table in each file.

lower.py puts them together, and has the rules of control flow itself, from loops.py, nested.py and
refs.py. The variables of an equation's operands enter; those of its results leave.
Never sees control flow, nor which derivative is taken.
"""
