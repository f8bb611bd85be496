"""Options of NumPy's functions: each is used as NumPy uses it, or refused by its name."""

import dis
import inspect
import math
from itertools import count

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.special

import gradsweep as gs
from gradsweep.errors import UntraceableError
from gradsweep.tracing.numpy.library import resolve
from gradsweep.tracing.numpy.operations import table
from gradsweep.tracing.numpy.row import Native, shown
from gradsweep.tracing.numpy.signatures import read_call

pytest.importorskip("torch")
pytest.importorskip("jax")

FRAMEWORKS = ["torch", "jax"]


def unread(function):
    """Return the parameters of a function that its code never reads."""
    code = function.__code__
    read = {step.argval for step in dis.get_instructions(code) if step.opname.startswith("LOAD_")}
    return [
        one.name
        for one in inspect.signature(function).parameters.values()
        if one.name not in read and one.name not in code.co_cellvars
    ]


def written(row):
    """Return the functions of our own that a row calls."""
    if not isinstance(row, Native):
        return [row.written]
    own = [
        resolve(f) if isinstance(f, str) and f.startswith("own.") else f
        for f in (row.torch, row.jax)
    ]
    return [f for f in own if not isinstance(f, str)]


def test_every_option_that_a_row_takes_is_read_by_it():
    ours = [f for row in table().values() for f in written(row) if hasattr(f, "__code__")]
    assert len(ours) > 100
    found = {f.__qualname__: unread(f) for f in ours if unread(f)}
    refusing = {"_arange": ["args", "kwargs"]}
    assert found == refusing


def test_control_an_option_that_is_not_read_is_seen():
    assert unread(lambda a, copy=True, *, axis=0: [a for _ in range(axis)]) == ["copy"]


def test_every_option_of_what_is_written_here_has_the_name_of_one_of_numpys():
    n_looked_at = 0
    for function, row in table().items():
        if isinstance(row, Native):  # it takes what NumPy and the framework both have
            continue
        try:
            known = inspect.signature(function).parameters.values()
        except ValueError:
            continue
        names = {one.name for one in known}
        if any(one.kind is one.VAR_KEYWORD for one in known) or row.is_ufunc:
            continue
        for ours in written(row):
            options = [
                p.name
                for p in inspect.signature(ours).parameters.values()
                if p.default is not p.empty
            ]
            assert {*options} <= names, shown(function)
            n_looked_at += bool(options)
    assert n_looked_at > 50


def test_a_call_is_read_by_numpys_own_names():
    a = np.ones(3)
    assert read_call(np.sum, (a, 0, float), {}) == ((a,), {"axis": 0, "dtype": float})
    assert read_call(np.add, (1, 2, a), {"where": True}) == ((1, 2), {"out": (a,)})
    assert read_call(np.sort, (a,), {"kind": "stable", "axis": 0}) == ((a,), {"axis": 0})
    with pytest.raises(TypeError, match="sum.*nonsense"):
        read_call(np.sum, (a,), {"nonsense": 1})


A = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
MASK = np.array([True, False, True])
NAN, INF = np.nan, np.inf


def lower_only(q):
    return np.array([[4.0 + q[0], 9.0, 9.0], [q[1], 5.0, 9.0], [q[2], q[0] * q[1], 6.0]])


def written_to(function, *shape):
    out = np.zeros(shape)
    function(out)
    return out


def cleaned(q):
    a = np.array([q[0], NAN, INF])
    b = np.nan_to_num(a, copy=False, nan=2.0, posinf=3.0)
    return a * b


