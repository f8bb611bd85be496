"""A user's script, for type checkers alone: a missing error makes its ignore unused.

Run `mypy --warn-unused-ignores tests/support/typed_script.py`, and `basedpyright`.
"""

import numpy as np
import xarray

import gradsweep as gs


def f(x: float, y: float) -> float:
    return x * x + y


sweep = gs.Sweep(x=np.linspace(0.0, 1.0, 5), y=2.0)
found: xarray.Dataset = gs.gradient(f, sweep, engine="fused", mode="forward", wrt=["x"])
whole: xarray.Dataset = gs.hessian(f, sweep, framework="jax", reduce=["mean", "max"])

gs.gradient(f, sweep, engine="fuse")  # type: ignore[arg-type]
gs.gradient(f, sweep, mode="foward")  # type: ignore[arg-type]
gs.gradient(f, sweep, reduce="meen")  # type: ignore[arg-type]
gs.value(f, sweep, framework="tensorflow")  # type: ignore[arg-type]
gs.value(f, sweep, on_error="ignore")  # type: ignore[arg-type]
gs.value(f, sweep, wrt="x")  # type: ignore[call-arg]
