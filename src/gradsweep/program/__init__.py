"""The language: straight-line scalar arithmetic, with loops, guards and constants.

Equations enter a Builder, which simplifies them; a Program leaves, and a Trace that holds it.
To add a primitive, begin in primitives.py: its row says what it computes.
Never sees where the equations come from, nor the axes that they are computed along.
"""
