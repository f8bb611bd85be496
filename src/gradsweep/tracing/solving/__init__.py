"""Equations that are solved inside a function; derivatives are those of the implicit function.

A residual and a start enter; the solution leaves, as numbers of the framework that they are written
in. `equations` holds what users call, `newton` and `bracketed` the searches, in the numbers of any
system; `solved` in the folder of each framework runs a search there and gives the solution its
derivatives, and `plain` does so with NumPy's numbers, outside a sweep.

Never sees a sweep, a Program or an engine.
"""
