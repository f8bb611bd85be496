"""Loops over the elements of arrays, which are found in the bodies of Loops.

Equations enter; others leave that compute the same numbers, in shorter bodies.
Never sees a framework.
"""
