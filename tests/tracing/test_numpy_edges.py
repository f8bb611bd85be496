"""Edges of NumPy's functions: ties, truth values, lists for arrays, and what is cut off.

Values are NumPy's own. Slopes are differences of NumPy's own values.
"""

import numpy as np
import pytest
import scipy.special
from numpy.polynomial import chebyshev, hermite, hermite_e, laguerre, legendre, polynomial

import gradsweep as gs
from tests.support.differences import by_difference

FRAMEWORKS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("jax", marks=pytest.mark.jax),
]

A = np.array([[1.0, 0.3, 2.0], [0.5, 4.0, 0.1]])
C = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]])
BINS = [2.0, 1.2, 0.0]


def stepwise(x):
    """Return what does not change from point to point, but at edges."""
    two, three = np.array([x > 0, x > 1]), np.array([x > 0, x > 1, x > 2])
    four = np.array([[x > 0, x > 1], [x > 2, x > -1]])
    n = np.floor(np.array([x, 2 * x]) + 1.0).astype(int)
    return np.concatenate(
        [
            [np.digitize(x, BINS), np.digitize(x, BINS, True)],
            [np.digitize(x, BINS[::-1]), np.digitize(x, BINS[::-1], right=True)],
            np.digitize(np.array([x, 5.0, -5.0]), np.array([1.2, 1.2, 0.0])),
            [np.median(two), np.median(three), np.median(n), np.mean(two), np.median(four)],
            np.median(four, axis=1), np.median(four, axis=0, keepdims=True)[0],
            np.cumsum(three), np.cumprod(three), np.diff(three), np.sort(three), np.argsort(two),
            [np.sum(two), np.prod(two), np.max(two), np.min(two), np.var(two), np.average(two)],
            [np.quantile(two, 0.0, method="lower"), np.percentile(n, 30.0)],
            np.searchsorted([2.0, 1.0, 3.0], [x, 2.0], sorter=[1, 0, 2]),
            np.pad(np.array([1, 2]) * (n[0] > 0), 1, constant_values=1.9),
            np.linspace([x, 1], [20.0, -30.0], 3, dtype=int).ravel(),
            np.geomspace(1, [20.3 + x, 3], 4, dtype=int).ravel(),
            [np.linalg.pinv(np.array([[x, 1.0]], dtype=np.float32), 0.1).dtype == np.float32],
        ],
        dtype=float,
    )  # fmt: skip


def ramps(x):
    return np.concatenate(
        [
            np.linspace([x, 1], [2, 3], 4, axis=1).ravel(),
            np.linspace(0, [x, 1], 3, endpoint=False).ravel(),
            np.linspace([x, 1.0], x, 3, axis=-1, retstep=True)[0].ravel(),
            np.geomspace(1, [2 + x, 3], 4).ravel(),
            np.geomspace([x + 1, 1], [2 + x, 3], 4, axis=1).ravel(),
            np.logspace([x, 1], 2, 4, axis=1).ravel(),
            np.logspace(x, 2, 4, base=[2.0, 3.0]).ravel(),
            np.logspace(0.5, 2, 3, base=[2.0 + x, 3.0], axis=-1).ravel(),
        ]
    )


def lists(x):
    a = A * x
    return np.concatenate(
        [
            np.clip(a, [0, 1, 2], x + 2).ravel(),
            np.clip(a, [0.1, x, 2.0], None).ravel(),
            np.clip(a, None, [0.5, 1, 2]).ravel(),
            np.repeat(a, [1, 2, 0], axis=1).ravel(),
            np.repeat(a, (2, 1), axis=0).ravel(),
            np.mean(a, axis=1, where=[True, False, True]),
            [np.min(a, where=[True, False, True], initial=9.0)],
            np.sum(a, axis=1, where=[[True, False, True]], initial=x),
            [np.max(a, where=[[True], [False]], initial=-9)],
        ]
    )


def taken(x):
    return np.concatenate(
        [
            np.take([x, 2, 3], [[0], [1]]).ravel(),
            np.select([[x > 0, False], [True, True]], [[x, 1], [2, x]], [3, 4]),
            np.ediff1d([x, 2 * x, 1], to_end=[x]),
        ]
    )


def padded(x):
    a, b = np.array([[x, 2.0]]), np.array([x, 1, 2])
    return np.concatenate(
        [
            np.pad(a, ((1, 0), (0, 0)), constant_values=(7, 3)).ravel(),
            np.pad(b, (1, 2), constant_values=(7, 3)),
            np.pad(b, 1, constant_values=(x, 3)),
            np.pad(b, 2, constant_values=x),
            np.pad(a, ((1, 2), (2, 1)), constant_values=((x, 2), (3, x * x))).ravel(),
            np.pad(a, 1, constant_values=((x,), (3,))).ravel(),
            np.pad(a, (1, 2), constant_values=[[x, 3]]).ravel(),
            np.pad(a, {0: (1, 2), 1: 1}, constant_values=[4]).ravel(),
            np.pad(x * np.ones(2), ((2, 0),), "constant"),
            np.pad(a, ((1, 0), (0, 2)), "edge").ravel(),
        ]
    )


POLYNOMIALS = (
    polynomial.polyval, chebyshev.chebval, legendre.legval, hermite.hermval, hermite_e.hermeval,
    laguerre.lagval,
)  # fmt: skip


