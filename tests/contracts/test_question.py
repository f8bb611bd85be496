"""The question (Stack Overflow 77361373): its f, its range, its numbers."""

import numpy as np
import pytest

import gradsweep as gs

X0 = np.arange(1.0, 10.0)


def operators():
    def f(x0, x1, x2, x3, x4):
        return x0**2 + x1**3 + x2**4 + x3**5 + x4**6

    return f


def with_torch():
    import torch

    def f(x0, x1, x2, x3, x4):
        return torch.pow(x0, 2) + torch.pow(x1, 3) + torch.pow(x2, 4) + x3**5 + x4**6

    return f


def with_jax():
    import jax.numpy as jnp

    def f(x0, x1, x2, x3, x4):
        return jnp.power(x0, 2) + jnp.power(x1, 3) + jnp.power(x2, 4) + x3**5 + x4**6

    return f


@pytest.fixture(
    params=[
        operators,
        pytest.param(with_torch, marks=pytest.mark.torch),
        pytest.param(with_jax, marks=pytest.mark.jax),
    ],
    ids=["operators", "torch", "jax"],
)
def f(request):
    return request.param()


@pytest.fixture
def sweep():
    return gs.Sweep(x0=X0, x1=1.0, x2=1.0, x3=1.0, x4=1.0)


def test_df_dx0_runs_along_x0_and_the_others_are_numbers(f, sweep):
    ds = gs.gradient(f, sweep)
    assert ds.df_dx0.dims == ("x0",)
    np.testing.assert_array_equal(ds.df_dx0, 2 * X0)
    np.testing.assert_array_equal(ds.df_dx0.x0, X0)
    for name, expected in {"df_dx1": 3.0, "df_dx2": 4.0, "df_dx3": 5.0, "df_dx4": 6.0}.items():
        assert ds[name].dims == ()
        assert ds[name].item() == expected


def test_the_gradient_at_ones_is_not_what_the_question_prints(f, sweep):
    first = gs.matrix(gs.gradient(f, sweep)).sel(x0=1.0)
    np.testing.assert_array_equal(first, [2, 3, 4, 5, 6])
    assert not np.array_equal(first, [1, 2, 3, 4, 5])


def test_the_matrix_of_the_question_is_nine_by_five(f, sweep):
    matrix = gs.matrix(gs.gradient(f, sweep))
    assert matrix.dims == ("x0", "wrt") and matrix.shape == (9, 5)
    np.testing.assert_array_equal(matrix.wrt, ["x0", "x1", "x2", "x3", "x4"])
    np.testing.assert_array_equal(
        matrix, np.column_stack([2 * X0, *np.full((4, 9), [[3], [4], [5], [6]])])
    )


def test_contributions_sum_to_the_jvp_and_both_agree_with_the_matrix(f, sweep):
    v = {"x0": 0.5, "x1": -1.0, "x2": 2.0, "x3": 0.25, "x4": 3.0}
    matrix = gs.matrix(gs.gradient(f, sweep))
    terms = gs.contributions(f, sweep, v)
    total = gs.jvp(f, sweep, v).jvp
    assert set(terms.data_vars) == {f"contribution_{name}" for name in v}
    np.testing.assert_allclose(sum(terms.data_vars.values()), total, rtol=1e-15)
    np.testing.assert_allclose(matrix.values @ list(v.values()), total, rtol=1e-15)
    np.testing.assert_allclose(gs.matrix(terms), matrix * list(v.values()), rtol=1e-15)


def test_elementwise_products_with_a_vector_that_differs_at_every_point(f, sweep):
    v = np.linspace(-1, 1, 9)
    terms = gs.contributions(f, sweep, {"x0": ("x0", v), "x1": ("x0", v**2)})
    np.testing.assert_allclose(terms.contribution_x0, 2 * X0 * v, rtol=1e-15)
    np.testing.assert_allclose(terms.contribution_x1, 3 * v**2, rtol=1e-15)
