"""A chain of springs whose parameters are a pytree, written with operators alone.

A spring of stiffness k and rest length l0 is l0 + F / k long under a force F, and springs in
series all carry the same force.
"""

from collections.abc import Sequence

import numpy as np

import gradsweep as gs

__all__ = ["LINKS", "length"]

# Stiffness in N/m, rest length in m.
LINKS = [
    {"stiffness": 200.0, "rest": 0.10},
    {"stiffness": 350.0, "rest": 0.15},
    {"stiffness": 500.0, "rest": 0.20},
]


def length(links: Sequence[dict[str, float]], force: float):
    """Return the length of the chain under a force.

    Args:
        links: for each spring, its stiffness in N/m and its rest length in m.
        force: the force that pulls at the ends, in N.
    """
    return sum(link["rest"] + force / link["stiffness"] for link in links)


def main() -> None:
    sweep = gs.Sweep(links=((), LINKS), force=np.linspace(0.0, 50.0, 11))
    print(gs.gradient(length, sweep, with_value=True))


if __name__ == "__main__":
    main()
