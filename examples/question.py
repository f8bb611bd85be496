"""The question that gradsweep answers, for a function written with operators alone.

f: R^5 -> R; its gradient for every value of x0 in a range, the others held at 1. Operators mean
the same in torch, in JAX and in NumPy, so any framework that is installed can trace it.

Reference: Stack Overflow, question 77361373. It prints (1, 2, 3, 4, 5) as the gradient at
(1, 1, 1, 1, 1); the true value is (2, 3, 4, 5, 6).
"""

import numpy as np

import gradsweep as gs

__all__ = ["f", "sweep"]


def f(x0, x1, x2, x3, x4):
    """Return x0^2 + x1^3 + x2^4 + x3^5 + x4^6."""
    return x0**2 + x1**3 + x2**4 + x3**5 + x4**6


def sweep() -> gs.Sweep:
    """Return the question's points: x0 = 1, 2, ..., 9 and the others 1."""
    return gs.Sweep(x0=np.arange(1.0, 10.0), x1=1.0, x2=1.0, x3=1.0, x4=1.0)


def main() -> None:
    gradient = gs.gradient(f, sweep())
    print(gradient)
    print()
    print("As one 9 x 5 matrix:")
    print(gs.matrix(gradient).values)


if __name__ == "__main__":
    main()
