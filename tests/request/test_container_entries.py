"""What a container holds and does not sweep: coordinates by their paths, and what is refused."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import ArgumentError, SweepError

BETA = np.array([0.2, 0.35, 0.5])


class Named(NamedTuple):
    beta: Any
    gamma: Any = 0.1
    kind: Any = "plain"


@dataclass
class Plain:
    beta: Any
    gamma: Any = 0.1
    kind: Any = "plain"


def product(p, x):
    return p["beta"] * p["gamma"] * x


def of_record(p, x):
    return p.beta * p.gamma * x


# -- what is held fixed is told with the results


def test_fixed_entries_are_coordinates_by_their_paths():
    p = {
        "beta": ("beta", BETA),
        "gamma": 0.1,
        "kind": "plain",
        "n": 3,
        "flag": True,
        "in": {"q": [2.0, "word"]},
        "weights": np.ones(3),
        "nothing": None,
    }
    found = gs.value(product, gs.Sweep(p=p, x=2.0))
    held = {name: c.item() for name, c in found.coords.items() if not c.dims}
    assert held == {
        "p_gamma": 0.1,
        "p_kind": "plain",
        "p_n": 3,
        "p_flag": True,
        "p_in_q_0": 2.0,
        "p_in_q_1": "word",
        "x": 2.0,
    }
    assert found.p_beta.dims == ("beta",)


@pytest.mark.parametrize("kind", [Named, Plain])
def test_fixed_fields_are_too_and_in_a_store(kind, tmp_path):
    sweep = gs.Sweep(p=kind(("beta", BETA)), x=2.0)
    found = gs.gradient(of_record, sweep)
    assert (found.p_gamma.item(), found.p_kind.item()) == (0.1, "plain")
    pytest.importorskip("zarr")
    stored = gs.gradient(of_record, sweep, store=tmp_path / "of_record.zarr").load()
    assert (stored.p_gamma.item(), str(stored.p_kind.item())) == (0.1, "plain")


def test_what_has_that_name_already_is_left_as_it_is():
    found = gs.value(lambda p, p_a: p["a"] * p_a, gs.Sweep(p={"a": 2.0}, p_a=BETA))
    np.testing.assert_array_equal(found.p_a, BETA)
    twice = gs.value(lambda p: p["a"]["b"] * p["a_b"], gs.Sweep(p={"a": {"b": 2.0}, "a_b": 3.0}))
    assert "p_a_b" not in twice.coords
    result = gs.value(lambda p: {"p_a": 3 * p["a"]}, gs.Sweep(p={"a": 2.0}))
    assert result.p_a.item() == 6.0 and "p_a" in result.data_vars


def test_a_name_that_files_cannot_hold_is_none(tmp_path):
    pytest.importorskip("zarr")
    sweep = gs.Sweep(p={"a/b": 2.0, "c d": 3.0, "": 4.0, 5: "word"}, x=BETA)
    stored = gs.gradient(lambda p, x: p["a/b"] * x, sweep, wrt="x", store=tmp_path / "f.zarr")
    held = {name: c.item() for name, c in stored.load().coords.items() if not c.dims}
    assert held == {"p_": 4.0, "p_5": "word"}


def test_hundreds_of_entries_are_none():
    weights = {f"w{i}": float(i) for i in range(65)}
    assert not gs.value(lambda p: p["w3"], gs.Sweep(p=weights)).coords
    del weights["w64"]
    assert len(gs.value(lambda p: p["w3"], gs.Sweep(p=weights)).coords) == 64


# -- words in a container


@pytest.mark.parametrize(
    ("p", "key"),
    [
        ({"beta": 1.0, "kind": ["call", "put"]}, "p.kind"),
        ({"beta": 1.0, "in": {"flags": [True, False]}}, "p.in.flags"),
        ({"beta": 1.0, "kind": ("trade", ["call", "put"])}, "p.kind"),
        ({"beta": 1.0, "n": gs.each([2, 3])}, "p.n"),
        ({"beta": 1.0, "kind": np.array(["call", "put"])}, "p.kind"),
        (Named(1.0, kind=["call", "put"]), "p.kind"),
        (Plain(1.0, kind=["call", "put"]), "p.kind"),
    ],
)
def test_what_would_be_swept_one_by_one_is_refused_by_its_path(p, key):
    with pytest.raises(SweepError) as caught:
        gs.Sweep(p=p)
    assert f"'{key}' has words, truth values or each(...)" in str(caught.value)
    assert "p=((), container)" in str(caught.value)


def test_a_container_that_is_held_fixed_passes_words_as_they_are():
    def f(p, x):
        assert p["kind"] == ["call", "put"] and type(p["kind"]) is list
        return p["beta"] * x

    sweep = gs.Sweep(p=((), {"beta": ("beta", BETA), "kind": ["call", "put"]}), x=2.0)
    np.testing.assert_array_equal(gs.gradient(f, sweep).df_dx, BETA)


@pytest.mark.parametrize("names", ["word", ("a", "b", "c"), [], {"a": "b"}])
def test_other_words_are_passed_as_they_are(names):
    def f(p):
        assert p["names"] == names
        return p["beta"] ** 2

    assert gs.gradient(f, gs.Sweep(p={"beta": 3.0, "names": names})).df_dp_beta == 6.0


def test_a_word_beside_a_number_is_passed_as_it_is():
    def f(p):
        number, word = p["pair"]
        assert word == "word"
        return p["beta"] ** 2 * number

    assert gs.gradient(f, gs.Sweep(p={"beta": 3.0, "pair": [2.0, "word"]})).df_dp_beta == 12.0


# -- an entry that is not there


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize(
    ("p", "message"),
    [
        ({"bta": 1.0, "gamma": 2.0}, "of p, which has 'bta', 'gamma'. Did you mean 'bta'?"),
        ({"bta": ("b", BETA), "gamma": 2.0}, "of p, which has 'bta', 'gamma'. Did you"),
        ({}, "of p, which has none."),
    ],
)
def test_an_entry_that_is_not_there_is_told_with_the_nearest(framework, p, message):
    pytest.importorskip(framework)
    with pytest.raises(ArgumentError) as caught:
        gs.gradient(product, gs.Sweep(p=p, x=2.0), framework=framework)
    assert str(caught.value).startswith(f"product reads the entry 'beta' {message}")
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_path_of_an_inner_container_is_told():
    def f(links):
        return sum(link["k"] for link in links)

    with pytest.raises(ArgumentError, match=r"reads the entry 'k' of links\.1, which has 'kk'"):
        gs.gradient(f, gs.Sweep(links=((), [{"k": 1.0}, {"kk": 2.0}])))


def test_another_key_error_is_the_functions_own():
    def f(p, x):
        try:
            slope = p["slope"]
        except KeyError:
            slope = p.get("beta", 1.0)
        return {"a": slope * x}[p["kind"]]

    with pytest.raises(KeyError, match="^'b'"):
        gs.gradient(f, gs.Sweep(p={"beta": 3.0, "kind": "b"}, x=2.0))
    assert gs.gradient(f, gs.Sweep(p={"beta": 3.0, "kind": "a"}, x=2.0)).df_dx == 3.0
