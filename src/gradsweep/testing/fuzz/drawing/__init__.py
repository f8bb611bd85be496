"""Draw a random function from a grammar.

Choices enter; a DrawnFunction and the values of its arguments leave. A row of a table in torch/,
jax/ or numpy/ is one thing that a function may do.
A feature is a row of features.py; tables are listed by it.
Never sees gradsweep's quantities, nor what a derivative should be.
"""
