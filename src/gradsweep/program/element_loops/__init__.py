"""Loops that are joined, and loops over the elements of arrays that are found in bodies of Loops.

Programs and equations enter; others leave that compute the same numbers, in fewer equations.
Never sees a framework.
"""
