"""Twenty functions from textbooks, as people write them with NumPy, run as they are.

The value is that of a plain call, point by point. The derivative is a closed form, or a difference
of eighth order of the function's own values. Sources stand at each.
"""

import math

import numpy as np
import pytest
from scipy.special import erf, gamma
from scipy.stats import norm

import gradsweep as gs
from tests.support.differences import by_difference

pytestmark = pytest.mark.slow

pytest.importorskip("torch")
pytest.importorskip("jax")


def black_scholes(S, K, T, r, sigma):
    """Hull, Options, Futures, and Other Derivatives, ch. 15."""
    d1 = (np.log(S / K) + (r + 0.5 * sigma**2) * T) / (sigma * np.sqrt(T))
    d2 = d1 - sigma * np.sqrt(T)
    return S * norm.cdf(d1) - K * np.exp(-r * T) * norm.cdf(d2)


def binomial_tree(S, K, T, r, sigma):
    """Cox, Ross and Rubinstein (1979): an American put."""
    n = 16
    dt = T / n
    u = np.exp(sigma * np.sqrt(dt))
    d = 1 / u
    p = (np.exp(r * dt) - d) / (u - d)
    prices = S * u ** np.arange(n, -n - 1, -2)
    values = np.maximum(K - prices, 0)
    for _ in range(n):
        prices = prices[:-1] * d
        values = np.exp(-r * dt) * (p * values[:-1] + (1 - p) * values[1:])
        values = np.maximum(values, K - prices)
    return values[0]


def bond_price(y, coupon):
    """Fabozzi, Fixed Income Mathematics: a ten-year bond, twice a year."""
    t = np.arange(1, 21) / 2
    flows = np.full(20, 100 * coupon / 2)
    flows[-1] += 100
    return np.sum(flows * (1 + y / 2) ** (-2 * t))


def nelson_siegel(tau, b0, b1, b2, lam):
    """Nelson and Siegel (1987)."""
    x = tau / lam
    loading = (1 - np.exp(-x)) / x
    return b0 + b1 * loading + b2 * (loading - np.exp(-x))


def planck(wavelength, T):
    """Planck's law, in micrometres; Rybicki and Lightman, ch. 1."""
    h, c, k = 6.62607015e-34, 2.99792458e8, 1.380649e-23
    lam = wavelength * 1e-6
    return 2 * h * c**2 / lam**5 / np.expm1(h * c / (lam * k * T)) * 1e-12


def debye(theta, T):
    """The heat capacity of a solid by the Debye model, by the trapezoidal rule; Kittel, ch. 5."""
    x = np.linspace(1e-6, 1.0, 41) * theta / T
    integrand = x**4 * np.exp(x) / np.expm1(x) ** 2
    return 9 * (T / theta) ** 3 * np.trapezoid(integrand, x)


def van_der_waals(V, T):
    """Atkins, Physical Chemistry, ch. 1: carbon dioxide."""
    R, a, b = 0.0820574, 3.610, 0.0429
    return R * T / (V - b) - a / V**2


def antoine(T, x):
    """Raoult's law with Antoine's vapour pressures: benzene and toluene; Smith and Van Ness."""
    A = np.array([6.90565, 6.95464])
    B = np.array([1211.033, 1344.8])
    C = np.array([220.79, 219.482])
    pressures = 10 ** (A - B / (T + C))
    return np.dot(pressures, np.array([x, 1 - x]))


def michaelis_menten(S, inhibitor, Km):
    """Competitive inhibition; Cornish-Bowden, Fundamentals of Enzyme Kinetics."""
    return 2.5 * S / (Km * (1 + inhibitor / 0.3) + S)


def arrhenius_series(T, t):
    """A -> B -> C, the concentration of B; Levenspiel, ch. 8."""
    k1, k2 = 1e7 * math.exp(-6000 / T), 5e6 * math.exp(-6200 / T)
    return k1 / (k2 - k1) * (math.exp(-k1 * t) - math.exp(-k2 * t))


def logistic_growth(r, K):
    """The logistic equation by Runge's and Kutta's fourth order; Strogatz, ch. 2."""
    t = np.linspace(0, 4, 21)
    y = np.zeros_like(t)
    y[0] = 0.1

    def rate(v):
        return r * v * (1 - v / K)

    for i in range(len(t) - 1):
        h = t[i + 1] - t[i]
        k1 = rate(y[i])
        k2 = rate(y[i] + h / 2 * k1)
        k3 = rate(y[i] + h / 2 * k2)
        k4 = rate(y[i] + h * k3)
        y[i + 1] = y[i] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y[-1]


