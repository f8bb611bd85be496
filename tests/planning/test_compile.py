"""Compiled quantities: new values, no new trace."""

import copy
import os
import signal
import time

import numpy as np
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.errors import ArgumentError, SweepError
from gradsweep.planning.preparing import PREPARED
from gradsweep.planning.traces import TRACES
from gradsweep.support.addresses import overlap


def price(S, K, sigma):
    return S**2 * sigma - K * S


@pytest.fixture
def kernel():
    TRACES.clear()
    PREPARED.clear()
    return gs.compile(gs.gradient, price, gs.Sweep(S=[1.0, 2.0], K=3.0, sigma=[0.1, 0.2, 0.3]))


def expected(S, K, sigma):
    S, sigma = np.asarray(S)[:, None], np.asarray(sigma)[None, :]
    return {"dprice_dS": 2 * S * sigma - K, "dprice_dK": -S[:, 0], "dprice_dsigma": S[:, 0] ** 2}


def agrees(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-15)
        assert found[name].shape == values.shape


def test_it_takes_new_values_of_other_lengths_without_tracing_again(kernel):
    agrees(kernel(), expected([1.0, 2.0], 3.0, [0.1, 0.2, 0.3]))
    agrees(kernel(S=[4.0, 5.0, 6.0, 7.0], K=1.5), expected([4, 5, 6, 7.0], 1.5, [0.1, 0.2, 0.3]))
    agrees(kernel(sigma=np.array([0.5])), expected([1.0, 2.0], 3.0, [0.5]))
    assert TRACES.n_made == 1 and sum(map(len, TRACES.values)) == 1
    assert PREPARED.n_made == 1
    assert kernel.dims == {
        "dprice_dS": ("S", "sigma"),
        "dprice_dK": ("S",),
        "dprice_dsigma": ("S",),
    }


def test_out_is_written_into(kernel):
    first = kernel()
    again = kernel(S=[8.0, 9.0], out=first)
    assert all(again[name] is first[name] for name in first)
    agrees(first, expected([8.0, 9.0], 3.0, [0.1, 0.2, 0.3]))


def test_out_of_another_shape_is_refused(kernel):
    with pytest.raises(SweepError, match=r"out\['dprice_dS'\] has shape \(2, 3\).*\(1, 3\)"):
        kernel(S=[8.0], out=kernel())
    with pytest.raises(SweepError, match="cannot be written into"):
        kernel(out={"dprice_dS": 1.0})


def test_an_argument_called_out_is_an_argument():
    kernel = gs.compile(gs.gradient, lambda out: out**2, gs.Sweep(out=[1.0, 2.0]))
    found = kernel(out=[3.0, 4.0])
    np.testing.assert_array_equal(found["df_dout"], [6.0, 8.0])
    kernel.into(found, out=[5.0, 6.0])
    np.testing.assert_array_equal(found["df_dout"], [10.0, 12.0])


def test_another_name_or_form_is_refused(kernel):
    with pytest.raises(ArgumentError, match="'sgima'.*Did you mean 'sigma'"):
        kernel(sgima=0.1)
    with pytest.raises(SweepError, match="'K' was compiled as 3"):
        kernel(K=[1.0, 2.0])
    with pytest.raises(SweepError, match="'S'"):
        kernel(S=1.0)


def test_array_arguments_and_symmetric_hessians():
    kernel = gs.compile(
        gs.hessian, lambda q, s: s * q[0] ** 2 * q[1], gs.Sweep(q=("pose", np.ones((2, 2))), s=1.0)
    )
    q = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    found = kernel(q=q, s=2.0)
    np.testing.assert_allclose(found["d2f_dq_dq"][:, 0, 1], 4 * q[:, 0])
    assert np.shares_memory(found["d2f_dq_ds"], found["d2f_ds_dq"])


@pytest.mark.torch
def test_torch_in_torch_out():
    import torch

    kernel = gs.compile(gs.gradient, price, gs.Sweep(S=[1.0, 2.0], K=3.0, sigma=0.1))
    found = kernel(S=torch.tensor([1.0, 5.0], dtype=torch.float64))
    assert isinstance(found["dprice_dS"], torch.Tensor)
    agrees({k: v.numpy() for k, v in found.items()}, {
        "dprice_dS": np.array([0.2, 1.0]) - 3.0,
        "dprice_dK": np.array([-1.0, -5.0]),
        "dprice_dsigma": np.array([1.0, 25.0]),
    })  # fmt: skip
    again = kernel(S=torch.tensor([2.0, 6.0], dtype=torch.float64), out=found)
    assert again["dprice_dK"].data_ptr() == found["dprice_dK"].data_ptr()


