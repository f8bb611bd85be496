"""A function at one point becomes a Program of its derivative.

A bound function, a derivative and a point enter; a Trace leaves: a Program where the operations
allow one, and the function itself in its framework's own forms.
Never sees a sweep's axes, an engine or a store.
"""
