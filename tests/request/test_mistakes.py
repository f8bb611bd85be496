"""Mistakes as a newcomer makes them, with words, containers and defaults: each is told in words."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import gradsweep as gs
from gradsweep.errors import ArgumentError, SweepError
from tests.support.categories import power

S = np.array([90.0, 100.0, 110.0])

# What no message shows: NumPy's names of dtypes, its own errors, and Python's.
RAW = re.compile(
    r"str\d+|bytes\d+|<U\d|inhomogeneous|dtype|of object|positional argument|shape \(\)"
)


def profit(S, K, kind="call"):
    if kind not in ("call", "put"):
        raise ValueError(f"kind is {kind!r}")
    return S - K if kind == "call" else K - S


def line(p, x):
    return p["beta"] * x + p["gamma"]


@dataclass
class Rates:
    beta: float
    gamma: float


def of_record(p, x):
    return p.beta * x + p.gamma


def options(**more):
    return gs.Sweep(S=S, K=100.0, **more)


def rates(**more):
    return gs.Sweep(p={"beta": 0.3, "gamma": 0.1, "n": 2, "name": "a", **more}, x=S)


CATEGORIES = {
    "a tuple of two words": (
        lambda: options(kind=("call", "put")),
        ["begins with a word", "'put'", "Write kind=['call', 'put'] to sweep two words"],
    ),
    "a tuple of three words": (
        lambda: options(kind=("call", "put", "call")),
        ["not (dims, values)", "Write kind=['call', 'put', 'call'] to sweep these words"],
    ),
    "another length": (
        lambda: gs.Sweep(S=("trade", S), kind=("trade", ["call", "put"])),
        ["'S' has 3 values along 'trade' and 'kind' has 2", "same length"],
    ),
    "words and numbers": (
        lambda: options(kind=["call", 1.0]),
        ["'kind' is a list of str and float", "kind=gs.each([...])"],
    ),
    "words and truth values": (
        lambda: options(kind=[True, "put"]),
        ["'kind' is a list of bool and str", "kind=gs.each([...])"],
    ),
    "a word that is missing": (
        lambda: options(kind=["call", None]),
        ["'kind' has words, and None at position 1", "leave the point out"],
    ),
    "a word that pandas misses": (
        lambda: options(kind=("t", pd.Series(["call", np.nan, "put"], dtype=object))),
        ["'kind' has words, and nan at position 1"],
    ),
    "a table of words": (
        lambda: options(kind=[["call", "put"], ["put", "call"]]),
        ["shape (2, 2)", 'kind=("kind", values)'],
    ),
    "rows of several lengths": (
        lambda: options(kind=[["call", "put"], ["put"]]),
        ["'kind' is a list of lists of different lengths"],
    ),
    "bytes": (lambda: options(kind=[b"call", b"put"]), ["'kind' is a list of bytes", "Decode"]),
    "functions": (
        lambda: gs.Sweep(x=S, f=[np.sin, np.cos]),
        ["'f' is a list of ufunc", "f=gs.each([...])"],
    ),
    "in wrt": (
        lambda: gs.gradient(profit, options(kind=["call", "put"]), wrt=["S", "kind"]),
        ["'kind' is swept as categories (call, put along kind)", "leave it out of wrt"],
    ),
    "a word in wrt": (
        lambda: gs.gradient(profit, options(kind="put"), wrt=["S", "kind"]),
        ["'kind' is static ('put')", "leave it out of wrt"],
    ),
    "a default in wrt": (
        lambda: gs.gradient(profit, options(), wrt="kind"),
        ["'kind' is static ('call', its default)"],
    ),
    "in a tangent": (
        lambda: gs.jvp(profit, options(kind=["call", "put"]), {"kind": 1.0}),
        ["'kind' is swept as categories", "the tangent"],
    ),
    "words in a tangent": (
        lambda: gs.jvp(profit, options(), {"S": ["a", "b", "c"]}),
        ["'tangent of S' is a list of str, not of numbers."],
    ),
    "in the dims of a mean": (
        lambda: gs.gradient(profit, options(kind=["call", "put"]), reduce="mean", dims="kind"),
        ["along 'kind' there are categories, of which there is no mean", "leave 'kind' out"],
    ),
    "alone under a mean": (
        lambda: gs.gradient(profit, options(kind=["a"]).replace(S=1.0), reduce="mean"),
        ["along 'kind' there are categories", "there is no other axis"],
    ),
    "a misspelt dim": (
        lambda: gs.gradient(profit, options(kind=["call", "put"]), reduce="mean", dims="knd"),
        ["dims names 'knd'", "Did you mean 'kind'?"],
    ),
    "each of a number": (lambda: gs.each(10), ["each takes several values", "not 10"]),
    "each of a word": (lambda: gs.each("call"), ["each takes several values", "not 'call'"]),
    "each without a dim": (
        lambda: gs.Sweep(n=((), gs.each([1, 2]))),
        ["'n' has values of shape (2,) and the dims none", 'n=("n", values)'],
    ),
    "one word for a kernel": (
        lambda: gs.compile(gs.gradient, profit, options(kind=["put", "call"]))(kind="call"),
        ["'kind' was compiled along 'kind', and the new value is one, 'call'", "a list"],
    ),
    "another word for a kernel": (
        lambda: gs.compile(gs.gradient, profit, options(kind="put"))(kind="call"),
        ["'kind' was compiled as 'put'", "Compile again"],
    ),
    "an argument misspelt": (
        lambda: gs.gradient(profit, options(knd=["call", "put"])),
        ["no argument 'knd'", "Did you mean 'kind'?"],
    ),
}

CONTAINERS = {
    "dims and one number": (
        lambda: gs.Sweep(p={"beta": ("beta", 0.3)}),
        ["'p.beta'", "its values are 0.3", "or 0.3 alone to hold it fixed"],
    ),
    "lengths that differ": (
        lambda: rates(beta=("t", [0.3, 0.4]), gamma=("t", [0.1, 0.2, 0.3])),
        ["'p.beta' has 2 values along 't' and 'p.gamma' has 3"],
    ),
    "words": (lambda: rates(kind=["a", "b"]), ["'p.kind' has words", "argument of its own"]),
    "a list of containers": (
        lambda: gs.Sweep(links=[{"k": 1.0}]),
        ["'links' is a list of dict", "Write links=((), value)"],
    ),
    "a path misspelt": (
        lambda: gs.gradient(line, rates(), wrt="p.bta"),
        ["'p.bta', which is no number of p", "Did you mean 'p.beta'?"],
    ),
    "an entry without its container": (
        lambda: gs.gradient(line, rates(), wrt="beta"),
        ["'beta', which is no argument of line", "Did you mean 'p.beta'?"],
    ),
    "a word of it in wrt": (
        lambda: gs.gradient(line, rates(), wrt="p.name"),
        ["'p.name' is passed as it is ('a')", "leave it out of wrt"],
    ),
    "a tangent misspelt": (
        lambda: gs.jvp(line, rates(), {"p": {"bta": 1.0}}),
        ["the tangent has 'p.bta'", "Did you mean 'p.beta'?"],
    ),
    "one tangent for all": (
        lambda: gs.jvp(line, rates(), {"p": 1.0}),
        ["the tangent of 'p' is a single one", '{"p": {"beta": 1.0}}'],
    ),
    "a path as an argument": (
        lambda: gs.gradient(line, gs.Sweep({"p.beta": 0.3, "p.gamma": 0.1, "x": S})),
        ["no argument 'p.beta'", 'p={"beta": ...}'],
    ),
    "a key misspelt": (
        lambda: gs.gradient(line, gs.Sweep(p={"bta": 0.3, "gamma": 0.1}, x=S)),
        ["reads the entry 'beta' of p", "Did you mean 'bta'?"],
    ),
    "a dict for a dataclass": (
        lambda: gs.gradient(of_record, rates()),
        ["of_record reads .beta of p, which is a dict", 'write ["beta"]'],
    ),
    "another form for a kernel": (
        lambda: gs.compile(gs.gradient, line, rates())(p={"beta": 0.3}),
        ["'p' was compiled as dict of 2 arrays", "Compile again"],
    ),
    "a Dataset": (
        lambda: gs.Sweep(p=gs.value(line, rates())),
        ["'p' is a Dataset", "Pass one of its variables"],
    ),
}


@pytest.mark.parametrize("call, words", [*CATEGORIES.values()], ids=[*CATEGORIES])
def test_a_mistake_with_words_is_told(call, words):
    require_told(call, words)


@pytest.mark.parametrize("call, words", [*CONTAINERS.values()], ids=[*CONTAINERS])
def test_a_mistake_with_containers_is_told(call, words):
    require_told(call, words)


def require_told(call, words):
    with pytest.raises((ArgumentError, SweepError)) as caught:
        call()
    message = str(caught.value)
    assert not RAW.search(message), message
    for word in words:
        assert word in message


def test_control_raw_words_are_seen():
    for raw in (TypeError("an array of dtype <U4"), ValueError("an inhomogeneous shape")):
        assert RAW.search(str(raw))


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize(
    ("n", "advice"),
    [
        ([1, 2, 3], ["n=gs.each([1, 2, 3])"]),
        (3.0, ["n is a float here", "write it without a point"]),
    ],
)
def test_a_number_of_steps_that_is_a_float_is_told_how_to_write_it(framework, n, advice):
    pytest.importorskip(framework)
    with pytest.raises(TypeError) as caught:
        gs.gradient(power, gs.Sweep(x=S, n=n), framework=framework)
    notes = " ".join(caught.value.__notes__)
    assert all(word in notes for word in advice)
    assert "x=gs.each" not in notes


def test_a_word_that_the_function_does_not_know_names_the_point():
    with pytest.raises(ValueError, match="kind is 'putt'") as caught:
        gs.gradient(profit, options(kind=["call", "putt"]))
    assert any("S=90, K=100, kind='putt'" in note for note in caught.value.__notes__)


def test_an_empty_list_is_no_list_of_words():
    with pytest.raises(ValueError, match="kind is") as caught:
        gs.gradient(profit, options(kind=[]))
    assert "The sweep has no points along kind; numbers are traced as 1 there." in (
        caught.value.__notes__
    )
    with pytest.raises(ValueError, match="kind is") as caught:
        gs.gradient(profit, options(kind="putt"))
    assert not any("no points" in note for note in caught.value.__notes__)


def test_an_attribute_that_is_missing_elsewhere_is_the_functions_own():
    with pytest.raises(AttributeError, match="'Rates' object has no attribute 'delta'"):
        gs.gradient(lambda p, x: p.delta * x, gs.Sweep(p=Rates(0.3, 0.1), x=S))
    with pytest.raises(AttributeError, match="'dict' object has no attribute 'delta'"):
        gs.gradient(lambda p, x: p.delta * x, rates())