@pytest.mark.jax
def test_jax_in_jax_out_in_double_precision():
    import jax
    import jax.numpy as jnp

    kernel = gs.compile(
        gs.gradient, price, gs.Sweep(S=[1.0, 2.0], K=3.0, sigma=0.1), framework="jax"
    )
    found = kernel(S=jnp.array([1.0, 5.0]))
    assert isinstance(found["dprice_dS"], jax.Array)
    assert found["dprice_dS"].dtype == "float64"


@pytest.mark.torch
def test_branches_are_followed_at_new_values():
    def f(x):
        return x**2 if x > 0 else -x

    kernel = gs.compile(gs.gradient, f, gs.Sweep(x=[1.0, -1.0]))
    np.testing.assert_array_equal(kernel(x=[-3.0, 2.0, 4.0])["df_dx"], [-1.0, 4.0, 8.0])
    np.testing.assert_array_equal(kernel(x=[-3.0])["df_dx"], [-1.0])


@pytest.mark.parametrize("n", [1, 9, 5000, 20_000])
def test_small_and_large_calls_agree_with_the_quantity_itself(n):
    sweep = gs.Sweep(S=np.linspace(1.0, 2.0, 7), K=3.0, sigma=[0.1, 0.2])
    kernel = gs.compile(gs.hessian, price, sweep)
    S = np.linspace(3.0, 4.0, n)
    expected = gs.hessian(price, sweep.replace(S=S, sigma=[0.3, 0.4, 0.5]))
    found = kernel(S=S, sigma=np.array([0.3, 0.4, 0.5]))
    kernel(S=S + 1.0, sigma=np.array([0.3, 0.4, 0.5]))  # must not write into its last results
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name], expected[name])
    reversed_ = kernel(S=S[::-1], sigma=np.array([0.3, 0.4, 0.5]))
    np.testing.assert_array_equal(reversed_["d2price_dS_dsigma"], expected.d2price_dS_dsigma[::-1])


@pytest.mark.parametrize("n", [10, 100_000])
def test_out_may_lie_in_the_memory_of_what_is_read(n):
    x = np.linspace(1, 2, n)
    y = x + 1
    kernel = gs.compile(gs.gradient, lambda x, y: x * x * y + x, gs.Sweep(x=x, y=("x", y)))
    expected = {name: array.copy() for name, array in kernel(x=x).items()}
    memory = np.append(x, 0.0)
    for place, read in ((memory[1:], memory[:n]), (y, x)):
        out = {name: np.empty(n) for name in expected}
        out[next(iter(out))] = place
        found = kernel(x=read, out=out)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
        assert found[next(iter(out))] is place


@pytest.mark.parametrize("n", [10, 100_000])
def test_two_results_are_not_written_into_one_array(n):
    x = np.linspace(1, 2, n)
    kernel = gs.compile(gs.gradient, lambda x, y: x * x * y, gs.Sweep(x=x, y=("x", x)))
    with pytest.raises(SweepError, match="share memory; give each result an array of its own"):
        kernel(x=x, out=dict.fromkeys(kernel(x=x), np.empty(n)))


@pytest.mark.parametrize("n", [20, 100_000])
def test_results_are_not_written_into_arrays_that_overlap_in_part(n):
    x = np.linspace(1, 2, n)
    kernel = gs.compile(gs.gradient, lambda x, y: x * x * y, gs.Sweep(x=x, y=("x", x)))
    memory = np.empty(n + 1)
    out = dict(zip(kernel(x=x), (memory[:-1], memory[1:])))
    with pytest.raises(SweepError, match="share memory"):
        kernel(x=x, out=out)


@pytest.mark.parametrize("seed", range(20))
def test_arrays_overlap_where_numpy_says_that_they_may(seed):
    rng = np.random.default_rng(seed)
    memory = np.zeros((40, 12))

    def window():
        a, b = np.sort(rng.integers(0, 41, 2))
        c, d = np.sort(rng.integers(0, 13, 2))
        steps = rng.choice([1, 2, -1], 2)
        found = memory[a:b, c:d][:: steps[0], :: steps[1]]
        return found.T if rng.integers(2) else found

    for n_written, n_read in [(1, 1), (2, 0), (3, 2), (1, 4)]:
        for _ in range(20):
            written = [window() for _ in range(n_written)]
            read = [window() for _ in range(n_read)]
            may = any(
                np.may_share_memory(array, other)
                for number, array in enumerate(written)
                for other in (*written[:number], *read)
            )
            assert overlap(written, read) == may


def test_a_copy_of_what_holds_a_kernel_or_a_plan_works(kernel):
    again = copy.deepcopy({"kernel": kernel, "plan": kernel.plan})
    np.testing.assert_array_equal(
        again["kernel"](S=[90.0, 110.0])["dprice_dS"], kernel(S=[90.0, 110.0])["dprice_dS"]
    )
    assert again["plan"].run().identical(kernel.plan.run())


