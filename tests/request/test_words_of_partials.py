"""The words that name partial derivatives: what is understood, and what is refused in words."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import ArgumentError
from gradsweep.request.request import make_request


def price(S, sigma, n=2, rate=0.03, kind="call", p=None, steps=None):
    return S * sigma


SWEEP = gs.Sweep(
    S=[90.0, 100.0],
    sigma=0.2,
    n=3,
    p={"beta": 0.3, "gamma": np.array([0.1, 0.2]), "m": 4},
    kind=["call", "put"],
    steps=((), np.array([1, 2, 3])),
)


def asked(*words):
    (given,) = words if len(words) == 1 else (words,)
    return make_request("partials", price, SWEEP, given).derivative


@pytest.mark.parametrize(
    "given, of",
    [
        (("S",), [("S",)]),
        (("S S", "S sigma"), [("S", "S"), ("S", "sigma")]),
        ((["  S\tsigma ", "sigma S"],), [("S", "sigma"), ("sigma", "S")]),
        (("p.beta p.gamma rate",), [("p.beta", "p.gamma", "rate")]),
    ],
)
def test_words_are_read_in_the_order_written(given, of):
    derivative = asked(*given)
    assert list(derivative.of) == of
    assert derivative.wrt == tuple(dict.fromkeys(key for word in of for key in word))
    assert derivative.order == max(map(len, of))


REFUSED = {
    "no word": ([], ["was given no derivative", '"S sigma"']),
    "an empty word": (["S", " "], ["an empty word, ' '"]),
    "no word at all": (["S", 3], ["takes words, and 3 is none"]),
    "a mapping": ({"S": 1.0}, ["takes words, and {'S': 1.0} is none"]),
    "a repeated entry": (["S sigma", "S  sigma"], ["'S sigma' twice; name it once"]),
    "an unknown name": (["S sigm"], ["names 'sigm', which is no argument", "Did you mean 'sigma'"]),
    "an unknown entry": (["p.bta"], ["'p.bta', which is no number of p", "Did you mean 'p.beta'"]),
    "an entry alone": (["beta"], ["'beta', which is no argument", "Did you mean 'p.beta'"]),
    "an integer": (["n S"], ["'n' is an integer (3)", "Write it as a float"]),
    "an integer entry": (["p.m"], ["'p.m' is an integer (4)", "Write it as a float"]),
    "an array of integers": (["steps"], ["'steps' is an integer"]),
    "a category": (["kind"], ["'kind' is swept as categories", "no derivative"]),
    "a container": (["p"], ["'p', which is a container", "p.beta and p.gamma"]),
}


@pytest.mark.parametrize("given, said", REFUSED.values(), ids=REFUSED)
def test_what_is_no_word_is_told(given, said):
    with pytest.raises(ArgumentError) as refused:
        make_request("partials", price, SWEEP, given)
    for part in said:
        assert part in str(refused.value)


def test_words_take_the_place_of_wrt_and_of_a_direction():
    with pytest.raises(ArgumentError, match="partials has no option 'wrt'"):
        gs.partials(price, SWEEP, "S", wrt="S")
    with pytest.raises(ArgumentError, match="was given no derivative"):
        gs.partials(price, SWEEP)
    with pytest.raises(ArgumentError, match="takes words, and {'S': 1.0} is none"):
        gs.plan("partials", price, SWEEP, "S", {"S": 1.0})