# Functions of q in R^3.
OPTIONS = {
    "isclose": lambda q: (
        np.isclose([q[0], NAN, INF, 1.0], [q[0], NAN, INF, INF], equal_nan=True)
        + 2.0 * np.isclose([q[0], NAN, q[1], -INF], [q[0] + 1e-3, NAN, 1.0, INF], 0.0, 1e-2)
    ) * q[0],
    "allclose": lambda q: (
        1.0 * np.allclose([q[0], NAN], [q[0], NAN], equal_nan=True)
        + 2.0 * np.allclose([q[0], NAN], [q[0], NAN])
    ) * q,
    "nan_to_num": cleaned,
    "fromiter": lambda q: np.fromiter((x * k for k in count(1) for x in q), float, count=5),
    "sum": lambda q: np.sum(q**2, 0, float) + np.sum(q, where=MASK) + q.sum(initial=q[0]),
    "prod": lambda q: np.prod(np.outer(q, q), 1, None, None, True)
    + np.prod(q, where=MASK, initial=3),
    "max": lambda q: np.max(q, initial=0.5, where=MASK) + np.min(q, initial=0.9)
    + q.max(0, None, True),
    "mean": lambda q: np.mean(q, where=MASK) + np.mean(np.outer(q, q), 0, None, None, True),
    "var": lambda q: np.var(q, 0, None, None, 1) + np.std(q, correction=1)
    + q.std(0, None, None, 1),
    "any": lambda q: q * np.any(q > 9, where=MASK) + q * np.all(q > 0, 0, None, True),
    "argmax": lambda q: q[np.argmax(np.outer(q, A[1]), 1, keepdims=True)],
    "dtype": lambda q: np.sum(q * 3.0, dtype=int) * q + np.cumsum(q * 2.0, 0, int) + np.add(
        q, 1, dtype=np.float32
    ),
    "out": lambda q: written_to(lambda out: np.sum(np.outer(q, q), 0, None, out), 3)
    + written_to(lambda out: np.multiply(q, q, out, where=MASK), 3)
    + written_to(lambda out: np.round(q, 1, out), 3),
    "reduce": lambda q: np.add.reduce(np.outer(q, q), 1, None, None, True)
    + np.add.reduce(q, initial=2.0),
    "round": lambda q: np.round(q * 123.0, -1) * q + np.round(q, 2),
    "average": lambda q: np.average(np.outer(q, q), 0, [1.0, 2.0, 3.0], keepdims=True)
    + np.average(q, weights=q, returned=True)[1],
    "median": lambda q: np.median(np.outer(q, q), 1, keepdims=True) + np.median(q, keepdims=True),
    "median of NaN": lambda q: np.isnan(np.median([q[0], NAN, 1.0])) * q,
    "diff": lambda q: np.diff(q, prepend=0.5, append=[q[0], 2.0]),
    "ediff1d": lambda q: np.ediff1d(q, to_end=[q[0], 1.0], to_begin=9.0),
    "linspace": lambda q: np.linspace(-q[0] * 9.0, q[1], 5, dtype=int) * q[2],
    "cross": lambda q: np.cross(np.outer(q, A[0]), q, axisa=0) + np.cross(q[:2], A[1]),
    "kron": lambda q: np.kron(q, A) + np.kron(A[:1], np.kron(q, A[1]))[:, :9].reshape(-1)[0],
    "powers": lambda q: np.linalg.matrix_power(np.stack([A, A * q[0]]), 0) * q,
    "triangles": lambda q: np.linalg.cholesky(lower_only(q)) + np.linalg.cholesky(
        lower_only(q).T, upper=True
    ),
    "eigenvalues": lambda q: np.linalg.eigvalsh(lower_only(q)) + np.linalg.eigh(
        lower_only(q).T, "U"
    ).eigenvalues,
    "slogdet": lambda q: np.linalg.slogdet(A + np.diag(q)).logabsdet * q,
    "interp": lambda q: np.interp(q * 300.0, [-180.0, 30.0, 170.0], [1.0, 4.0, 2.0], period=360.0)
    + np.isnan(np.interp([NAN, q[0], q[0]], [0.0, 1.0], [1.0, 2.0])),
    "take": lambda q: np.take(q, [-5, 1, 7], mode="wrap") * np.take(q, [-5, 1, 7], mode="clip"),
    "simpson": lambda q: scipy.integrate.simpson(np.outer(q, q), x=[0.0, 0.4, 1.5], axis=0)
    + scipy.integrate.simpson([q[0], q[1], q[2], 1.0]) * scipy.integrate.simpson(
        [1.0, 3.0, 2.0, 5.0, 4.0, 6.0], x=np.cumsum([q[0], 1.0, q[1], 0.5, q[2], 1.5])
    )
    + scipy.integrate.simpson(q[:2], dx=q[2]),
    "gradient": lambda q: np.gradient(np.outer(q, q), 0.5, [0.0, 0.4, 1.5], edge_order=2)[1]
    + np.gradient(np.outer(q, q), axis=0) + np.gradient(q, 2.0, edge_order=2),
    "polyint": lambda q: np.polyint(q, 2, k=[q[0], 3.0]),
    "ravel": lambda q: np.ravel(np.outer(q, A[0]).T, "A") * np.ravel(np.outer(q, A[0]).T, "F"),
    "reshape": lambda q: np.reshape(np.outer(q, A[0]), 9, "F", copy=True),
    "meshgrid": lambda q: np.meshgrid(q, A[1], copy=False, indexing="ij")[0] * q,
    "split": lambda q: np.concatenate(np.split(np.tile(q, 3), [4, 2, 7])),
    "scipy": lambda q: scipy.linalg.solve(A + np.diag(q), q * 1.0, check_finite=False)
    * scipy.linalg.norm(q, ord=1),
    "modf": lambda q: np.modf([q[0] + 1.0, -INF, 2.5])[0] * q,
    "remainder": lambda q: math.remainder(q[0], INF) * q + math.remainder(q[1], 0.3),
    "sort": lambda q: np.sort(q, kind="stable") * np.argsort(q, -1, "mergesort"),
}  # fmt: skip