def series(x):
    two, three = np.array([x, 0.4]), np.array([x, 0.4, -0.3])
    found = []
    for value in POLYNOMIALS:
        found += [
            value(x, C), value(three, C), value(np.outer(three, two), C), value([x, 0.4, 2], C * x),
            value(two, C, tensor=False), value(two, C, False), value(two, C[0] * x),
            value(two, C[:1]), value(two, [x]), value(x, 2), value(two, [1, 2, 3]),
            value(x, [[1, 2], [x, 4]]),
        ]  # fmt: skip
    found += [np.polyval([[1, 2], [x, 3]], [x, 3]), np.polyval(C, two), np.polyval(C, x)]
    return np.concatenate([np.ravel(one) for one in found])


def periodic(x):
    return np.interp(
        [x * 100, 350.0, -20 * x], [-190, -190.5, 5, 355], [5.0, 10.0, 3.0, x], period=-360
    )


def cut_off(x):
    wide = np.array([[1.0 + x, 0.2, 0.1], [0.3, 1e-3 * x, 0.02 * x]])
    high = np.array([[3.0, x, 1.0], [x, 2.0, 0.5], [0.1, 0.2, 0.1 * x], [1.0, x * x, 0.3]])
    equal = np.diag([2.0, 2.0, 0.1, 0.1]) + 0.1 * (x - 1.2) * np.arange(16.0).reshape(4, 4) ** 2
    low = np.array([[x, 7.0, 9.0], [0.3, 1.0, 9.0], [0.01, x, 0.02]])
    rotation = np.array([[np.cos(x), -np.sin(x)], [np.sin(x), np.cos(x)]])
    found = [
        np.linalg.pinv(wide), np.linalg.pinv(wide, 0.1), np.linalg.pinv(wide.T, rcond=0.1),
        np.linalg.pinv(high), np.linalg.pinv(high, rtol=0.2), np.linalg.pinv(high, rtol=None),
        np.linalg.pinv(high, rcond=2.0), np.linalg.pinv(equal, rcond=0.3), np.linalg.pinv(rotation),
        np.linalg.pinv([[x, 1], [2, 3]]),
        np.linalg.pinv(np.stack([wide, 2 * wide**2]), [0.1, 0.01]),
        np.linalg.pinv(low, hermitian=True), np.linalg.pinv(low, 0.3, True),
        np.linalg.pinv(np.outer([x, 1.0, 2.0], [1.0, x])),
        np.linalg.pinv(high * (1 + 0.5j * x), 0.2).imag,
    ]  # fmt: skip
    return np.concatenate([np.ravel(one) for one in found])


FUNCTIONS = [ramps, lists, taken, padded, series, periodic, cut_off]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_goes_by_steps_is_numpys_on_the_edges(framework):
    x = np.array([0.0, 0.5, 1.2, 2.0])
    found = gs.value(stepwise, gs.Sweep(x=x), framework=framework).stepwise
    np.testing.assert_array_equal(found, [stepwise(one) for one in x.tolist()])


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_values_and_slopes_are_numpys(f, framework):
    x, h = np.array([0.7, 1.2]), 1e-3
    found = gs.jacobian(f, gs.Sweep(x=x), framework=framework, with_value=True)
    np.testing.assert_allclose(found[f.__name__], [f(v) for v in x.tolist()], 1e-12, 1e-13)
    slope = [by_difference(f, v, h) for v in x]
    np.testing.assert_allclose(found[f"d{f.__name__}_dx"], slope, 1e-7, 1e-8)


@pytest.mark.jax
def test_weights_in_a_list_are_scipys():
    def f(x):
        return scipy.special.logsumexp([x, 1.0, 2 * x], b=[1, 0.5, 2])

    found = gs.value(f, gs.Sweep(x=[0.5, 1.2]), framework="jax").f
    np.testing.assert_allclose(found, [f(0.5), f(1.2)], 1e-14)


def cut_once(x):
    wide = np.array([[1.0 + x, 0.2, 0.1], [0.3, 1e-3 * x, 0.02 * x]])
    return np.linalg.pinv(wide, 0.1)[1, 0] + np.linalg.pinv(wide)[2, 1] / 1e4


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_curvature_where_values_are_cut_off_is_numpys(framework):
    h = 1e-2
    weights = {0: -205 / 72, 1: 8 / 5, 2: -1 / 5, 3: 8 / 315, 4: -1 / 560}
    expected = sum(w * (cut_once(1.2 + k * h) + cut_once(1.2 - k * h)) for k, w in weights.items())
    expected = (expected - weights[0] * cut_once(1.2)) / h**2
    (found,) = gs.hessian(cut_once, gs.Sweep(x=1.2), framework=framework).data_vars.values()
    np.testing.assert_allclose(found, expected, 1e-6)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.digitize(x, [0.0, 2.0, 1.0]),
        lambda x: np.interp(x, [0.0, 1.0], [1.0, 2.0], period=0),
        lambda x: np.linalg.pinv([[x, 1.0]], 0.1, rtol=0.1),
        lambda x: np.pad([x, 1.0], 1, "edge", constant_values=2),
    ],
)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_numpy_refuses_is_refused_in_its_words(f, framework):
    with pytest.raises(ValueError) as numpys:
        f(0.5)
    with pytest.raises(ValueError, match=str(numpys.value).split(":")[0]):
        gs.value(f, gs.Sweep(x=0.5), framework=framework)
