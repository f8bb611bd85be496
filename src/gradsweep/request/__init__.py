"""What was asked: a function, the values of its arguments, and a quantity.

What the user wrote enters; a Request leaves: the function bound to a sweep, whose values are leaves
with named axes, and the derivative that is wanted of it. A sweep is cut into parts here
(partition.py), as geometry alone; planning/ says how large they are.
To add a quantity, begin with its row of `QUANTITIES` in quantities.py; then its meaning in
tracing/compose.py, its names in results/names.py and its function in api.py.
Never sees a framework's tensors, a Program, an engine or a store.
"""
