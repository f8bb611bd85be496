"""The NumPy dialect: a function written with NumPy, math or scipy.special, run on a framework.

A bound function enters; one that calls it on `Array`s leaves, which the frontends of torch and JAX
trace like any other. `dialect` wraps the arguments and unwraps the results; `array` is what the
function gets in place of NumPy's arrays, over `memory`, which writes and views share; `call`
finds the row of a NumPy function in the tables of operations/, over what a `library` offers; `code`
runs the function's own code, for what asks no array, such as np.zeros and math.exp.
Never sees a sweep's axes, a Program or an engine.
"""

from gradsweep.tracing.numpy.dialect import in_dialect

__all__ = ["in_dialect"]
