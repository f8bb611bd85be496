"""NIST's Statistical Reference Datasets for nonlinear regression: 27 data sets and their models.

A name enters; observations, certified numbers and a model leave, the model written for a module of
mathematics (torch or jax.numpy). Knows nothing of gradsweep.

Source: see tests/support/data/nist_strd/README.md.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["DATA_SETS", "MODELS", "DataSet", "model", "read"]

FOLDER = Path(__file__).parent / "data" / "nist_strd"
FIRST_LINE_OF_DATA = 60


@dataclass(frozen=True)
class DataSet:
    """One data set, and the numbers that NIST certifies for it.

    Attributes:
        y: the response, shape (n_observations,), in the scale in which it is fitted.
        x: the predictor, shape (n_observations,), or (n_observations, 2) for Nelson's two.
        parameters, deviations: the certified estimates, and their standard deviations.
        starts: two starting points, the second one nearer.
        residual_deviation: sqrt(residual_sum_of_squares / degrees_of_freedom).
    """

    name: str
    y: np.ndarray
    x: np.ndarray
    parameters: np.ndarray
    deviations: np.ndarray
    starts: tuple[np.ndarray, np.ndarray]
    residual_sum_of_squares: float
    residual_deviation: float
    degrees_of_freedom: int


def read(name: str) -> DataSet:
    """Read one of NIST's files."""
    lines = (FOLDER / f"{name}.dat").read_text(encoding="ascii").splitlines()
    head = "\n".join(lines[:FIRST_LINE_OF_DATA])
    rows = re.findall(r"^\s*b\d+ =(.*)$", head, flags=re.MULTILINE)
    first, second, parameters, deviations = np.array([row.split() for row in rows], float).T
    certified = dict(re.findall(r"^(Residual .*|Degrees .*):\s+(\S+)$", head, flags=re.MULTILINE))
    y, *x = np.loadtxt(lines[FIRST_LINE_OF_DATA:]).T
    return DataSet(
        name=name,
        y=np.log(y) if name == "Nelson" else y,
        x=x[0] if len(x) == 1 else np.column_stack(x),
        parameters=parameters,
        deviations=deviations,
        starts=(first, second),
        residual_sum_of_squares=float(certified["Residual Sum of Squares"]),
        residual_deviation=float(certified["Residual Standard Deviation"]),
        degrees_of_freedom=int(certified["Degrees of Freedom"]),
    )


def _sum_of_exponentials(xp, b, x):
    return b[0] * xp.exp(-b[1] * x) + b[2] * xp.exp(-b[3] * x) + b[4] * xp.exp(-b[5] * x)


def _two_gaussians(xp, b, x):
    return (
        b[0] * xp.exp(-b[1] * x)
        + b[2] * xp.exp(-((x - b[3]) ** 2) / b[4] ** 2)
        + b[5] * xp.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    )


def _cubic_over_cubic(xp, b, x):
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (
        1 + b[4] * x + b[5] * x**2 + b[6] * x**3
    )


def _southern_oscillation(xp, b, x):
    def cycle(period, cosine, sine):
        angle = 2 * math.pi * x / period
        return cosine * xp.cos(angle) + sine * xp.sin(angle)

    return b[0] + cycle(12, b[1], b[2]) + cycle(b[3], b[4], b[5]) + cycle(b[6], b[7], b[8])


def _approach_to_saturation(xp, b, x):
    return b[0] * (1 - xp.exp(-b[1] * x))


def _damped_reciprocal(xp, b, x):
    return xp.exp(-b[0] * x) / (b[1] + b[2] * x)


# Each model as the file writes it, for a module of mathematics xp, parameters b and a predictor x.
MODELS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "Bennett5": lambda xp, b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": _approach_to_saturation,
    "Chwirut1": _damped_reciprocal,
    "Chwirut2": _damped_reciprocal,
    "DanWood": lambda xp, b, x: b[0] * x ** b[1],
    "ENSO": _southern_oscillation,
    "Eckerle4": lambda xp, b, x: b[0] / b[1] * xp.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Gauss1": _two_gaussians,
    "Gauss2": _two_gaussians,
    "Gauss3": _two_gaussians,
    "Hahn1": _cubic_over_cubic,
    "Kirby2": lambda xp, b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": _sum_of_exponentials,
    "Lanczos2": _sum_of_exponentials,
    "Lanczos3": _sum_of_exponentials,
    "MGH09": lambda xp, b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda xp, b, x: b[0] * xp.exp(b[1] / (x + b[2])),
    "MGH17": lambda xp, b, x: b[0] + b[1] * xp.exp(-x * b[3]) + b[2] * xp.exp(-x * b[4]),
    "Misra1a": _approach_to_saturation,
    "Misra1b": lambda xp, b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Misra1c": lambda xp, b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda xp, b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda xp, b, x: b[0] - b[1] * x[0] * xp.exp(-b[2] * x[1]),
    "Rat42": lambda xp, b, x: b[0] / (1 + xp.exp(b[1] - b[2] * x)),
    "Rat43": lambda xp, b, x: b[0] / (1 + xp.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda xp, b, x: b[0] - b[1] * x - xp.arctan(b[2] / (x - b[3])) / math.pi,
    "Thurber": _cubic_over_cubic,
}

DATA_SETS = tuple(sorted(path.stem for path in FOLDER.glob("*.dat")))


def model(name: str, xp: ModuleType) -> Callable[[Any, Any], Any]:
    """Return the model of a data set, of parameters b and one observation's x."""
    row = MODELS[name]

    def response(b, x):
        return row(xp, b, x)

    return response
