"""A function of one number beside a plain loop of its framework's own reverse mode.

Every engine, mode and first or second derivative has to agree with the loop at every point, dims
included: a result without the axis is repeated along it before it is compared.
"""

import contextlib
from collections.abc import Callable

import numpy as np

import gradsweep as gs
from gradsweep.errors import EngineError

POINTS = np.array([0.6, 1.3, 2.2])


def in_torch(f: Callable, points: np.ndarray = POINTS) -> np.ndarray:
    """Return rows: value, first and second derivative at each point, by torch.autograd.grad."""
    import torch

    rows = []
    for point in points:
        x = torch.tensor(point, dtype=torch.float64, requires_grad=True)
        y = f(x)
        first = _slope(y, x)
        try:
            second = float(_slope(first, x).detach())
        except (NotImplementedError, RuntimeError):  # there is no second derivative
            second = np.nan
        rows.append([float(y.detach()), float(first.detach()), second])
    return np.array(rows).T


def _slope(y, x):
    import torch

    if not y.requires_grad:
        return torch.zeros_like(x)
    (slope,) = torch.autograd.grad(y, x, create_graph=True, allow_unused=True)
    return torch.zeros_like(x) if slope is None else slope


def in_jax(f: Callable, points: np.ndarray = POINTS) -> np.ndarray:
    """Return rows: value, first and second derivative at each point, by jax.grad."""
    import jax
    import jax.numpy as jnp

    def second(x):
        try:
            return float(jax.grad(jax.grad(f))(x))
        except AttributeError:  # JAX raises it where a ref is differentiated twice
            return np.nan

    with jax.enable_x64(True):
        xs = [jnp.asarray(point) for point in points]
        return np.array([[float(f(x)), float(jax.grad(f)(x)), second(x)] for x in xs]).T


def _ways(f: Callable, second: bool, points: np.ndarray, **options: str):
    """Yield the row of the loop that a result belongs to, how it was made, and the result."""
    sweep = gs.Sweep(x=points)
    yield 1, "gradient", gs.gradient(f, sweep, **options)
    if options["framework"] == "torch":
        yield 1, "jacobian, forward", gs.jacobian(f, sweep, mode="forward", **options)
    if options["engine"] != "auto":
        return
    yield 0, "value", gs.value(f, sweep, **options)
    yield 1, "jvp", gs.jvp(f, sweep, {"x": 1.0}, **options)
    yield 1, "vjp", gs.vjp(f, sweep, 1.0, **options)
    if second:
        yield 2, "hessian", gs.hessian(f, sweep, **options)
        yield 2, "hvp", gs.hvp(f, sweep, {"x": 1.0}, **options)


def assert_as_a_loop(
    f: Callable,
    framework: str,
    second: bool = True,
    points: np.ndarray = POINTS,
    rtol: float = 1e-10,
) -> None:
    """Check every engine that can run a function, "auto" and "loop" among them."""
    expected = {"torch": in_torch, "jax": in_jax}[framework](f, points)
    own = "xla" if framework == "jax" else "torch"
    for engine in ("auto", "loop", own):
        may_refuse = contextlib.suppress(EngineError) if engine == own else None
        with may_refuse or contextlib.nullcontext():
            for row, name, dataset in _ways(f, second, points, framework=framework, engine=engine):
                (found,) = dataset.values()
                np.testing.assert_allclose(
                    np.broadcast_to(found.values, len(points)),
                    expected[row],
                    rtol=rtol,
                    atol=1e-12,
                    err_msg=f"{name} of {f.__name__} by engine {engine!r}",
                )
