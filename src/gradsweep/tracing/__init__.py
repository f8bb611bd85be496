"""A function at one point becomes a Program of its derivative.

A bound function, a derivative and a point enter; a Trace leaves: a Program where the operations
allow one, and the derivative in its framework's own operations.
To add an operation of torch, add a row to a table in torch/recorder/rules/, by its name in aten;
for a primitive of JAX, add one to a table in jax/rules/.
Never sees a sweep's axes, an engine or a store.
"""