def lotka_volterra(alpha, beta):
    """Predator and prey by the midpoint rule, in an array of two columns; Murray, ch. 3."""
    n, h = 60, 0.05
    state = np.empty((n + 1, 2))
    state[0] = [1.0, 0.5]

    def rate(s):
        x, y = s
        return np.array([alpha * x - beta * x * y, 0.8 * x * y - y])

    for i in range(n):
        half = state[i] + h / 2 * rate(state[i])
        state[i + 1] = state[i] + h * rate(half)
    return np.mean(state[:, 0]) + state[-1, 1]


def second_order_step(zeta, omega):
    """The overshoot of a step response; Franklin, Powell and Emami-Naeini, ch. 3."""
    t = np.linspace(0.1, 3, 30)
    wd = omega * np.sqrt(1 - zeta**2)
    y = 1 - np.exp(-zeta * omega * t) * (
        np.cos(wd * t) + zeta / np.sqrt(1 - zeta**2) * np.sin(wd * t)
    )
    return np.max(y)


def two_link_arm(q1, q2):
    """Craig, Introduction to Robotics, ch. 3: homogeneous transforms."""

    def transform(angle, length):
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s, length * c], [s, c, length * s], [0, 0, 1]])

    tip = transform(q1, 1.0) @ transform(q2, 0.7)
    return np.linalg.norm(tip[:2, 2] - np.array([1.0, 1.0]))


def truss(E, P):
    """The end of a chain of three bars, by stiffness matrices; Logan, ch. 3."""
    areas, lengths = [4e-4, 3e-4, 2e-4], [1.0, 1.5, 2.0]
    K = np.zeros((4, 4))
    for i, (A, L) in enumerate(zip(areas, lengths)):
        k = E * A / L
        K[i : i + 2, i : i + 2] += k * np.array([[1, -1], [-1, 1]])
    load = np.zeros(3)
    load[-1] = P
    return np.linalg.solve(K[1:, 1:], load)[-1]


def normal_log_likelihood(mu, sigma):
    """Casella and Berger, Statistical Inference, ch. 7."""
    data = np.array([4.1, 5.2, 3.8, 6.0, 4.9])
    return np.sum(-0.5 * np.log(2 * np.pi * sigma**2) - (data - mu) ** 2 / (2 * sigma**2))


def gamma_density(x, k, theta):
    """The gamma distribution; Casella and Berger, ch. 3."""
    return x ** (k - 1) * np.exp(-x / theta) / (gamma(k) * theta**k)


def logistic_regression(w0, w1):
    """The cross entropy of a logistic regression; Bishop, ch. 4."""
    X = np.array([[1.0, 0.5], [1.0, -1.2], [1.0, 2.0], [1.0, 0.1]])
    y = np.array([1, 0, 1, 0])
    p = 1 / (1 + np.exp(-X @ np.array([w0, w1])))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def lennard_jones(eps, sigma):
    """The energy of four atoms, pair by pair; Allen and Tildesley, ch. 1."""
    r = np.array([[0, 0, 0], [1.1, 0, 0], [0, 1.2, 0.1], [0.4, 0.5, 1.0]])
    energy = 0.0
    for i in range(4):
        for j in range(i + 1, 4):
            d = np.linalg.norm(r[i] - r[j])
            energy += 4 * eps * ((sigma / d) ** 12 - (sigma / d) ** 6)
    return energy


def plume(Q, x):
    """Gaussian plume at ground level, and diffusion into a slab; Seinfeld and Pandis, Crank."""
    sy, sz = 0.08 * x / np.sqrt(1 + 1e-4 * x), 0.06 * x / np.sqrt(1 + 1.5e-3 * x)
    ground = Q / (2 * np.pi * 5.0 * sy * sz) * 2 * np.exp(-(50.0**2) / (2 * sz**2))
    return ground + 1e-3 * (1 - erf(x / (2 * np.sqrt(1e5))))


