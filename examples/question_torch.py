"""The question's function written with torch, and the Jacobian times a vector.

Reference: Stack Overflow, question 77361373; see `examples.question`.
"""

import torch

import gradsweep as gs
from examples.question import sweep

__all__ = ["f"]


def f(x0, x1, x2, x3, x4):
    """Return x0^2 + x1^3 + x2^4 + x3^5 + x4^6."""
    x = torch.stack([x0, x1, x2, x3, x4])
    return torch.sum(x ** torch.arange(2, 7))


def main() -> None:
    v = {"x0": 0.1, "x1": 0.2, "x2": 0.3, "x3": 0.4, "x4": 0.5}
    print("J v, the sum:")
    print(gs.jvp(f, sweep(), v))
    print()
    print("J * v, term by term:")
    print(gs.contributions(f, sweep(), v))


if __name__ == "__main__":
    main()
