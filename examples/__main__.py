"""The tour: the question in torch and in JAX, and a ladder of Greeks; printed and saved.

    python -m examples [FOLDER]

saves each result as netCDF in FOLDER, by default ./results.
"""

import importlib
import sys
from pathlib import Path

import numpy as np

import gradsweep as gs
from examples.question import sweep

__all__ = ["main"]

TANGENT = {"x0": 0.1, "x1": 0.2, "x2": 0.3, "x3": 0.4, "x4": 0.5}


def answers(framework: str):
    """Yield the answers to the question for its function in one framework, each with a title."""
    f = importlib.import_module(f"examples.question_{framework}").f
    gradient = gs.gradient(f, sweep())
    yield "gradient", f"Gradient of f along x0, from {framework}", gradient
    yield "matrix", "The same as one matrix, x0 by wrt", gs.matrix(gradient).to_dataset()
    yield "jvp", f"J v, from {framework}, without forming J", gs.jvp(f, sweep(), TANGENT)
    yield "contributions", "J * v, term by term", gs.contributions(f, sweep(), TANGENT)


def greeks():
    """Return the Greeks of a call over 101 spots and 3 volatilities."""
    from examples.black_scholes import price

    spots = np.linspace(50.0, 150.0, 101)
    ladder = gs.Sweep(S=spots, K=100.0, T=1.0, r=0.05, sigma=[0.1, 0.2, 0.3])
    return gs.gradient(price, ladder, with_value=True)


def main(folder: str = "results") -> None:
    """Print every result with its title, and save it in a folder."""
    results = Path(folder)
    results.mkdir(parents=True, exist_ok=True)
    shown = [
        (f"question_{framework}_{name}", title, dataset)
        for framework in ("torch", "jax")
        for name, title, dataset in answers(framework)
    ]
    shown.append(("black_scholes", "Price and Greeks of a call, 101 spots x 3 vols", greeks()))
    for name, title, dataset in shown:
        path = results / f"{name}.nc"
        dataset.to_netcdf(path)
        print(f"{title}\n{'-' * len(title)}\n{dataset}\nsaved in {path}\n")


if __name__ == "__main__":
    main(*sys.argv[1:2])
