"""Each function of NumPy, math and scipy.special: its value and its derivative.

The value is NumPy's own. The derivative is mpmath's, and for functions of arrays a difference of
eighth order of NumPy's own values.
"""

import math

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.special
from numpy.polynomial import chebyshev, hermite, hermite_e, laguerre, legendre, polynomial
from scipy.stats import norm

import gradsweep as gs
from gradsweep.tracing.numpy.operations import table
from tests.support.differences import by_difference

FRAMEWORKS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("jax", marks=pytest.mark.jax),
]

mp = mpmath.mp


def mp_ndtr(x):
    return mp.ncdf(x)


# By what is written: the function, mpmath's, and an interval.
NUMBERS = {
    "add": (lambda x: np.add(x, 2) + (1.5 + x), lambda x: 2 * x + 3.5, -2, 2),
    "subtract": (lambda x: np.subtract(2.0, x) - x, lambda x: 2 - 2 * x, -2, 2),
    "multiply": (lambda x: np.multiply(x, x) * 3, lambda x: 3 * x * x, -2, 2),
    "divide": (lambda x: np.divide(1.0, x) / 3, lambda x: 1 / (3 * x), 0.3, 2),
    "reciprocal": (lambda x: np.reciprocal(x), lambda x: 1 / x, 0.3, 2),
    "power": (lambda x: np.power(x, 2.5) + x**3, lambda x: x ** mp.mpf(2.5) + x**3, 0.2, 3),
    "power of": (lambda x: np.power(2.0, x) + 3**x, lambda x: 2**x + 3**x, -2, 3),
    "float_power": (lambda x: np.float_power(x, 3), lambda x: x**3, 0.2, 3),
    "square": (lambda x: np.square(x), lambda x: x * x, -2, 2),
    "negative": (lambda x: np.negative(x) + np.positive(x) * 2, lambda x: x, -2, 2),
    "exp": (lambda x: np.exp(-x), lambda x: mp.exp(-x), -3, 3),
    "exp2": (lambda x: np.exp2(x), lambda x: mp.mpf(2) ** x, -3, 3),
    "expm1": (lambda x: np.expm1(x), mp.expm1, -1, 1),
    "log": (lambda x: np.log(x), mp.log, 0.1, 9),
    "log1p": (lambda x: np.log1p(x), mp.log1p, -0.5, 1),
    "log2": (lambda x: np.log2(x), lambda x: mp.log(x, 2), 0.1, 9),
    "log10": (lambda x: np.log10(x), lambda x: mp.log(x, 10), 0.1, 9),
    "sqrt": (lambda x: np.sqrt(x), mp.sqrt, 0.1, 9),
    "cbrt": (lambda x: np.cbrt(x), lambda x: mp.sign(x) * mp.cbrt(abs(x)), -9, 9),
    "abs": (lambda x: np.abs(x) + abs(x) + np.fabs(x), lambda x: 3 * abs(x), -2, 2),
    "sign": (lambda x: np.sign(x) * x**2, lambda x: mp.sign(x) * x**2, -2, 2),
    "copysign": (lambda x: np.copysign(x * x, x), lambda x: mp.sign(x) * x**2, -2, 2),
    "hypot": (lambda x: np.hypot(x, 0.5), lambda x: mp.hypot(x, 0.5), -2, 2),
    "sin": (lambda x: np.sin(x), mp.sin, -6, 6),
    "cos": (lambda x: np.cos(x), mp.cos, -6, 6),
    "tan": (lambda x: np.tan(x), mp.tan, -1.4, 1.4),
    "arcsin": (lambda x: np.arcsin(x), mp.asin, -0.9, 0.9),
    "arccos": (lambda x: np.arccos(x), mp.acos, -0.9, 0.9),
    "arctan": (lambda x: np.arctan(x), mp.atan, -5, 5),
    "arctan2": (lambda x: np.arctan2(x, -0.4), lambda x: mp.atan2(x, -0.4), 0.1, 5),
    "sinh": (lambda x: np.sinh(x), mp.sinh, -3, 3),
    "cosh": (lambda x: np.cosh(x), mp.cosh, -3, 3),
    "tanh": (lambda x: np.tanh(x), mp.tanh, -3, 3),
    "arcsinh": (lambda x: np.arcsinh(x), mp.asinh, -3, 3),
    "arccosh": (lambda x: np.arccosh(x), mp.acosh, 1.2, 5),
    "arctanh": (lambda x: np.arctanh(x), mp.atanh, -0.9, 0.9),
    "angles": (
        lambda x: np.deg2rad(x) + np.rad2deg(x) + np.radians(x) + np.degrees(x),
        lambda x: 2 * (mp.pi / 180 + 180 / mp.pi) * x,
        -2,
        2,
    ),
    "sinc": (lambda x: np.sinc(x), lambda x: mp.sincpi(x), 0.1, 3),
    "logaddexp": (lambda x: np.logaddexp(x, 0.3), lambda x: mp.log(mp.exp(x) + mp.exp(0.3)), -3, 3),
    "logaddexp2": (lambda x: np.logaddexp2(x, 0.3), lambda x: mp.log(2**x + 2**0.3, 2), -3, 3),
    "maximum": (lambda x: np.maximum(x, 0.31) + np.fmax(x, 9), lambda x: max(x, 0.31) + 9, -2, 2),
    "minimum": (lambda x: np.minimum(x, 0.31) - np.fmin(x, -9), lambda x: min(x, 0.31) + 9, -2, 2),
    "clip": (lambda x: np.clip(x, -0.7, 0.9) + np.clip(x, None, 0.9), None, -2, 2),
    "floor": (lambda x: np.floor(x) * x + np.ceil(x) + np.trunc(x) * x, None, -3.3, 3.3),
    "rint": (lambda x: np.rint(x) * x + np.round(x), None, -3.3, 3.3),
    "mod": (lambda x: np.mod(x, 0.7) + x % 0.9, None, -3, 3),
    "fmod": (lambda x: np.fmod(x, 0.7), None, -3, 3),
    "floor_divide": (lambda x: x * (np.positive(x) // 0.7), None, -3, 3),
    "divmod": (lambda x: divmod(x, 0.7)[0] * x + np.divmod(x, 0.7)[1], None, -3, 3),
    "modf": (lambda x: np.modf(x)[0] * np.modf(x)[1], None, 0.1, 3),
    "heaviside": (lambda x: np.heaviside(x, 0.5) * x**2, None, -2, 2),
    "where": (lambda x: np.where(x > 0.1, x**2, np.sin(x)), None, -2, 2),
    "select": (lambda x: np.select([x < -1, x < 1], [x**2, x**3], np.sin(x)), None, -3, 3),
    "piecewise": (
        lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda u: -u, lambda u: u**3]),
        None,
        -2,
        2,
    ),
    "logic": (
        lambda x: np.where(np.logical_and(x > 0, ~(x > 1)) | (x < -1), x**2, -x),
        None,
        -2,
        2,
    ),
    "isfinite": (lambda x: np.where(np.isfinite(x) & ~np.isnan(x), x**2, 0.0), None, -2, 2),
    "nan_to_num": (lambda x: np.nan_to_num(x) ** 2, None, -2, 2),
    "math": (
        lambda x: math.exp(x) * math.sin(x) + math.log(x, 3) + math.pow(x, 1.5) + math.log2(x),
        lambda x: mp.exp(x) * mp.sin(x) + mp.log(x, 3) + x ** mp.mpf(1.5) + mp.log(x, 2),
        0.2,
        3,
    ),
    "math inverses": (
        lambda x: math.asin(x) + math.acos(x) + math.atan(x) + math.atan2(x, 2) + math.atanh(x),
        lambda x: mp.asin(x) + mp.acos(x) + mp.atan(x) + mp.atan2(x, 2) + mp.atanh(x),
        -0.9,
        0.9,
    ),
    "math roots": (
        lambda x: math.sqrt(x) + math.cbrt(x) + math.hypot(x, 2, 1) + math.log1p(x),
        lambda x: mp.sqrt(x) + mp.cbrt(x) + mp.sqrt(x**2 + 5) + mp.log1p(x),
        0.2,
        3,
    ),
    "math sums": (
        lambda x: math.fsum([x, x**2, 1.0]) + math.prod([x, 2, x]) + math.dist([x, 1], [0, x]),
        lambda x: x + x**2 + 1 + 2 * x * x + mp.sqrt(x**2 + (1 - x) ** 2),
        0.2,
        3,
    ),
    "math rounding": (
        lambda x: x * (math.floor(x) + math.ceil(x) + math.trunc(x)),
        None,
        -3.3,
        3.3,
    ),
    "math special": (
        lambda x: math.erf(x) + math.erfc(x) * 2 + math.lgamma(x),
        lambda x: mp.erf(x) + mp.erfc(x) * 2 + mp.loggamma(x),
        0.2,
        3,
    ),
    "erf": (
        lambda x: scipy.special.erf(x) - scipy.special.erfc(x),
        lambda x: 2 * mp.erf(x) - 1,
        -2,
        2,
    ),
    "erfinv": (lambda x: scipy.special.erfinv(x), mp.erfinv, -0.9, 0.9),
    "erfcx": (lambda x: scipy.special.erfcx(x), lambda x: mp.exp(x * x) * mp.erfc(x), -2, 2),
    "ndtr": (lambda x: scipy.special.ndtr(x), mp_ndtr, -3, 3),
    "ndtri": (
        lambda x: scipy.special.ndtri(x),
        lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1),
        0.1,
        0.9,
    ),
    "log_ndtr": (lambda x: scipy.special.log_ndtr(x), lambda x: mp.log(mp.ncdf(x)), -3, 3),
    "gammaln": (lambda x: scipy.special.gammaln(x), mp.loggamma, 0.2, 5),
    "digamma": (
        lambda x: scipy.special.digamma(x) + scipy.special.psi(x),
        lambda x: 2 * mp.psi(0, x),
        0.5,
        5,
    ),
    "expit": (lambda x: scipy.special.expit(x), lambda x: 1 / (1 + mp.exp(-x)), -3, 3),
    "logit": (lambda x: scipy.special.logit(x), lambda x: mp.log(x / (1 - x)), 0.1, 0.9),
    "entr": (lambda x: scipy.special.entr(x), lambda x: -x * mp.log(x), 0.1, 2),
    "xlogy": (lambda x: scipy.special.xlogy(x, x), lambda x: x * mp.log(x), 0.1, 2),
    "xlog1py": (lambda x: scipy.special.xlog1py(x, x), lambda x: x * mp.log1p(x), 0.1, 2),
    "i0": (lambda x: scipy.special.i0(x), lambda x: mp.besseli(0, x), 0.1, 4),
    "i1": (lambda x: scipy.special.i1(x), lambda x: mp.besseli(1, x), 0.1, 4),
    "i0e": (lambda x: scipy.special.i0e(x), lambda x: mp.besseli(0, x) * mp.exp(-x), 0.1, 4),
    "i1e": (lambda x: scipy.special.i1e(x), lambda x: mp.besseli(1, x) * mp.exp(-x), 0.1, 4),
    "betaln": (lambda x: scipy.special.betaln(x, 1.5), lambda x: mp.log(mp.beta(x, 1.5)), 0.2, 5),
    "betaln of large numbers": (
        lambda x: scipy.special.betaln(x, 1.5) + scipy.special.betaln(2e5, x),
        lambda x: (
            mp.loggamma(x)
            + mp.loggamma(1.5)
            - mp.loggamma(x + 1.5)
            + mp.loggamma(2e5)
            + mp.loggamma(x)
            - mp.loggamma(x + 2e5)
        ),
        200,
        1e6,
    ),
    "beta of large numbers": (
        lambda x: scipy.special.beta(x, 1.5) * 1e4,
        lambda x: mp.beta(x, 1.5) * 1e4,
        40,
        400,
    ),
    "beta": (lambda x: scipy.special.beta(x, 1.5), lambda x: mp.beta(x, 1.5), 0.2, 5),
    "exp10": (lambda x: scipy.special.exp10(x), lambda x: mp.mpf(10) ** x, -1, 1),
    "gamma": (lambda x: scipy.special.gamma(x), mp.gamma, 0.2, 25),
    "gamma below 0": (lambda x: math.gamma(x), mp.gamma, -2.8, -2.2),
    "gamma that is large": (lambda x: scipy.special.gamma(x), mp.gamma, 100, 171),
    "norm.cdf": (
        lambda x: norm.cdf(x) + norm.sf(x, 1, 2),
        lambda x: mp.ncdf(x) + mp.ncdf((1 - x) / 2),
        -3,
        3,
    ),
    "norm.pdf": (lambda x: norm.pdf(x, 0.3, scale=2.0), lambda x: mp.npdf(x, 0.3, 2), -3, 3),
    "norm.ppf": (lambda x: norm.ppf(x), lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1), 0.1, 0.9),
    "norm.logpdf": (
        lambda x: norm.logpdf(x) + norm.logcdf(x),
        lambda x: mp.log(mp.npdf(x)) + mp.log(mp.ncdf(x)),
        -2,
        2,
    ),
}

