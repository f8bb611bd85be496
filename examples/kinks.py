"""Derivatives where there is none: what torch and JAX answer at 29 kinks.

`python -m examples.kinks` prints the table of docs/kinks.md. gradsweep differentiates with the
framework's own rules, so its answer is that of the framework the function is written in.
"""

from collections.abc import Callable
from typing import NamedTuple


class Kink(NamedTuple):
    """A function of one number, in both frameworks, and where it has a kink."""

    name: str
    at: float
    torch: Callable
    jax: Callable


def kinks() -> list[Kink]:
    """Return the 29 functions. Both frameworks must be installed."""
    import jax
    import jax.numpy as jnp
    import torch

    def both(name: str, at: float, function: Callable) -> Kink:
        return Kink(name, at, lambda x: function(torch, x), lambda x: function(jnp, x))

    return [
        both("abs(x)", 0.0, lambda xp, x: xp.abs(x)),
        both("sign(x)", 0.0, lambda xp, x: xp.sign(x)),
        both("floor(x)", 1.0, lambda xp, x: xp.floor(x)),
        both("ceil(x)", 1.0, lambda xp, x: xp.ceil(x)),
        both("round(x)", 0.5, lambda xp, x: xp.round(x)),
        both("sqrt(x)", 0.0, lambda xp, x: xp.sqrt(x)),
        both("x**0.5", 0.0, lambda xp, x: x**0.5),
        both("x**1.5", 0.0, lambda xp, x: x**1.5),
        both("x**0", 0.0, lambda xp, x: x**0),
        both("0.0**x", 0.0, lambda xp, x: (0.0 * x) ** x),
        both("log(x)", 0.0, lambda xp, x: xp.log(x)),
        both("x*log(x)", 0.0, lambda xp, x: x * xp.log(x)),
        both("arccos(x)", 1.0, lambda xp, x: xp.arccos(x)),
        both("arctan2(x, x)", 0.0, lambda xp, x: xp.arctan2(x, x)),
        both("hypot(x, 0)", 0.0, lambda xp, x: xp.hypot(x, 0.0 * x)),
        both("maximum(x, 0)", 0.0, lambda xp, x: xp.maximum(x, 0.0 * x)),
        both("minimum(x, 0)", 0.0, lambda xp, x: xp.minimum(x, 0.0 * x)),
        both("maximum(x, x)", 1.0, lambda xp, x: xp.maximum(x, x)),
        both("clip(x, 0, 1)", 0.0, lambda xp, x: xp.clip(x, 0.0, 1.0)),
        both("clip(x, 0, 1) ", 1.0, lambda xp, x: xp.clip(x, 0.0, 1.0)),
        both("where(x > 0, x, 0)", 0.0, lambda xp, x: xp.where(x > 0, x, 0.0 * x)),
        both("where(x > 0, sqrt(x), 0)", 0.0, lambda xp, x: xp.where(x > 0, xp.sqrt(x), 0.0 * x)),
        Kink("relu(x)", 0.0, torch.nn.functional.relu, jax.nn.relu),
        Kink("leaky_relu(x)", 0.0, torch.nn.functional.leaky_relu, jax.nn.leaky_relu),
        Kink("relu6(x)", 6.0, torch.nn.functional.relu6, jax.nn.relu6),
        Kink("hard_tanh(x)", 1.0, torch.nn.functional.hardtanh, jax.nn.hard_tanh),
        Kink(
            "norm([x, 0])",
            0.0,
            lambda x: torch.linalg.norm(torch.stack([x, 0.0 * x])),
            lambda x: jnp.linalg.norm(jnp.stack([x, 0.0 * x])),
        ),
        Kink(
            "max([x, 2x - 1])",
            1.0,
            lambda x: torch.amax(torch.stack([x, 2 * x - 1]), 0),
            lambda x: jnp.max(jnp.stack([x, 2 * x - 1])),
        ),
        Kink("sinc(x)", 0.0, torch.sinc, jnp.sinc),
    ]


def own_derivatives(kink: Kink) -> tuple[float, float]:
    """Return what torch's and JAX's own gradient say, in double precision."""
    import jax
    import torch

    x = torch.tensor(kink.at, dtype=torch.float64, requires_grad=True)
    (by_torch,) = torch.autograd.grad(kink.torch(x), x, allow_unused=True, materialize_grads=True)
    with jax.enable_x64(True):
        by_jax = jax.grad(kink.jax)(kink.at)
    return float(by_torch), float(by_jax)


def table() -> str:
    """Return the table in Markdown, the rows that differ marked."""
    rows = ["| f(x) | x | torch | JAX | |", "|---|---|---|---|---|"]
    for kink in kinks():
        by_torch, by_jax = own_derivatives(kink)
        same = by_torch == by_jax or (by_torch != by_torch and by_jax != by_jax)
        cells = [f"`{kink.name.strip()}`", f"{kink.at:g}", f"{by_torch:g}", f"{by_jax:g}"]
        rows.append(f"| {' | '.join(cells)} | {'' if same else 'differ'} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
