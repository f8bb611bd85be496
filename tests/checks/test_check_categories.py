"""gs.check of a book of categories: each has estimates of its own, and a fault names its own."""

import json

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import OutputError
from tests.support.categories import BOOK, FRAMEWORKS, book, grid, power, pricer
from tests.support.checks import torch_sine


def categories_of(check):
    return {str(point["kind"]) for point in check.points}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_calls_and_puts_agree(framework):
    check = gs.check(pricer(framework), grid()[0], n_points=4, estimates=["scipy", "other"])
    assert check.ok, check
    assert check.sentence.endswith(f"at 4 of {check.n_sweep_points} points of 2 categories.")
    assert [text.rpartition(", ")[2] for text in check.described] == [*check.categories]
    assert categories_of(check) == {"call", "put"}


@pytest.mark.torch
def test_the_points_are_those_of_the_book():
    check = gs.check(pricer("torch"), book()[0], estimates="scipy")
    found = {(float(point["S"]), str(point["kind"])) for point in check.points}
    assert found == {*zip(BOOK["S"].tolist(), BOOK["kind"])}
    assert {*check.to_dataset()["kind"].values.tolist()} == {"call", "put"}
    assert {*json.loads(check.to_json())["categories"]} == {"kind='call'", "kind='put'"}


@pytest.mark.torch
def test_fewer_points_than_categories_are_one_of_each():
    check = gs.check(pricer("torch"), grid()[0], n_points=1, estimates="scipy")
    assert check.ok
    assert len(check.points) == 2
    assert categories_of(check) == {"call", "put"}


def wrong_in(kind):
    """Return a function whose backward pass has the wrong sign in one category."""
    right, wrong = torch_sine(1.0), torch_sine(-1.0)
    return lambda x, y, kind_: (wrong if kind_ == kind else right)(x, y)


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["a", "c"])
def test_a_fault_of_one_category_is_found_and_named(kind):
    sweep = gs.Sweep(x=[0.1, 0.4, 0.9], y=2.0, kind_=["a", "b", "c"])
    check = gs.check(wrong_in(kind), sweep, n_points=7, estimates="scipy")
    assert not check.ok
    assert {check.categories[row.point] for row in check.suspicious} == {f"kind_='{kind}'"}
    assert f"all with kind_='{kind}'." in check.sentence
    assert gs.check(wrong_in("no such"), sweep, n_points=7, estimates="scipy").ok


@pytest.mark.torch
def test_a_fault_of_every_category_blames_none():
    sine = torch_sine(-1.0)
    sweep = gs.Sweep(x=[0.1, 0.4], y=2.0, kind=["a", "b"])
    check = gs.check(lambda x, y, kind: sine(x, y), sweep, wrt="x", estimates="scipy")
    assert len(check.suspicious) == len(check.rows) == 4
    assert "all with" not in check.sentence


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_categories_along_two_dims_with_others_and_branches(framework):
    """A category varies along (row, column), another along row, and f has a branch of Python."""
    if framework == "torch":
        import torch as lib
    else:
        import jax.numpy as lib

    def f(x, y, kind, n):
        z = lib.sin(x) if kind == "sin" else lib.exp(x)
        if framework == "torch" and x > 0.5:
            z = z * x
        return power(z, n) * y

    sweep = gs.Sweep(
        x=("column", [0.2, 0.6, 0.9]),
        y=[1.5, 2.0],
        kind=(("row", "column"), [["sin", "exp", "sin"], ["exp", "exp", "sin"]]),
        n=("row", gs.each([1, 3])),
    )
    check = gs.check(f, sweep, n_points=12, estimates=["scipy", "other"])
    assert check.ok, check
    assert len(check.points) == 12
    assert {*check.categories} == {
        f"kind='{kind}', n={n}" for kind in ("sin", "exp") for n in (1, 3)
    }


@pytest.mark.torch
def test_directions_swept_with_the_book_go_along():
    sweep, tangent = book()[0], {"S": ("trade", [1.0, -2.0, 0.5, 3.0, 1.5]), "sigma": 0.01}
    check = gs.check(pricer("torch"), sweep, tangent, quantity="jvp", estimates="scipy")
    assert check.ok, check


@pytest.mark.torch
@pytest.mark.jax
def test_an_estimate_that_one_category_lacks_is_told():
    import torch

    def f(x, kind):
        # What Python reads is frozen in the Program, which the other framework would differentiate.
        return torch.exp(x) * float(x.detach()) if kind == "read" else torch.exp(x)

    check = gs.check(f, gs.Sweep(x=[0.5, 1.0], kind=["plain", "read"]), estimates="other")
    (note,) = check.estimates
    assert note.n_points == 2
    assert any("is unavailable for kind='read': " in said for said in check.notes), check


@pytest.mark.torch
def test_results_of_another_shape_are_refused_as_by_the_quantity():
    import torch

    def f(x, n):
        return torch.stack([x * i for i in range(n)])

    sweep = gs.Sweep(x=[1.0, 2.0], n=gs.each([2, 3]))
    with pytest.raises(OutputError, match="varies from point to point"):
        gs.check(f, sweep, quantity="jacobian")


@pytest.mark.torch
def test_one_category_is_as_a_word():
    price = pricer("torch")
    listed = gs.check(price, grid(["put"])[0], n_points=3, estimates="scipy")
    word = gs.check(price, grid()[0].replace(kind="put"), n_points=3, estimates="scipy")
    assert np.allclose([r.computed for r in listed.rows], [r.computed for r in word.rows])
    assert "categor" not in listed.sentence
