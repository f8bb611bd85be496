"""What is said of an uncertainty, or of words, that were written in another way."""

import numpy as np
import pandas as pd
import pytest
import xarray

import gradsweep as gs
from gradsweep.errors import ArgumentError, SweepError
from gradsweep.planning.options import read_options
from gradsweep.request.quantities import QUANTITIES, Derivative

PLACES = ["hall", "attic", "yard"]
SWEEP = gs.Sweep(x=[1.0, 2.0, 4.0], y=2.0)


def product(x, y):
    return x * y


def refused(error, call):
    with pytest.raises(error) as found:
        call()
    return str(found.value)


def test_a_plan_says_which_order_and_whether_there_is_correlation():
    def first_line(**more):
        return str(gs.plan("uncertainty", product, SWEEP, {"x": 0.1, "y": 0.2}, **more))

    pair = {("x", "y"): 0.5}
    assert "(the std of y, from J C J') over" in first_line()
    assert "from J C J', to second order) over" in first_line(order=2)
    assert "from J C J', with correlation) over" in first_line(correlation=pair)
    both = first_line(order=2, correlation=pair)
    assert "from J C J', to second order, with correlation) over" in both


def test_check_names_the_hessian_to_second_order():
    def said(**more):
        asked = product, SWEEP, {"x": 0.1}
        return refused(ArgumentError, lambda: gs.check(*asked, quantity="uncertainty", **more))

    assert "quantity='jacobian', wrt=['x']" in said() and "hessian" not in said(), "control"
    assert "quantity='jacobian', wrt=['x']" in said(order=2)
    assert "and gs.check(product, sweep, quantity='hessian', wrt=['x'])" in said(order=2)


def test_without_a_std_both_ways_to_say_it_are_named():
    said = refused(ArgumentError, lambda: gs.uncertainty(product, SWEEP))
    assert "takes f, a sweep and a std; 2 values were given" in said
    assert "std={'S': 0.5}" in said and "covariance=" in said


@pytest.mark.parametrize(
    "std, said",
    [
        (np.inf, "the std of 'x' is inf; a standard deviation is 0 or more, and finite"),
        (("x", [0.1, np.inf, 0.1]), "the std of 'x' is inf at x number 1, counted from 0"),
    ],
)
def test_an_infinite_std_is_an_error(std, said):
    assert said in refused(SweepError, lambda: gs.uncertainty(product, SWEEP, {"x": std}))


def test_an_infinite_covariance_is_an_error():
    matrix = pd.DataFrame([[np.inf, 0.0], [0.0, 1.0]], index=[*"xy"], columns=[*"xy"])
    said = refused(SweepError, lambda: gs.uncertainty(product, SWEEP, covariance=matrix))
    assert "the covariance has numbers that are NaN or infinite" in said


def test_an_empty_cell_of_a_column_is_named_by_the_label_of_its_row():
    index = pd.Index(PLACES, name="place")
    table = pd.DataFrame({"x": [1.0, 2.0, 3.0], "error": [0.1, np.nan, 0.1]}, index=index)
    sweep = gs.Sweep(x=("place", table.x), y=2.0)
    at = "at place number 1 (attic), counted from 0"
    std = {"x": ("place", table.error)}
    assert at in refused(SweepError, lambda: gs.uncertainty(product, sweep, std))
    bare = {"x": ("place", table.error.to_numpy())}  # the labels are the argument's
    assert at in refused(SweepError, lambda: gs.uncertainty(product, sweep, bare))
    r = {("x", "y"): ("place", np.array([0.0, 2.0, 0.0]))}
    stds = {"x": 0.1, "y": 0.1}
    assert at in refused(SweepError, lambda: gs.uncertainty(product, sweep, stds, correlation=r))


def test_a_negative_variance_is_named_by_the_label_of_its_row():
    sweep = gs.Sweep(x=xarray.DataArray([1.0, 2.0, 3.0], {"place": PLACES}, dims="place"), y=2.0)
    values = np.zeros((3, 2, 2))
    values[2, 0, 0] = -1.0
    matrix = xarray.DataArray(values, {"a": [*"xy"], "b": [*"xy"]}, dims=("place", "a", "b"))
    said = refused(SweepError, lambda: gs.uncertainty(product, sweep, covariance=matrix))
    assert "'x' in the covariance is -1 at place number 2 (yard), counted from 0" in said


@pytest.mark.parametrize(
    "call, said",
    [
        (
            lambda: gs.partials(product, "x x", x=[1.0], y=2.0),
            'takes is named: of=["x x"]',
        ),
        (lambda: gs.partials(product, "x", "y", x=[1.0], y=2.0), 'of=["x", "y"].'),
        (lambda: gs.plan("partials", product, "x x", x=[1.0], y=2.0), 'of=["x x"].'),
        (lambda: gs.plan(gs.jvp, product, {"x": 1.0}, x=1.0, y=2.0), "is named: tangent=..."),
        (lambda: gs.uncertainty(product, {"x": 1.0}, x=1.0, y=2.0), "is named: std=..."),
    ],
)
def test_what_stands_in_the_place_of_a_sweep_is_told_its_name(call, said):
    text = refused(ArgumentError, call)
    assert text.startswith("expected a gradsweep.Sweep, got ") and said in text


def test_a_quantity_that_takes_nothing_is_told_nothing_more():
    text = refused(ArgumentError, lambda: gs.gradient(product, {"x": 1.0}, y=2.0))
    assert text.startswith("expected a gradsweep.Sweep") and "named" not in text


@pytest.mark.parametrize("wrt", ["x,y", "x, y", "x y"])
def test_a_list_of_names_in_one_text_is_told_how_it_is_written(wrt):
    text = refused(ArgumentError, lambda: gs.gradient(product, SWEEP, wrt=wrt))
    assert text.endswith('Write wrt=["x", "y"].')


@pytest.mark.parametrize("word", ["x,y", "x, y", "x ,y"])
def test_a_word_with_commas_is_told_both_ways_to_write_it(word):
    text = refused(ArgumentError, lambda: gs.partials(product, SWEEP, word))
    assert 'Write "x", "y" for derivatives by each, or "x y" for one derivative by all' in text


def test_a_list_with_an_unknown_name_is_told_the_names_there_are():
    text = refused(ArgumentError, lambda: gs.gradient(product, SWEEP, wrt="x,z"))
    assert "it takes x, y." in text and "Write" not in text


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_to_save_memory_no_option_is_named_that_the_quantity_does_not_have(quantity):
    advice = Derivative(quantity, ("x",)).lighter
    try:
        read_options(quantity, {"wrt": None})
    except ArgumentError:
        assert "wrt" not in advice
    else:
        assert "wrt" in advice
    assert bool(advice) == (quantity != "value")
