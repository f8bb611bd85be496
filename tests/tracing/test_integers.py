"""Where a function needs an integer or a truth value of Python's, errors show what to write."""

import numpy as np
import pytest

import gradsweep as gs

EACH = "n=gs.each([2, 3])"


def in_range(x, n):
    y = x
    for _ in range(n):
        y = y * x
    return y


def as_index(x, n):
    return x * [1.0, 2.0, 3.0, 4.0][n]


def as_slice(x, n):
    return x * sum([1.0, 2.0, 3.0, 4.0][:n])


def as_count(x, n):
    return x * sum([1.0] * n)


def torch_functions():
    import torch

    return [
        lambda x, n: (x * torch.ones(n)).sum(),
        lambda x, n: (x * torch.zeros((n, 2))).sum(),
        lambda x, n: (x * torch.arange(n)).sum(),
        lambda x, n: (x * torch.linspace(0, 1, n)).sum(),
        lambda x, n: x.repeat(n).sum(),
        lambda x, n: (x * torch.eye(4))[n].sum(),
    ]


def jax_functions():
    import jax
    import jax.numpy as jnp

    return [
        lambda x, n: (x * jnp.ones(n)).sum(),
        lambda x, n: (x * jnp.arange(n)).sum(),
        lambda x, n: (x * jnp.linspace(0, 1, n)).sum(),
        lambda x, n: jnp.repeat(x, n).sum(),
        lambda x, n: (x * jnp.ones(6)).reshape(n, -1).sum(),
        lambda x, n: jax.lax.scan(lambda c, _: (c * x, None), x, None, length=n)[0],
        lambda x, n: jnp.arange(4.0)[n] * x,
    ]


def told(call):
    """Return the text of the error that a call raises, notes included."""
    with pytest.raises(Exception) as caught:
        call()
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_python_needs_integers(framework):
    pytest.importorskip(framework)
    for f in (in_range, as_index, as_slice, as_count):
        text = told(lambda f=f: gs.gradient(f, gs.Sweep(x=0.5, n=[2, 3]), framework=framework))
        assert EACH in text, text


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_frameworks_need_integers(framework):
    pytest.importorskip(framework)
    for f in torch_functions() if framework == "torch" else jax_functions():
        text = told(lambda f=f: gs.gradient(f, gs.Sweep(x=0.5, n=[2, 3])))
        assert EACH in text, text


def test_the_advice_works():
    ds = gs.gradient(in_range, gs.Sweep(x=0.5, n=gs.each([2, 3])))
    np.testing.assert_allclose(ds.din_range_dx, [3 * 0.5**2, 4 * 0.5**3], rtol=1e-15)


def test_the_argument_on_the_line_is_named():
    text = told(lambda: gs.gradient(in_range, gs.Sweep(x=[1.0, 2.0], n=[2, 3])))
    assert EACH in text
    assert "x=gs" not in text
    text = told(lambda: gs.gradient(in_range, gs.Sweep(x=0.5, n=("i", np.arange(5)))))
    assert 'n=("i", gs.each([0, 1, 2, ...]))' in text


def test_an_integer_that_is_named_in_wrt_or_written_with_a_point_is_a_float():
    for sweep, wrt in ((gs.Sweep(x=0.5, n=2), ["x", "n"]), (gs.Sweep(x=0.5, n=2.0), "x")):
        text = told(lambda sweep=sweep, wrt=wrt: gs.gradient(in_range, sweep, wrt=wrt))
        assert "n is a float here" in text
        assert "leave it out of wrt" in text


@pytest.mark.torch
def test_torch_needs_an_array_of_truth_values():
    import torch

    def f(x, is_square):
        return torch.where(is_square, x**2, x)

    sweep = gs.Sweep(x=0.5, is_square=[True, False])
    assert "np.array([True, False])" in told(lambda: gs.gradient(f, sweep))
    ds = gs.gradient(f, sweep.replace(is_square=np.array([True, False])))
    np.testing.assert_array_equal(ds.df_dx, [1.0, 1.0])


@pytest.mark.jax
def test_jax_needs_truth_values_one_by_one():
    def f(x, is_square):
        return x**2 if is_square else x

    sweep = gs.Sweep(x=0.25, is_square=np.array([True, False]))
    assert "gs.each" in told(lambda: gs.gradient(f, sweep, framework="jax"))
    ds = gs.gradient(f, sweep.replace(is_square=gs.each([True, False])), framework="jax")
    np.testing.assert_array_equal(ds.df_dx, [0.5, 1.0])


def test_other_errors_have_no_such_advice():
    """The control."""

    def f(x, n):
        raise TypeError("the sky is green")

    assert "gs.each" not in told(lambda: gs.gradient(f, gs.Sweep(x=0.5, n=[2, 3])))

    def g(x, n):
        return x * [1.0, 2.0][n]

    assert "gs.each" not in told(lambda: gs.gradient(g, gs.Sweep(x=0.25, n=[0.5, 1.5])))
