"""NaN, infinities, zeros and poles through every ufunc: as NumPy and scipy have them."""

import numpy as np
import pytest
from scipy.stats import norm

import gradsweep as gs
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.call import apply
from gradsweep.tracing.numpy.operations import table

FRAMEWORKS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("jax", marks=pytest.mark.jax),
]

SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.5, -2.5, 3.0, -3.0, 1e300, -1e300]
)  # fmt: skip

# Where a framework's own function has another value at such points: poles, and lgamma(-inf).
OWN = {"psi", "gammaln", "beta", "betaln"}


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_ufunc_has_numpys_value_at_special_values():
    as_array, n_seen = pytest.importorskip("torch").asarray, 0
    for function, row in table().items():
        if not row.is_ufunc or function.signature or function.__name__ in OWN:
            continue
        pairs = np.meshgrid(SPECIAL, SPECIAL)[: function.nin]
        args = [np.ravel(one) for one in pairs] if function.nin > 1 else [SPECIAL]
        try:
            expected = function(*args)
        except TypeError:  # of integers alone
            continue
        n_seen += 1
        found = apply(function, tuple(Array(as_array(one)) for one in args), {})
        for ours, numpys in zip(_plain(found), _plain(expected), strict=True):
            np.testing.assert_allclose(
                ours, numpys, rtol=1e-12, atol=1e-16, err_msg=function.__name__
            )
    assert n_seen > 60


def _plain(result):
    parts = result if isinstance(result, tuple) else (result,)
    return np.stack([np.asarray(getattr(one, "value", one), dtype=float) for one in parts])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_normal_distribution_without_a_scale_is_nan_as_scipys(framework):
    found = gs.value(
        lambda s: norm.cdf(0.3, 0.0, s), gs.Sweep(s=[-1.0, 0.0, 2.0]), framework=framework
    )
    (values,) = found.data_vars.values()
    np.testing.assert_allclose(values, norm.cdf(0.3, 0.0, [-1.0, 0.0, 2.0]))


@pytest.mark.parametrize("mode", ["mean", "linear_ramp", "maximum"])
def test_a_mode_of_pad_that_computes_is_refused(mode):
    with pytest.raises(gs.errors.UntraceableError, match=f"mode='{mode}'"):
        gs.value(lambda x: np.pad(np.array([x, 1.0]), 1, mode=mode), gs.Sweep(x=0.5))


def of_whole_numbers(x):
    n = np.floor(np.array([x, 2 * x, 3 * x]) + 1.0)
    short, small = n.astype(np.int32), n.astype(np.int8).astype(np.int16).astype(np.int32)
    return np.concatenate(
        [
            np.exp(short) / 3, np.sqrt(short), short / 3, np.arctan2(short, 7), np.hypot(small, 3),
            [np.mean(n > 2), np.var(short), np.std(n > 2), np.linalg.norm(short)],
        ]
    )  # fmt: skip


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_floats_of_whole_numbers_have_all_their_digits(framework):
    found = gs.value(of_whole_numbers, gs.Sweep(x=1.3), framework=framework)
    np.testing.assert_allclose(found.of_whole_numbers, of_whole_numbers(1.3), rtol=1e-14)
