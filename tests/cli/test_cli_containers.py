"""Entries of containers on the command line, by their paths."""

import json

import numpy as np
import pytest

from gradsweep.cli import main
from tests.support.command_line import variables

MODEL = """
from dataclasses import dataclass
from typing import NamedTuple, Optional

@dataclass
class Rates:
    beta: float
    gamma: float
    name: str = "plain"

class Pair(NamedTuple):
    first: float
    rates: Rates

def growth(p, x):
    return p["beta"] ** 2 * p["gamma"] * x

def of_rates(p: Rates, x):
    return p.beta**2 * p.gamma * x

def of_name(p: "Rates", x):
    return of_rates(p, x)

def of_optional(p: Optional[Rates], x):
    return of_rates(p, x)

def of_union(p: "Rates | None", x, n: "int | None" = None, name: str | None = None):
    assert n is None and name in (None, "7")
    return of_rates(p, x)

def of_pair(p: Pair):
    return p.first * p.rates.beta

class Named(NamedTuple):
    first: float
    rates: "Optional[Rates]"

def of_named(p: Named):
    return p.first * p.rates.beta

def chain(links):
    return sum(link["k"] ** 2 for link in links)

def dot(p):
    return p["q"][0] * p["q"][1]
"""
BETA = np.array([0.0, 0.5, 1.0])


@pytest.fixture
def rates(model):
    (model / "rates.py").write_text(MODEL)
    return model


@pytest.mark.parametrize("name", ["growth", "of_rates", "of_name", "of_optional", "of_union"])
@pytest.mark.parametrize("fixed", [["p.gamma=3.0"], ['p={"gamma": 3.0, "beta": 7.0}']])
def test_an_entry_is_swept_and_the_others_are_fixed(name, fixed, rates, run):
    at = [word for text in [*fixed, "x=2.0"] for word in ("--at", text)]
    out = run("gradient", f"rates.py:{name}", "--over", "p.beta=0:1:3", *at, "--json")
    found = variables(out)
    assert json.loads(out)["dims"] == {"p_beta": 3}
    np.testing.assert_allclose(found[f"d{name}_dp_beta"], 2 * BETA * 3 * 2)
    np.testing.assert_allclose(found[f"d{name}_dp_gamma"], BETA**2 * 2)


def test_entries_along_one_dim_are_zipped_and_named_in_options(rates, run):
    words = ["--over", "p.beta@t=1,2", "--over", "p.gamma@t=3,4", "--at", "x=1.0", "--json"]
    out = run("hvp", "rates.py:growth", *words, "--along", "p.beta=1", "--wrt", "p.beta,p.gamma")
    np.testing.assert_allclose(variables(out)["hvp_p_beta"], [6, 8])
    np.testing.assert_allclose(variables(out)["hvp_p_gamma"], [2, 4])


def test_nested_entries_lists_and_elements_have_paths(rates, run):
    words = ["--over", "p.rates.beta=1,2", "--at", "p.rates.gamma=0.5", "--at", "p.first=3.0"]
    for name in ("of_pair", "of_named"):
        out = run("gradient", f"rates.py:{name}", *words, "--json")
        assert variables(out)[f"d{name}_dp_first"].tolist() == [1, 2]
    rest = ["--at", "p.gamma=3.0", "--at", "p.beta=1.0", "--at", "x=2.0", "--at", "n=none"]
    out = run("value", "rates.py:of_union", *rest, "--at", "name=7", "--json")
    assert variables(out)["of_union"] == 6
    links = 'links=[{"k": 2.0}, {"k": 4.0}]'
    out = run("gradient", "rates.py:chain", "--at", links, "--over", "links.1.k=1,5", "--json")
    assert variables(out)["dchain_dlinks_0_k"] == 4.0
    assert variables(out)["dchain_dlinks_1_k"].tolist() == [2, 10]
    words = ["--at", "p.q=[3.0,4.0]", "--over", "p.q[1]=1,2", "--json"]
    out = run("gradient", "rates.py:dot", *words)
    assert variables(out)["ddot_dp_q"].tolist() == [[1, 3], [2, 3]]


def test_entries_are_drawn_and_read_from_columns(rates, run):
    words = ["--sample", 8, "--range", "p.beta=1:2", "--at", "p.gamma=3.0", "--at", "x=1.0"]
    out = json.loads(run("value", "rates.py:growth", *words, "--json"))
    beta = np.array(out["coords"]["p_beta"]["data"])
    assert len(beta) == 8 and ((beta >= 1) & (beta <= 2)).all()
    np.testing.assert_allclose(out["variables"]["growth"]["data"], beta**2 * 3)
    (rates / "table.csv").write_text("p.beta,p.gamma,x\n1,2,3\n4,5,6\n")
    out = run("value", "rates.py:growth", "--from", "table.csv", "--json")
    assert variables(out)["growth"].tolist() == [6, 480]


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("growth", ["p=[1.0]", "p.gamma=1.0"], "p.gamma: there is no entry 'gamma'"),
        ("of_rates", ["p.beta=1.0"], "p: Rates cannot be made of beta: "),
        ("of_rates", ["p.beta=1.0", "p.delta=1.0"], "p: Rates cannot be made of beta, delta: "),
        ("growth", ["p.gamma=1.0", "p.gamma=2.0"], "twice"),
        (
            "growth",
            ["p.bta=1.0", "p.gamma=2.0"],
            "growth reads the entry 'beta' of p, which has 'bta', 'gamma'. Did you mean 'bta'?",
        ),
    ],
)
def test_entries_that_do_not_fit_are_refused(name, words, message, rates, capsys):
    at = [word for text in [*words, "x=1.0"] for word in ("--at", text)]
    assert main(["value", f"rates.py:{name}", *at]) == 2
    assert message in capsys.readouterr().err
