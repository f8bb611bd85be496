"""The question's function written with JAX, and the plan of its gradient.

Reference: Stack Overflow, question 77361373; see `examples.question`.
"""

import jax.numpy as jnp

import gradsweep as gs
from examples.question import sweep

__all__ = ["f"]


def f(x0, x1, x2, x3, x4):
    """Return x0^2 + x1^3 + x2^4 + x3^5 + x4^6."""
    x = jnp.stack([x0, x1, x2, x3, x4])
    return jnp.sum(x ** jnp.arange(2, 7))


def main() -> None:
    plan = gs.plan(gs.gradient, f, sweep())
    print(plan)
    print()
    print(plan.run())


if __name__ == "__main__":
    main()
