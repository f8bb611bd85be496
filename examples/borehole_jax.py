"""The borehole function, in JAX, and its curvature in the two arguments that matter most.

The formula and its source are those of `examples.borehole`.
"""

import jax.numpy as jnp
import numpy as np

import gradsweep as gs
from examples.borehole_ranges import RANGES

__all__ = ["flow"]


def flow(rw, r, Tu, Hu, Tl, Hl, L, Kw):
    """Return the flow through the borehole; the arguments are those of examples.borehole."""
    log_ratio = jnp.log(r / rw)
    resistance = 1 + 2 * L * Tu / (log_ratio * rw**2 * Kw) + Tu / Tl
    return 2 * jnp.pi * Tu * (Hu - Hl) / (log_ratio * resistance)


def main() -> None:
    middle = {name: (low + high) / 2 for name, (low, high) in RANGES.items()}
    sweep = gs.Sweep(**middle).replace(
        rw=np.linspace(*RANGES["rw"], 11), Hl=np.linspace(*RANGES["Hl"], 5)
    )
    print(gs.hessian(flow, sweep, wrt=["rw", "Hl"]))


if __name__ == "__main__":
    main()
