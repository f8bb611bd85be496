"""The end of a Lotka-Volterra trajectory, written with operators alone, and its numbers.

    x' = alpha x - beta x y,   y' = delta x y - gamma y

from (x0, 5) over 10 units of time, by 200 steps of the classical Runge-Kutta method. The Python
loop unrolls: a tracer sees all 200 steps.

Reference: Lotka (1925), Elements of Physical Biology, chapter 8.
"""

__all__ = ["N_STEPS", "Y0", "lotka_volterra", "rates", "runge_kutta_step"]

N_STEPS = 200
Y0 = 5.0
_STEP = 10.0 / N_STEPS


def lotka_volterra(alpha, beta, delta, gamma, x0):
    """Return the number of prey at the end, from x0 of them at the start."""
    x, y = x0, x0 * 0.0 + Y0
    for _ in range(N_STEPS):
        x, y = runge_kutta_step(alpha, beta, delta, gamma, x, y)
    return x


def rates(alpha, beta, delta, gamma, x, y):
    """Return x' and y'."""
    return alpha * x - beta * x * y, delta * x * y - gamma * y


def runge_kutta_step(alpha, beta, delta, gamma, x, y):
    """Return x and y one step later."""
    parameters = alpha, beta, delta, gamma
    h = _STEP
    k1, m1 = rates(*parameters, x, y)
    k2, m2 = rates(*parameters, x + h / 2 * k1, y + h / 2 * m1)
    k3, m3 = rates(*parameters, x + h / 2 * k2, y + h / 2 * m2)
    k4, m4 = rates(*parameters, x + h * k3, y + h * m3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), y + h / 6 * (m1 + 2 * m2 + 2 * m3 + m4)
