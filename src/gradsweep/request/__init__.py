"""What was asked: a function, the values of its arguments, and a quantity.

What the user wrote enters; a Request leaves: the function bound to a sweep, whose values are leaves
with named axes, and the derivative that is wanted of it.
Never sees a framework's tensors, a Program, an engine or a store.
"""