# Rows whose last digits are the frameworks' own, or cost more than a few roundings.
LOOSE = {"erfinv": 2e-14, "ndtri": 2e-14, "norm.ppf": 2e-14, "gamma": 2e-14, "beta": 4e-14}
LOOSE |= {
    "gamma below 0": 2e-14,
    "gamma that is large": 2e-14,
    "betaln": 4e-14,
    "beta of large numbers": 2e-12,
    "betaln of large numbers": 4e-14,
    "logit": 1e-14,
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", NUMBERS)
def test_functions_of_a_number_have_numpys_value_and_the_true_derivative(name, framework):
    f, exact, low, high = NUMBERS[name]
    x = np.random.default_rng(7).uniform(low, high, 17)
    found = gs.gradient(f, gs.Sweep(x=x), with_value=True, framework=framework)
    expected = np.array([float(f(point)) for point in x])
    tolerance = LOOSE.get(name, 4e-15)
    scale = np.abs(expected) + (np.abs(expected).max() if exact is None else 0.25)
    assert np.all(np.abs(found.f.values - expected) <= tolerance * scale)
    if exact is None:
        derivative = [by_difference(lambda u: float(f(u)), point) for point in x]
        np.testing.assert_allclose(found.df_dx, derivative, rtol=2e-9, atol=2e-9)
        return
    with mpmath.workdps(40):
        derivative = [float(mpmath.diff(exact, mpmath.mpf(point))) for point in x]
    np.testing.assert_allclose(found.df_dx, derivative, rtol=max(1e-13, 8 * tolerance), atol=1e-14)


def test_control_a_wrong_derivative_is_seen():
    x = np.linspace(0.2, 1.0, 5)
    with mpmath.workdps(40):
        wrong = [float(mpmath.diff(mp.log1p, point)) * (1 + 1e-11) for point in x]
    found = gs.gradient(lambda x: np.log1p(x), gs.Sweep(x=x))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(found.df_dx, wrong, rtol=1e-13, atol=1e-14)


A = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
B = np.array([[0.3, -0.7], [1.1, 0.6], [-0.2, 0.9]])
V = np.array([0.6, -1.2, 0.7])


def assembled(q):
    stiffness, row, masked = np.zeros((4, 4)), q * 1.0, q * 1.0
    for e, k in enumerate(q):
        stiffness[np.ix_([e, e + 1], [e, e + 1])] += k * np.array([[1.0, -1.0], [-1.0, 1.0]])
    np.add.at(stiffness, ([0, 0, 1], [0, 0, 2]), q)
    np.multiply.at(row, [0, 0, 2], [2.0, q[1], 3.0])
    np.copyto(row, V, where=[False, True, False])
    np.put(stiffness, [15, 14], q[:1])
    np.putmask(masked, [True, False, True], [7.0, 8.0, q[0]])
    return stiffness * np.append(row, masked[2])


# Functions of q in R^3, which return any array.
ARRAYS = {
    "sum": lambda q: np.sum(q**2) + q.sum() * np.sum(np.outer(q, q), axis=0),
    "prod": lambda q: np.prod(q) + q.prod() * np.prod(np.outer(q, V), axis=1),
    "mean": lambda q: np.mean(q**2) + q.mean() * np.mean(np.outer(q, V), axis=0, keepdims=True),
    "var": lambda q: np.var(q) + q.var(ddof=1) + np.var(np.outer(q, V), axis=0),
    "std": lambda q: np.std(q) + q.std(ddof=1),
    "max": lambda q: np.max(q**2) + q.max() + np.amax(np.outer(q, V), axis=1),
    "min": lambda q: np.min(q**2) + q.min() + np.amin(np.outer(q, V), axis=1),
    "ptp": lambda q: np.ptp(q**3),
    "any_all": lambda q: np.where(np.any(q > 9) | np.all(q > -9), q**2, q),
    "cumsum": lambda q: np.cumsum(q**2) * q.cumsum() + np.cumsum(np.outer(q, V), axis=1)[:, 1],
    "cumprod": lambda q: np.cumprod(q) * q.cumprod(),
    "diff": lambda q: np.diff(q**2) + np.diff(np.outer(q, V), axis=0)[:, 0],
    "sort": lambda q: np.sort(q) * V + q[np.argsort(q)] ** 2 + np.median(q) * V,
    "average": lambda q: np.average(q**2, weights=[1.0, 2.0, 3.0]) + np.average(q),
    "argmax": lambda q: q[np.argmax(q)] ** 2 + q[q.argmin()],
    "dot": lambda q: np.dot(q, q) + np.dot(A, q) + q.dot(A) + np.dot(2.0, q),
    "matmul": lambda q: A @ q + np.matmul(q, A) + (np.outer(q, q) @ B)[:, 0],
    "inner_vdot": lambda q: np.inner(q, V) + np.vdot(q, q) + np.inner(A, q),
    "outer": lambda q: np.outer(q, V) + np.multiply.outer(V, q),
    "einsum": lambda q: np.einsum("i,ij,j->", q, A, q) + np.einsum("ij,j->i", A, q),
    "tensordot": lambda q: np.tensordot(np.outer(q, q), A, axes=2) + np.tensordot(A, q, axes=1),
    "cross": lambda q: np.cross(q, V) + np.cross(V, q**2),
    "kron_trace": lambda q: np.kron(np.outer(q, q), B) + np.trace(np.outer(q, V)),
    "reduce": lambda q: np.add.reduce(q**2) + np.multiply.reduce(q) + np.add.accumulate(q),
    "solve": lambda q: np.linalg.solve(A + np.diag(q), V) + np.linalg.solve(A, np.outer(q, V))[0],
    "scipy.linalg": lambda q: scipy.linalg.solve(A + np.diag(q), V) * scipy.linalg.det(A * q),
    "inv": lambda q: np.linalg.inv(A + np.diag(q)),
    "det": lambda q: np.linalg.det(A * q) + np.linalg.slogdet(A + np.diag(q**2))[1],
    "norm": lambda q: np.linalg.norm(q) + np.linalg.norm(np.outer(q, V)) + np.linalg.norm(q, 1),
    "norm_axis": lambda q: np.linalg.norm(np.outer(q, V), axis=1) + np.linalg.norm(A * q, axis=0),
    "cholesky": lambda q: np.linalg.cholesky(A + np.diag(q**2)),
    "matrix_power": lambda q: (
        np.linalg.matrix_power(A * q, 3) + np.linalg.multi_dot([A, B, B.T * q])
    ),
    "stack": lambda q: np.stack([q, V, q**2]) + np.array([q, V * q, V]),
    "concatenate": lambda q: np.concatenate([q, V, [1.0]]) * np.append(q, [1.0, 2.0, 3.0, 4.0]),
    "hstack": lambda q: np.hstack([q, q[0], 1.0]) * np.hstack((V, 2.0, 3.0)),
    "vstack": lambda q: np.vstack([q, V]) + np.column_stack([q, V]).T,
    "reshape": lambda q: (
        np.outer(q, V).reshape(9)[::-1] * np.reshape(np.outer(q, q), -1, order="F")
    ),
    "transpose": lambda q: np.outer(q, V).T * np.transpose(np.outer(q, q**2), (1, 0)),
    "axes": lambda q: np.swapaxes(q[None, :], 0, 1) + np.moveaxis(np.ones((2, 3)) * q, 0, 1)[:, :1],
    "squeeze": lambda q: np.squeeze(np.expand_dims(q**2, 0)) + np.ravel(np.atleast_2d(q)),
    "roll": lambda q: np.roll(q, 1) * q + np.roll(q, -2),
    "flip": lambda q: np.flip(q) * q[::-1] + q[::-2][0] + np.fliplr(np.outer(q, V))[0],
    "tile_repeat": lambda q: np.tile(q, 2) * np.repeat(q, 2),
    "diag": lambda q: np.diag(q) @ A + np.diag(np.outer(q, q)) + np.diagonal(np.outer(q, V)),
    "triangles": lambda q: np.tril(np.outer(q, q)) + np.triu(np.outer(q, V), 1),
    "take": lambda q: np.take(q, [2, 0]) + q[[1, 2]] + q[np.array([True, False, True])],
    "split": lambda q: np.split(np.tile(q, 2), 2)[1] + np.array_split(q**2, [1])[0],
    "broadcast": lambda q: np.broadcast_to(q, (2, 3)) * np.broadcast_arrays(q, np.ones((2, 1)))[0],
    "meshgrid": lambda q: np.meshgrid(q, V)[0] * np.meshgrid(V, q, indexing="ij")[1],
    "zeros_like": lambda q: np.zeros_like(q) + np.ones_like(q) * q + np.full_like(q, 2.0) * q,
    "full": lambda q: np.full((2, 2), q[0]) * np.full(2, 3.0) + np.eye(2) * q[1],
    "linspace": lambda q: np.linspace(q[0], q[1], 5) ** 2 + np.linspace(0, 1, 5) * q[2],
    "logspace": lambda q: np.logspace(q[0], q[1], 4) + np.geomspace(q[0] ** 2, 3.0, 4),
    "interp": lambda q: np.interp(q, [-2.0, 0.1, 0.9, 3.0], [1.0, 3.0, 2.0, 5.0]),
    "interp_values": lambda q: (
        np.interp(0.3, [0.0, 0.5, 1.0], q) + np.interp(9.0, V[:2] ** 2, q[:2])
    ),
    "trapezoid": lambda q: (
        np.trapezoid(q**2) + np.trapezoid(q, [0.0, 0.5, 2.0]) + np.trapezoid(q, dx=q[0])
    ),
    "simpson": lambda q: scipy.integrate.simpson(q**2, dx=0.5) + scipy.integrate.trapezoid(q),
    "gradient": lambda q: np.gradient(q**2) + np.gradient(q, 0.5) + np.gradient(q, [0.0, 0.5, 2.0]),
    "polyval": lambda q: np.polyval([1.0, -2.0, 0.5], q) + np.polyval(q, 0.7) + np.polyval(q, q),
    "polyder": lambda q: np.polyval(np.polyder(q), 0.7) + np.polyval(np.polyint(q), 0.7),
    "convolve": lambda q: np.convolve(q, V) + np.convolve([1.0, 2.0], q, "same")[0],
    "vander": lambda q: np.vander(q) + np.vander(q, 3, increasing=True),
    "logsumexp": lambda q: (
        scipy.special.logsumexp(q) + scipy.special.logsumexp(np.outer(q, V), axis=1)
    ),
    "softmax": lambda q: scipy.special.softmax(q) + scipy.special.log_softmax(q),
    "clip_arrays": lambda q: (
        np.clip(q, V - 1.0, V + 1.0) + q.clip(0.0) + np.clip(q, a_min=0, a_max=1)
    ),
    "methods": lambda q: (
        np.float64(2.0) * q.astype(float).copy().flatten().round() * q
        + q.real
        + q.T
        + q.size
        + len(q)
    ),
    "lists": lambda q: (
        np.dot([q[0], 1.0], [2.0, q[1]])
        + np.inner([q[0], q[1]], [1.0, 2.0])
        + np.average([q[0], 2 * q[1]], weights=[1, 3])
        + np.fromiter((x * x for x in q), float)
        + np.diff([q[0], q[1] ** 2])
    ),
    "decompositions": lambda q: (
        np.linalg.svd(A + np.outer(q, V), compute_uv=False)
        * np.abs(np.diag(np.linalg.qr(A * q)[1]))
        + np.linalg.svdvals(A * q)
        + np.linalg.pinv(np.outer(q, V)[:, :2] + B)[0]
        + np.abs(np.linalg.svd(A * q).U[0])
        + np.abs(np.linalg.qr(A * q, mode="r")[0])
    ),
    "of scipy.linalg": lambda q: (
        scipy.linalg.expm(A * q / 4)[0]
        + scipy.linalg.solve_triangular(A * q, V)
        + scipy.linalg.solve_triangular(A * q, V, lower=True, trans=1, unit_diagonal=True)
        + scipy.linalg.cho_solve(scipy.linalg.cho_factor(A + np.diag(q)), V)
        + np.diag(scipy.linalg.cholesky(A + np.diag(q), lower=True))
    ),
    "of polynomials": lambda q: (
        polynomial.polyval(q, [1.0, 2.0, 3.0])
        + polynomial.polyval(0.3, q)
        + chebyshev.chebval(q, [1.0, 2.0, 3.0, 0.5])
        + legendre.legval(q, [1.0, 2.0, 3.0, 0.5])
        + hermite.hermval(q, [1.0, 2.0, 3.0, 0.5])
        + hermite_e.hermeval(q, [1.0, 2.0, 3.0, 0.5])
        + laguerre.lagval(q, [1.0, 2.0, 3.0, 0.5])
        + np.poly1d([1.0, 2.0])(q)
    ),
    "pieces": lambda q: (
        np.vsplit(np.outer(q, V), 3)[1]
        + np.hsplit(np.outer(q, V), 3)[0]
        + np.dstack([q, V])[0, :, :1]
        + np.atleast_3d(q)[0]
        + np.hsplit(q, [1])[0]
    ),
    "pad": lambda q: (
        np.pad(q, 2)
        + np.pad(q, (1, 3), mode="edge")
        + np.pad(q, 2, constant_values=q[0])
        + np.pad(q, 2, "reflect")
    ),
    "along": lambda q: (
        np.take_along_axis(np.outer(q, V), np.argsort(np.outer(q, V), axis=1), axis=1)
        + np.apply_along_axis(lambda r: r[0] * r[::-1], 0, np.outer(q, V))
        + np.apply_along_axis(np.sum, 1, np.outer(q, V))
    ),
    "tables": lambda q: (
        q[np.searchsorted([0.5, 0.9], q)] * np.digitize(q, [0.4, 1.0])
        + np.digitize(q, [1.0, 0.4], right=True)
    ),
    "transforms": lambda q: (
        np.abs(np.fft.fft(q))
        + np.fft.ifft(q, norm="ortho").real
        + np.abs(np.fft.rfft(q, 4))
        + np.fft.irfft(np.fft.rfft(q * V), 3)
    ),
    "cumulative": lambda q: (
        scipy.integrate.cumulative_trapezoid(q, [0.0, 0.5, 2.0], initial=0)
        + scipy.integrate.cumulative_trapezoid(q, dx=q[0])[0]
    ),
    "counts": lambda q: (
        q * np.count_nonzero(q > 0.5) + np.array_equal(q, q) + np.array_equal(q, V) + np.fix(q * 3)
    ),
    "frozen": lambda q: (
        norm(0.1, q[0]).cdf(q)
        + norm(loc=q[1], scale=2.0).pdf(0.3)
        + norm(scale=q[2]).ppf(0.3)
        + norm.logpdf(q, scale=q[0])
    ),
    "quantile": lambda q: (
        np.percentile(q, 30)
        + np.quantile(np.outer(q, V), [0.2, 0.9], axis=0, method="midpoint")
        + np.quantile(q, 0.4, method="higher", keepdims=True)
    ),
    "cov": lambda q: np.cov(q, V, bias=True) * np.corrcoef(np.stack([q, V])) + np.cov(q),
    "nan": lambda q: (
        np.nansum(np.log(q - 0.5)) * 0.0
        + np.nanmean([q[0], np.nan, q[2]])
        + np.nanmax([[q[1], np.nan], [np.nan, q[2]]], axis=1) * np.nanmin([q[0], np.nan])
        + np.nanvar([q[0], np.nan, q[1]], ddof=1)
        + np.nanstd([q[0], 2.0, np.nan])
        + np.nanprod([q[2], np.nan])
    ),
    "at": lambda q: assembled(q),
    "one by one": lambda q: (
        np.maximum.accumulate(np.outer(q, V), axis=1)
        + np.logaddexp.reduce(q)
        + np.hypot.reduce(np.outer(q, V))
        + np.minimum.accumulate(q)
    ),
    "vectorize": lambda q: np.vectorize(lambda a, b: math.exp(a) * b)(q, V),
    "iteration": lambda q: sum(w * x for w, x in zip(V, q)),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", ARRAYS)
def test_functions_of_arrays_have_numpys_value_and_the_true_derivative(name, framework):
    f = ARRAYS[name]
    points = np.random.default_rng(3).uniform(0.2, 1.6, (3, 3)) * [1.0, 0.7, 1.3]
    sweep = gs.Sweep(q=("point", points))
    found = gs.jacobian(f, sweep, with_value=True, framework=framework)
    expected = np.array([f(q) for q in points])
    # A result that no argument reaches has no dim of points.
    value = found.f.broadcast_like(found.point) if "point" in found.coords else found.f
    np.testing.assert_allclose(value, expected, rtol=1e-14, atol=1e-14)
    for i in range(3):
        unit = np.eye(3)[i]
        derivative = [by_difference(lambda h, q=q, e=unit: f(q + h * e), 0.0) for q in points]
        partial = np.broadcast_to(found.df_dq[..., i], np.shape(derivative))
        np.testing.assert_allclose(partial, derivative, rtol=2e-9, atol=2e-9)


def test_there_are_over_two_hundred_rows():
    assert len(table()) > 200
