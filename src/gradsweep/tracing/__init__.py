"""A function at one point becomes a Program of its derivative.

A bound function, a derivative and a point enter; a Trace leaves: a Program where the operations
allow one, and the function itself in its framework's own forms.
An operation of torch that is not known is a row of a table in torch/recorder/rules/, by its name in
aten; a primitive of JAX is one of a table in jax/rules/.
Never sees a sweep's axes, an engine or a store.
"""