def test_what_a_notebook_shows_of_a_plan_and_a_kernel_is_for_people():
    def price(S, K):
        return S * K**2

    sweep = gs.Sweep(S=[1.0, 2.0], K=3.0)
    plan, kernel = gs.plan(gs.gradient, price, sweep), gs.compile(gs.gradient, price, sweep)
    assert repr(plan).startswith("gradient of price") and repr(plan) == str(plan)
    assert repr(kernel) == "<compiled gradient of price; call it with new values of S, K>"


def test_a_python_float_for_a_float32_kernel_of_many_points_is_its_value():
    def f(x, k):
        return x * k

    x = np.ones(10_000, np.float32)
    kernel = gs.compile(gs.gradient, f, gs.Sweep(x=x, k=2.0), with_value=True)
    found = kernel(k=1.1)
    assert found["f"].dtype == np.float32
    np.testing.assert_array_equal(found["f"], np.full(10_000, np.float32(1.1)))
    np.testing.assert_array_equal(found["df_dx"], np.float32(1.1))


def test_a_data_array_is_read_by_the_names_of_its_dims():
    a = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("a", "b"))
    kernel = gs.compile(gs.value, lambda x: x**2, gs.Sweep(x=a))
    ((name, expected),) = kernel().items()
    np.testing.assert_array_equal(kernel(x=a.T)[name], expected)
    with pytest.raises(SweepError, match="compiled along a, b, and .* has the dims a, c"):
        kernel(x=a.rename(b="c"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_a_forked_child_does_not_wait_for_a_call_of_its_parents():
    kernel = gs.compile(gs.value, lambda x: x**2, gs.Sweep(x=np.ones(20_000)))
    kernel(x=np.ones(20_000))
    assert kernel._direct is not None
    with kernel._direct._lock:  # like another thread in the middle of a call
        child = os.fork()
        if child == 0:
            ((_, found),) = kernel(x=np.full(20_000, 3.0)).items()
            os._exit(0 if (found == 9.0).all() else 1)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child waits for a lock that nobody holds")


# -- both orders of a mixed second derivative, of which one is computed


def mixed(x, w):
    return (x**2 * w[0] + x * w[1] ** 3) * w[0]


def _by_x_and_w(x):
    return np.stack([4 * x * 2.0 + 27.0, 27.0 * 2.0 + 0 * x], axis=-1)


@pytest.mark.parametrize("n", [5, 4000, 30000])
@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_both_orders_are_written_into_arrays_of_their_own(n, engine):
    x, w = np.linspace(1.0, 2.0, n), np.array([2.0, 3.0])
    kernel = gs.compile(gs.hessian, mixed, gs.Sweep(x=x, w=((), w)), engine=engine)
    out = {name: np.full(array.shape, -7.0) for name, array in kernel().items()}
    for values in (x, -x):
        found = kernel(x=values, out=out)
        for name in ("d2mixed_dx_dw", "d2mixed_dw_dx"):
            assert found[name] is out[name]
            np.testing.assert_allclose(found[name], _by_x_and_w(values), rtol=1e-14)


def test_the_results_of_an_earlier_call_are_taken_again_with_both_orders():
    kernel = gs.compile(gs.hessian, lambda x, y: x**2 * y, gs.Sweep(x=[1.0, 2.0], y=3.0))
    found = kernel()
    again = kernel(x=[3.0, 4.0], out=found)
    assert again["d2f_dy_dx"] is found["d2f_dy_dx"]
    np.testing.assert_array_equal(found["d2f_dy_dx"], [6.0, 8.0])


def test_an_array_for_the_other_order_has_the_right_shape_and_memory_of_its_own():
    x, w = np.linspace(1.0, 2.0, 5), np.array([2.0, 3.0])
    kernel = gs.compile(gs.hessian, mixed, gs.Sweep(x=x, w=((), w)))
    with pytest.raises(SweepError, match=r"out\['d2mixed_dw_dx'\] has shape \(5, 3\)"):
        kernel(out=kernel() | {"d2mixed_dw_dx": np.empty((5, 3))})
    first = kernel()
    with pytest.raises(SweepError, match="shares memory with another result"):
        kernel(out=first | {"d2mixed_dw_dx": first["d2mixed_dx_dw"][::-1]})


@pytest.mark.jax
def test_both_orders_are_arrays_of_the_framework_that_the_values_have():
    import jax

    x, w = np.linspace(1.0, 2.0, 5), np.array([2.0, 3.0])
    kernel = gs.compile(gs.hessian, mixed, gs.Sweep(x=x, w=((), w)))
    out = {name: np.full(array.shape, -7.0) for name, array in kernel().items()}
    with jax.enable_x64(True):
        found = kernel(x=jax.numpy.asarray(-x), out=out)
    assert all(isinstance(array, jax.Array) for array in found.values())
    for arrays in (found, out):
        np.testing.assert_allclose(arrays["d2mixed_dw_dx"], _by_x_and_w(-x), rtol=1e-14)
