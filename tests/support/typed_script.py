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

gs.gradient(f, sweep, engine="fuse")  # type: ignore[call-overload]
gs.gradient(f, sweep, mode="foward")  # type: ignore[call-overload]
gs.gradient(f, sweep, reduce="meen")  # type: ignore[arg-type]
gs.value(f, sweep, framework="tensorflow")  # type: ignore[call-overload]
gs.value(f, sweep, on_error="ignore")  # type: ignore[call-overload]
gs.value(f, sweep, wrt="x")  # type: ignore[call-overload]

by_name: xarray.Dataset = gs.gradient(f, x=np.linspace(0.0, 1.0, 5), y=2.0, threads=2)
mapped: xarray.Dataset = gs.jvp(f, gs.Sweep({"x": 1.0}, y=2.0), {"x": 1.0}, mode="forward")
n_points: int = gs.plan(gs.gradient, f, sweep).axes["x"]
gs.plan(gs.hvp, f, x=1.0, y=2.0, tangent={"x": 1.0})
gs.compile("vjp", f, sweep, 1.0, threads=1)(x=2.0)
is_right: bool = gs.check(f, sweep, quantity=gs.hessian, n_points=3, threads=1).ok
winner: str | None = gs.compare(f, x=1.0, y=2.0, rivals="fused").winner