def flat(q):
    return np.concatenate([np.ravel(OPTIONS[name](q) * 1.0) for name in OPTIONS])


def names_of(q):
    return [name for name in OPTIONS for _ in range(np.size(OPTIONS[name](q)))]


# What float32 rounds is rounded by both, not in the same order; its differences mean nothing.
LOOSE = {"dtype": 1e-6}
Q = np.array([0.63, 0.87, 1.19])

pytestmark = pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_options_mean_what_they_mean_to_numpy(framework):
    found = gs.value(flat, gs.Sweep(q=((), Q)), framework=framework, engine="loop").flat
    for name, ours, numpys in zip(names_of(Q), found.values, flat(Q), strict=True):
        assert ours == pytest.approx(numpys, rel=LOOSE.get(name, 1e-13)), name


def test_values_by_options_have_their_derivatives():
    v, h = np.array([0.7, -1.1, 0.9]), 1e-5
    found = gs.jvp(flat, gs.Sweep(q=((), Q)), {"q": v}, framework="torch", engine="loop").jvp
    slopes = (flat(Q + h * v) - flat(Q - h * v)) / (2 * h)
    for name, ours, difference in zip(names_of(Q), found.values, slopes, strict=True):
        assert name in LOOSE or ours == pytest.approx(difference, rel=1e-6, abs=1e-6), name


def test_control_a_triangle_that_is_not_read_is_seen():
    assert not np.allclose(np.linalg.eigvalsh(lower_only(Q)), np.linalg.eigvals(lower_only(Q)).real)


REFUSED = {
    "var": (lambda x: np.var(np.array([x, 1.0]), where=[True, False]), r"np.var with where="),
    "fill_diagonal": (
        lambda x: np.fill_diagonal(np.zeros((2, 2)), x, wrap=True), "fill_diagonal with wrap=",
    ),
    "scipy": (
        lambda x: scipy.linalg.solve(A, np.array([x, x, x]), transposed=True)[0], "transposed=",
    ),
    "logsumexp": (
        lambda x: scipy.special.logsumexp([x, 1.0], return_sign=True)[0], "return_sign=",
    ),
    "array": (lambda x: np.array([x, x], ndmax=1).sum(), "ndmax="),
    "ravel": (lambda x: np.ravel(np.full((2, 3), x).T, "K").sum(), "order='K'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_option_without_a_counterpart_is_named(name):
    f, words = REFUSED[name]
    with pytest.raises(UntraceableError, match=words) as caught:
        gs.value(f, gs.Sweep(x=0.5), framework="torch")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "f",
    [
        lambda x: math.dist([x, 1.0], [x, 1.0, 2.0]),
        lambda x: np.fromiter((x for _ in range(2)), float, count=3).sum(),
        lambda x: np.array([x, x], copy=False).sum(),
        lambda x: np.average(np.full((2, 3), x), weights=[1.0, 2.0, 3.0]),
        lambda x: np.interp(x, [0.0, 1.0], [1.0, 2.0, 3.0]),
    ],
)
def test_what_numpy_and_python_refuse_is_refused(f):
    with pytest.raises((ValueError, TypeError)):
        f(0.5)
    with pytest.raises((ValueError, TypeError)):
        gs.value(f, gs.Sweep(x=0.5), framework="torch")
