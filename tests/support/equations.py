"""Equations of the sciences, and their solutions and derivatives by mpmath."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp

import gradsweep as gs


class Model(NamedTuple):
    """An equation F(y, a, b) = 0, written for any module of elementary functions.

    Attributes:
        arguments: points, each a pair (a, b), zipped.
    """

    residual: Callable[..., Any]
    start: Callable[..., Any]
    bracket: tuple[float, float] | None
    arguments: list[tuple[float, float]]


def kepler(m, E, M, e):
    return E - e * m.sin(E) - M


def weak_acid(m, pH, c, pK):
    """The charge balance of an acid of concentration c in water."""
    h = m.exp(-pH * 2.302585092994046)
    K = m.exp(-pK * 2.302585092994046)
    return h - 1e-14 / h - c * K / (K + h)


def colebrook(m, f, Re, roughness):
    inner = roughness / 3.7 + 2.51 / (Re * m.sqrt(f))
    return 1 / m.sqrt(f) + 2 * m.log(inner) / 2.302585092994046


def van_der_waals(m, V, P, T):
    """The molar volume of carbon dioxide, in cubic metres."""
    return (P + 0.3640 / V**2) * (V - 4.267e-5) - 8.314462618 * T


MODELS = {
    "kepler": Model(kepler, lambda M, e: M, (0.0, 3.2), [(0.01, 0.999), (0.5, 0.999), (3.0, 0.5)]),
    "weak acid": Model(weak_acid, lambda c, pK: 7.0, (0.0, 14.0), [(0.1, 4.75), (1e-7, 9.2)]),
    "colebrook": Model(colebrook, lambda Re, k: 0.02, None, [(1e4, 1e-2), (1e7, 1e-6)]),
    "van der Waals": Model(
        van_der_waals, lambda P, T: 8.314462618 * T / P, None, [(1e5, 300.0), (6e6, 320.0)]
    ),
}


def solved(model: Model, m: Any) -> Callable[..., Any]:
    """Return the solution as a function of the arguments, written with a module."""

    def y(a, b):
        start = model.start(a, b)
        return gs.find_root(lambda y: model.residual(m, y, a, b), start, bracket=model.bracket)

    return y


def swept(model: Model) -> gs.Sweep:
    a, b = zip(*model.arguments)
    return gs.Sweep(a=("point", list(a)), b=("point", list(b)))


def by_mpmath(model: Model, near: float, a: float, b: float) -> tuple[float, list, list]:
    """Return the solution near a number, its gradient and its Hessian, to about 15 digits.

    The derivative of F(y(p), p) = 0 once and twice, solved for those of y.
    """
    with mp.workdps(40):

        def F(*at):
            return model.residual(mp, *at)

        y = mp.findroot(lambda y: F(y, mp.mpf(a), mp.mpf(b)), mp.mpf(near))
        at = y, mp.mpf(a), mp.mpf(b)

        def D(*orders):
            return mp.diff(F, at, orders)

        first = [-D(0, 1, 0) / D(1, 0, 0), -D(0, 0, 1) / D(1, 0, 0)]
        one = [(0, 1, 0), (0, 0, 1)]

        def second(i, j):
            mixed = D(*map(sum, zip(one[i], one[j])))
            total = mixed + D(1, *one[i][1:]) * first[j] + D(1, *one[j][1:]) * first[i]
            return -(total + D(2, 0, 0) * first[i] * first[j]) / D(1, 0, 0)

        hessian = [[float(second(i, j)) for j in (0, 1)] for i in (0, 1)]
        return float(y), [float(slope) for slope in first], hessian
