"""A request: a function, the values of its arguments, and a quantity.

The user's words and values enter. A Request leaves: the function bound to a sweep, whose values are
leaves with named axes, and the derivative to compute. parsing.py reads what a user writes for a
value, and says what is wrong with it. partition.py cuts a sweep into parts; planning/ chooses how
large they are.
To add a quantity, begin with its row of `QUANTITIES` in quantities.py; then its meaning in
tracing/compose.py, its names in results/names.py and its function in api/.
Never sees a framework's tensors, a Program, an engine or a store.
"""
