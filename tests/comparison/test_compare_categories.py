"""gs.compare over a book of categories: ours sweep it whole, and what is written by hand loops.

No test here says which way is faster.
"""

from functools import partial

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.comparison import by_hand
from gradsweep.comparison.problem import Problem, resized
from gradsweep.comparison.rivals import RIVALS, Rival
from gradsweep.engines.choice import ComputeOptions
from gradsweep.request.request import make_request
from tests.support.categories import BOOK, FRAMEWORKS, book, formulas, grid, power, pricer
from tests.support.comparisons import QUICK

NAMED = {
    "torch": ["fused", "labelled call", "loop", "vmap(grad)", "loop of autograd.grad"],
    "jax": ["fused", "labelled call", "jit(vmap(grad))"],
}


def reasons(comparison):
    return {row.rival: row.reason for row in comparison.rows if row.reason}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_all_take_part_over_the_whole_book(framework):
    sweep = (book if framework == "torch" else grid)()[0]
    found = gs.compare(pricer(framework), sweep, rivals=NAMED[framework], **QUICK)
    assert reasons(found) == {}
    assert {row.n_points for row in found.rows} == {sweep.n_points}


@pytest.mark.torch
def test_what_is_written_by_hand_gives_the_books_own_derivatives():
    """Black and Scholes' formulas, along the trades in their own order."""
    request = make_request("gradient", pricer("torch"), book()[0])
    (rival,) = (rival for rival in RIVALS if rival.name == "vmap(grad)")
    call, read = rival.work(Problem(request, ComputeOptions()))
    exact = formulas(**BOOK)
    for found, name in zip(read(call()), ("S", "K", "sigma"), strict=True):
        np.testing.assert_allclose(found, exact[f"dprice_d{name}"], rtol=1e-12)


@pytest.mark.torch
def test_by_hand_too_results_have_every_axis_in_the_sweeps_order():
    """x^n and its derivative, where n varies along two dims and one of them carries no number."""

    def f(x, n, kind):
        return power(x, int(n)) if kind == "up" else -power(x, int(n))

    n = np.array([[1, 2], [3, 1], [2, 2]])
    x, sign = np.array([0.5, 1.5]), np.array([1.0, -1.0, 1.0])
    sweep = gs.Sweep(
        kind=("sign", ["up", "down", "up"]),
        n=(("row", "column"), n.astype(str).tolist()),
        x=("column", x),
    )
    request = make_request("gradient", f, sweep, with_value=True)
    work = by_hand.over_categories(
        partial(by_hand.vmapped, derive="grad"), Problem(request, ComputeOptions())
    )
    value, slope = work[1](work[0]())
    n = n.T[..., None]  # along column, row and sign, as the arguments come
    np.testing.assert_allclose(value, sign * x[:, None, None] ** n, rtol=1e-14)
    np.testing.assert_allclose(slope, sign * n * x[:, None, None] ** (n - 1), rtol=1e-14)


@pytest.mark.torch
def test_a_rival_that_is_wrong_in_one_category_is_out():
    def prepare(problem):
        call, read = by_hand.vmapped(problem, "grad")
        is_put = "put" in problem.request.bound.arguments[-1].written
        return call, lambda found: [a * (1 + 1e-6 * is_put) for a in read(found)]

    rivals = ["fused", Rival("own", "torch", prepare)]
    found = gs.compare(pricer("torch"), book()[0], rivals=rivals, **QUICK)
    assert list(reasons(found)) == ["own"]
    assert "differs" in reasons(found)["own"]


@pytest.mark.torch
def test_a_reason_of_one_category_puts_the_rival_out():
    import torch

    def f(x, kind):
        return torch.exp(x) if kind == "exp" or x < 1 else torch.sin(x)

    sweep = gs.Sweep(x=[0.5, 2.0], kind=["exp", "branch"])
    found = gs.compare(f, sweep, rivals=["fused", "vmap(grad)"], **QUICK)
    assert list(reasons(found)) == ["vmap(grad)"]


@pytest.mark.torch
def test_other_sizes_leave_the_categories_as_they_are():
    request = make_request("gradient", pricer("torch"), grid()[0])
    assert dict(resized(request, 200).axes) == {"S": 19, "sigma": 5, "kind": 2}
    rows = resized(make_request("gradient", pricer("torch"), book()[0]), 9)
    kinds = rows.leaves["kind"].whole()
    np.testing.assert_array_equal(kinds[[0, 2, 4, 6, 8]], [0, 1, 0, 0, 1])  # the trades that stood
    alone = gs.Sweep(x=2.0, n=gs.each([1, 2, 3]))
    assert dict(resized(make_request("gradient", power, alone), 5).axes) == {"n": 5}
