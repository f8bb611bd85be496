"""The language: scalar equations, one after another, with loops, guards and constants.

Equations enter a Builder, which simplifies them by the rules of simplification.py and cases.py; a
Program leaves, and a Trace that holds it.
To add a primitive, begin with its row in primitives.py, which says what it computes in NumPy's
numbers; then the tables of engines/fused/lowering/ and interpreters/, and the rules of tracing/
that write it. It needs no derivative: the frameworks differentiate.
Never sees where the equations come from, nor the axes that they are computed along.
"""
