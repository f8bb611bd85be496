"""A call without a Sweep: each keyword is an option, or an argument of the function."""

import inspect
import re

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import ArgumentError, SweepError

SPOTS = np.array([1.0, 2.0, 3.0])


def price(S, K, sigma=0.5):
    return S**2 * K + S * sigma


SWEEP = gs.Sweep(S=SPOTS, K=10.0)

# By quantity: its direction, and what it is at SWEEP, from the closed form of price.
EXPECTED = {
    "value": ({}, {"price": 10 * SPOTS**2 + SPOTS / 2}),
    "gradient": ({}, {"dprice_dS": 20 * SPOTS + 0.5, "dprice_dK": SPOTS**2}),
    "jacobian": ({}, {"dprice_dS": 20 * SPOTS + 0.5, "dprice_dK": SPOTS**2}),
    "jvp": ({"tangent": {"K": 3.0}}, {"jvp": 3 * SPOTS**2}),
    "contributions": ({"tangent": {"K": 3.0}}, {"contribution_K": 3 * SPOTS**2}),
    "vjp": ({"cotangent": 2.0}, {"vjp_K": 2 * SPOTS**2}),
    "hessian": ({}, {"d2price_dS_dK": 2 * SPOTS, "d2price_dS_dS": 20.0}),
    "hvp": ({"tangent": {"K": 3.0}}, {"hvp_S": 6 * SPOTS, "hvp_K": 0.0}),
}


@pytest.mark.parametrize("quantity", EXPECTED)
def test_every_quantity_takes_the_arguments_by_name(quantity):
    direction, expected = EXPECTED[quantity]
    options = direction | ({"with_value": True} if quantity != "value" else {})
    found = getattr(gs, quantity)(price, S=SPOTS, K=10.0, engine="reference", **options)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12)
    np.testing.assert_allclose(found["price"], 10 * SPOTS**2 + SPOTS / 2, rtol=1e-12)
    assert found.engine == "reference"


def test_plan_compile_check_and_compare_do_too():
    assert gs.plan(gs.gradient, price, S=SPOTS, K=10.0).axes == {"S": 3}
    kernel = gs.compile("jvp", price, S=SPOTS, K=10.0, tangent={"S": 1.0})
    np.testing.assert_allclose(kernel(S=[4.0], K=2.0)["jvp"], [16.5], rtol=1e-15)
    found = gs.check(price, S=SPOTS, K=10.0, quantity="hessian", n_points=2)
    assert found.ok and "hessian" in str(found)
    rivals = ["reference", "loop"]
    assert gs.compare(price, S=SPOTS, K=10.0, rivals=rivals, budget_seconds=1e-3).rows


def test_a_sweep_may_come_by_name():
    found = gs.gradient(price, sweep=SWEEP, wrt="K")
    np.testing.assert_allclose(found["dprice_dK"], SPOTS**2)
    with pytest.raises(ArgumentError, match="gradient has no option 'S'"):
        gs.gradient(price, sweep=SWEEP, S=1.0)


def test_with_a_sweep_keywords_are_options_and_nothing_else():
    def scaled(x, threads):
        return x * threads

    sweep = gs.Sweep({"x": SPOTS, "threads": 3.0})
    np.testing.assert_allclose(gs.gradient(scaled, sweep, threads=1)["dscaled_dx"], 3.0)
    with pytest.raises(ArgumentError, match=r"(?s)gradient has no option 'x'.*go into the Sweep"):
        gs.gradient(scaled, sweep, x=2.0)


def threads(x, threads):
    return x * threads


def rng(x, rng):
    return x * rng


def tangent(x, tangent):
    return x * tangent


def anything(**arguments):
    return arguments["x"]


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: gs.gradient(threads, x=1.0, threads=2),
            "'threads' is an option of gradient, and threads has an argument 'threads'.\nGive the",
        ),
        (lambda: gs.check(rng, x=1.0, rng=2.0), "'rng' is an option of check, and rng has"),
        (lambda: gs.jvp(tangent, x=1.0, tangent=2.0), "'tangent' is an option of jvp"),
        (
            lambda: gs.gradient(anything, x=1.0, wrt="x"),
            "'wrt' is an option of gradient, and anything takes any name as an argument, 'wrt' too",
        ),
        (
            lambda: gs.gradient(price, S=1.0, K=1.0, sgima=0.2),
            "'sgima' is neither an argument of price, which takes S, K, sigma, nor an option of",
        ),
        (lambda: gs.gradient(price, S=1.0, K=1.0, sgima=0.2), "Did you mean 'sigma'?"),
        (lambda: gs.hessian(price, S=1.0, K=1.0, thread=2), "Did you mean 'threads'?"),
        (lambda: gs.value(price, S=1.0, K=1.0, wrt="S"), "nor an option of value."),
        (lambda: gs.gradient(price, K=1.0), "price needs 'S', which is not given"),
        (lambda: gs.jvp(price, {"S": 1.0}, S=1.0), "expected a gradsweep.Sweep, got dict."),
    ],
)
def test_a_name_that_is_both_or_neither_is_an_error(call, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        call()


def test_what_is_no_option_of_this_quantity_may_be_an_argument():
    def weigh(x, wrt, tangent):
        return x * wrt * tangent

    np.testing.assert_allclose(gs.value(weigh, x=SPOTS, wrt=2.0, tangent=3.0)["weigh"], 6 * SPOTS)


@pytest.mark.parametrize("caller", [gs.plan, gs.compile])
def test_a_quantity_that_was_forgotten_is_asked_for(caller):
    def gradient(S):  # a quantity's name does not make it one
        return S

    shown = f"gs.{caller.__name__}(gs.gradient, price, "
    with pytest.raises(ArgumentError, match=re.escape(f"{shown}sweep)")):
        caller(price, SWEEP)
    with pytest.raises(ArgumentError, match=re.escape(f"{shown}S=..., K=...)")):
        caller(price, S=SPOTS, K=10.0)
    with pytest.raises(ArgumentError, match="takes a quantity first"):
        caller(gradient, gs.Sweep(S=1.0))
    with pytest.raises(ArgumentError, match="is no quantity"):
        caller(gradient, price, SWEEP)


def test_a_sweep_of_a_mapping_is_that_of_its_names():
    assert repr(gs.Sweep({"S": SPOTS}, K=10.0)) == repr(SWEEP)
    drawn = gs.Sweep.sample(4, {"n": (0.0, 1.0)}, rng=1, m=2.0)
    assert list(drawn.arguments) == ["n", "m"]
    for call, message in [
        (lambda: gs.Sweep({"S": 1.0}, S=2.0), "'S' is in the mapping and given by name"),
        (lambda: gs.Sweep.sample(4, {"S": (0, 1)}, S=2.0), "'S' is in the mapping and given by"),
        (lambda: gs.Sweep([1.0]), "takes a mapping of arguments, or arguments by name"),
        (lambda: gs.Sweep({1: 1.0}), "the name of an argument is a word, such as 'S', not 1"),
    ]:
        with pytest.raises(SweepError, match=message):
            call()


def test_the_signature_and_the_words_of_a_quantity_are_its_own():
    assert list(inspect.signature(gs.jvp).parameters) == ["f", "sweep", "tangent", "options"]
    assert gs.jvp.__doc__ is not None and gs.jvp.__doc__.startswith("Compute J v")