# By function: a point, and an argument with some values to sweep.
CASES = {
    black_scholes: ({"S": 100.0, "K": 95.0, "T": 1.0, "r": 0.03}, "sigma", [0.15, 0.2, 0.4]),
    binomial_tree: ({"K": 100.0, "T": 1.0, "r": 0.05, "sigma": 0.25}, "S", [81.0, 97.3, 123.0]),
    bond_price: ({"coupon": 0.04}, "y", [0.02, 0.05, 0.09]),
    nelson_siegel: ({"b0": 0.04, "b1": -0.02, "b2": 0.01, "lam": 1.7}, "tau", [0.5, 2.0, 9.0]),
    planck: ({"T": 5800.0}, "wavelength", [0.4, 0.7, 2.5]),
    debye: ({"theta": 428.0}, "T", [60.0, 150.0, 300.0]),
    van_der_waals: ({"T": 310.0}, "V", [0.2, 0.5, 2.0]),
    antoine: ({"x": 0.4}, "T", [60.0, 80.0, 100.0]),
    michaelis_menten: ({"inhibitor": 0.2, "Km": 0.7}, "S", [0.1, 1.0, 5.0]),
    arrhenius_series: ({"t": 3.0}, "T", [380.0, 400.0, 430.0]),
    logistic_growth: ({"K": 1.3}, "r", [0.5, 1.0, 2.0]),
    lotka_volterra: ({"beta": 0.9}, "alpha", [0.7, 1.0, 1.4]),
    second_order_step: ({"omega": 3.0}, "zeta", [0.2, 0.4, 0.6]),
    two_link_arm: ({"q2": 0.8}, "q1", [-0.4, 0.3, 1.1]),
    truss: ({"P": 2e4}, "E", [7e10, 1.1e11, 2.1e11]),
    normal_log_likelihood: ({"mu": 4.5}, "sigma", [0.6, 1.0, 2.0]),
    gamma_density: ({"x": 2.5, "theta": 1.3}, "k", [0.8, 2.0, 4.5]),
    logistic_regression: ({"w0": -0.2}, "w1", [-1.0, 0.4, 2.0]),
    lennard_jones: ({"eps": 0.9}, "sigma", [0.8, 1.0, 1.1]),
    plume: ({"Q": 80.0}, "x", [300.0, 600.0, 1500.0]),
}

# The derivatives that textbooks give too, along the argument that is swept.
CLOSED = {
    black_scholes: lambda sigma: 100.0 * norm.pdf((np.log(100 / 95) + 0.03 + sigma**2 / 2) / sigma),
    van_der_waals: lambda V: -0.0820574 * 310 / (V - 0.0429) ** 2 + 2 * 3.610 / V**3,
    michaelis_menten: lambda S: 2.5 * 0.7 * (5 / 3) / (0.7 * (5 / 3) + S) ** 2,
    truss: lambda E: -2e4 * (1 / 4e-4 + 1.5 / 3e-4 + 2 / 2e-4) / E**2,
    normal_log_likelihood: lambda sigma: -5 / sigma + 3.55 / sigma**3,
}


def test_there_are_twenty():
    assert len(CASES) == 20


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_a_textbook_function_runs_as_it_is(f, framework):
    fixed, name, values = CASES[f]
    values = np.array(values)
    sweep = gs.Sweep(**fixed, **{name: values})
    found = gs.gradient(f, sweep, wrt=name, with_value=True, framework=framework)

    def plain(value):
        return float(f(**fixed, **{name: value}))

    np.testing.assert_allclose(found[f.__name__], [plain(v) for v in values], rtol=1e-13)
    derivative = found[f"d{f.__name__}_d{name}"]
    assert derivative.dims == (name,)
    step = 1e-6 if f is binomial_tree else 2e-3  # its kinks lie near
    wanted = [by_difference(plain, v, step * abs(v)) for v in values]
    np.testing.assert_allclose(derivative, wanted, rtol=2e-8)
    if f in CLOSED:
        np.testing.assert_allclose(derivative, CLOSED[f](values), rtol=1e-12)


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_it_is_a_program_and_its_second_derivatives_are_those_of_the_first(f):
    fixed, name, values = CASES[f]
    sweep = gs.Sweep(**fixed, **{name: np.array(values)})
    plan = gs.plan(gs.hessian, f, sweep, wrt=name)
    assert plan.engine == "fused", str(plan)
    found = plan.run()[f"d2{f.__name__}_d{name}_d{name}"]

    def first(value):
        one = gs.Sweep(**fixed, **{name: value})
        return gs.gradient(f, one, wrt=name, framework="jax")[f"d{f.__name__}_d{name}"].item()

    if f not in (binomial_tree, second_order_step):  # kinks lie near
        wanted = [by_difference(first, v, 2e-3 * abs(v)) for v in values]
        np.testing.assert_allclose(found, wanted, rtol=2e-7, atol=1e-9 * np.abs(wanted).max())
