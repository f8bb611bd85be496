"""Parts of containers are swept and differentiated, as arguments are."""

import dataclasses
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.errors import ArgumentError, OutputError, SweepError

BETA, TIMES = np.array([0.2, 0.35, 0.5, 0.8]), np.array([1.0, 5.0])


def leaf(sweep, name):
    (found,) = (each for each in sweep.leaves if each.key == f"p.{name}")
    return found


class Named(NamedTuple):
    beta: Any
    gamma: Any


@dataclass
class Plain:
    beta: Any
    gamma: Any


@dataclass(frozen=True, slots=True)
class Frozen:
    beta: Any
    gamma: Any


def infected(p, i0):
    """Return the share of people infected after 10 days, of those who are susceptible."""
    s, i = 1.0 - i0, i0
    for _ in range(40):
        caught, healed = 0.25 * p["beta"] * s * i, 0.25 * p["gamma"] * i
        s, i = s - caught, i + caught - healed
    return i


def by_hand(beta, gamma, i0):
    """Return the value and the derivatives by beta, gamma and i0, by recurrences of their own."""
    s, i = 1 - i0, i0
    ds, di = np.array([0.0, 0.0, -1.0]), np.array([0.0, 0.0, 1.0])
    for _ in range(40):
        unit_beta, unit_gamma = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
        d_caught = 0.25 * (unit_beta * s * i + beta * (ds * i + s * di))
        d_healed = 0.25 * (unit_gamma * i + gamma * di)
        s, i = s - 0.25 * beta * s * i, i + 0.25 * beta * s * i - 0.25 * gamma * i
        ds, di = ds - d_caught, di + d_caught - d_healed
    return i, di


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("engine", ["fused", "reference", "loop", "own"])
def test_an_entry_is_swept_and_the_others_are_fixed(framework, engine):
    pytest.importorskip(framework)
    engine = {"torch": "torch", "jax": "xla"}[framework] if engine == "own" else engine
    sweep = gs.Sweep(p={"beta": ("beta", BETA), "gamma": 0.1}, i0=[0.01, 0.02])
    found = gs.gradient(infected, sweep, with_value=True, engine=engine, framework=framework)
    assert found.sizes == {"beta": 4, "i0": 2}
    for beta in BETA:
        for i0 in (0.01, 0.02):
            here = found.sel(beta=beta, i0=i0)
            value, slopes = by_hand(beta, 0.1, i0)
            names = ("infected", "dinfected_dp_beta", "dinfected_dp_gamma", "dinfected_di0")
            got = [here[name].item() for name in names]
            np.testing.assert_allclose(got, [value, *slopes], rtol=1e-11)


def times(p, x):
    return p.beta**2 * p.gamma * x


@pytest.mark.parametrize("kind", [Named, Plain, Frozen])
def test_named_tuples_and_dataclasses_are_containers(kind):
    found = gs.gradient(times, gs.Sweep(p=kind(("beta", BETA), 3.0), x=("t", TIMES)))
    assert found.dtimes_dp_beta.dims == ("beta", "t")
    expected = 2 * BETA[:, None] * 3.0 * TIMES
    np.testing.assert_allclose(found.dtimes_dp_beta, expected, rtol=1e-14)
    np.testing.assert_allclose(found.dtimes_dp_gamma, BETA[:, None] ** 2 * TIMES, rtol=1e-14)
    # Without a swept entry too.
    found = gs.gradient(times, gs.Sweep(p=kind(2.0, 3.0), x=1.0))
    assert (found.dtimes_dp_beta, found.dtimes_dp_gamma) == (12.0, 4.0)


def test_results_have_only_the_dims_that_they_depend_on():
    def f(p, x):
        return p["a"]["b"] ** 2 + p["c"] * x

    sweep = gs.Sweep(p={"a": {"b": ("u", BETA)}, "c": ("v", [1.0, 2.0, 3.0])}, x=5.0)
    found = gs.gradient(f, sweep)
    assert found.df_dp_a_b.dims == ("u",) and found.df_dp_c.dims == ()
    assert found.df_dx.dims == ("v",)
    np.testing.assert_allclose(found.df_dp_a_b, 2 * BETA)
    assert found.p_a_b.dims == ("u",) and found.p_c.values.tolist() == [1.0, 2.0, 3.0]


def test_an_entry_along_a_dim_of_its_own_name_labels_it():
    found = gs.value(lambda p: p["beta"], gs.Sweep(p={"beta": ("beta", BETA)}))
    assert found.sel(beta=0.35).f.item() == 0.35
    # Two entries of that name are none's.
    both = gs.Sweep(p={"b": ("b", TIMES)}, q={"b": ("b", 2 * TIMES)})
    found = gs.value(lambda p, q: p["b"] * q["b"], both)
    assert "b" not in found.coords and found.q_b.values.tolist() == [2.0, 10.0]
    # The argument of that name comes before.
    both = gs.Sweep(p={"b": ("b", TIMES)}, b=("b", 2 * TIMES))
    assert gs.value(lambda p, b: p["b"] * b, both).b.values.tolist() == [2.0, 10.0]


def test_entries_are_written_like_arguments():
    series = pd.Series(TIMES, index=["early", "late"])
    p = {
        "whole": np.array([1.0, 2.0]),
        "rows": ("t", np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])),
        "grid": (("t", "u"), np.ones((2, 3))),
        "range": ("u", gs.linspace(0, 1, 3)),
        "parts": gs.components(("t", TIMES), 1.0),
        "data": xr.DataArray([7.0, 8.0, 9.0], dims="u", coords={"u": ["x", "y", "z"]}),
        "series": ("t", series),
    }
    sweep = gs.Sweep(p=p)
    assert {key: leaf(sweep, key).dims for key in p} == {
        "whole": (), "rows": ("t",), "grid": ("t", "u"), "range": ("u",), "parts": ("t",),
        "data": ("u",), "series": ("t",),
    }  # fmt: skip
    assert leaf(sweep, "rows").shape == (3,) and leaf(sweep, "parts").shape == (2,)
    found = gs.value(lambda p: p["data"] * p["parts"][0] + p["series"], sweep)
    assert found.f.sel(u="y", t="late").item() == 8.0 * 5.0 + 5.0


def test_words_are_not_swept_inside_a_container():
    with pytest.raises(SweepError, match="'p.kind'"):
        gs.Sweep(p={"kind": ("t", ["call", "put"]), "a": 1.0})
    with pytest.raises(SweepError, match="'p.kind'"):
        gs.Sweep(p={"kind": xr.DataArray(["call", "put"], dims="t")})


def test_entries_with_other_labels_along_one_dim_are_refused():
    one, two = (pd.Series(TIMES, index=index) for index in (["a", "b"], ["a", "c"]))
    for p in ({"x": ("t", one), "y": ("t", two)}, ("t", {"x": one, "y": two})):
        with pytest.raises(SweepError, match="'p.x' and 'p.y' have different coordinates"):
            gs.Sweep(p=p)


def test_every_other_tuple_is_a_container():
    def f(p):
        return p["pair"][0] * p["pair"][1] + p["three"][1] + p["empty"][1]["a"]

    p = {"pair": (2.0, 3.0), "three": ("word", 4.0, 5.0), "empty": ((), {"a": 6.0})}
    found = gs.gradient(f, gs.Sweep(p=p), with_value=True)
    assert found.f == 16.0
    assert (found.df_dp_pair_0, found.df_dp_three_1, found.df_dp_empty_1_a) == (3.0, 1.0, 1.0)
    # A named tuple that begins with a word is none, and neither is the argument itself.
    assert gs.value(lambda p: p[0].gamma, gs.Sweep(p=((), [Named("word", 2.0)]))).f == 2.0
    assert gs.value(lambda p: p[1] * 2, gs.Sweep(p=((), ("word", 2.0)))).f == 4.0
    with pytest.raises(SweepError, match=r"'p.names' is a tuple.*\n.*write a list.*p=\(\(\), "):
        gs.Sweep(p={"names": ("a", "b")})


def test_a_container_that_is_swept_whole_may_have_entries_along_other_dims():
    def f(p):
        return p["a"] * p["b"]

    found = gs.gradient(f, gs.Sweep(p=("t", {"a": TIMES, "b": ("u", BETA)})))
    assert found.df_dp_a.dims == ("u",) and found.df_dp_b.dims == ("t",)
    np.testing.assert_array_equal(found.df_dp_b, TIMES)


@pytest.mark.parametrize(
    "arguments",
    [
        {"p": {"a_b": ("t", TIMES), "a": {"b": ("t", TIMES)}}},
        {"p": {"a": ("t", TIMES)}, "p_a": ("u", BETA)},
    ],
)
def test_two_paths_of_one_name_are_an_error(arguments):
    with pytest.raises(SweepError, match=r"'p.*' and of 'p.*' would both be called 'p_a"):
        gs.Sweep(arguments)


def test_two_fixed_paths_of_one_name_are_an_error_where_both_are_differentiated():
    def f(p):
        return p["a_b"] * p["a"]["b"]

    sweep = gs.Sweep(p={"a_b": 2.0, "a": {"b": 3.0}})
    with pytest.raises(OutputError, match="would both be called 'df_dp_a_b'"):
        gs.gradient(f, sweep)
    assert gs.gradient(f, sweep, wrt="p.a_b").df_dp_a_b == 3.0


# -- dataclasses


@dataclass
class Derived:
    beta: Any
    gamma: Any
    ratio: Any = dataclasses.field(init=False)

    def __post_init__(self):
        self.ratio = self.beta / self.gamma


@dataclass
class Percent:
    rate: Any

    def __post_init__(self):
        self.rate = self.rate / 100


class Shares(NamedTuple):
    part: Any
    of: Any


class Share(Shares):
    def __new__(cls, part, of):
        return super().__new__(cls, part / 100, of)


@dataclass
class Checked:
    rate: Any
    name: str = "plain"

    def __post_init__(self):
        if not self.rate > 0:
            raise ValueError("a rate is positive")


@dataclass
class Scaled:
    rate: Any
    scale: dataclasses.InitVar[float]

    def __post_init__(self, scale):
        self.rate = self.rate * scale


def test_what_a_constructor_computes_is_differentiated_too():
    found = gs.gradient(lambda p: p.ratio, gs.Sweep(p=Derived(3.0, 2.0)))
    assert found.df_dp_beta == 0.5 and found.df_dp_gamma == -0.75


@pytest.mark.torch
def test_a_constructor_may_look_at_its_values():
    found = gs.gradient(lambda p: p.rate**2, gs.Sweep(p=Checked(3.0)))
    assert found.df_dp_rate == 6.0


def test_a_dataclass_that_would_become_another_is_refused():
    with pytest.raises(SweepError, match=r"'p': this Percent.*'rate' becomes 0.0005"):
        gs.Sweep(p=Percent(5.0))
    with pytest.raises(SweepError, match=r"'p': this Share.*'part' becomes 0.0005"):
        gs.Sweep(p=Share(5.0, 1.0))
    changed = Derived(3.0, 2.0)
    changed.ratio = 7.0
    with pytest.raises(SweepError, match=r"'p.inner': this Derived.*'ratio' becomes 1.5"):
        gs.Sweep(p={"inner": changed})
    extended = Plain(1.0, 2.0)
    extended.more = 3.0
    with pytest.raises(SweepError, match="'more' becomes None"):
        gs.Sweep(p=extended)
    with pytest.raises(SweepError, match="cannot be made again.*InitVar"):
        gs.Sweep(p=Scaled(1.0, 2.0))


def test_a_dataclass_without_numbers_is_passed_as_it_is():
    given = Plain("a", print)
    found = gs.value(lambda x, p: x * (2.0 if p is given else 1.0), gs.Sweep(x=TIMES, p=given))
    assert found.f.values.tolist() == [2.0, 10.0]


# -- directions


def test_tangents_have_the_form_of_their_container():
    def f(p, x):
        return p.beta**2 * p.gamma * x

    sweep = gs.Sweep(p=Named(("beta", BETA), 3.0), x=2.0)
    slope = 2 * BETA * 3.0 * 2.0
    for tangent in ({"p": {"beta": 0.5}}, {"p.beta": 0.5}, {"p": Named(0.5, 0.0)}):
        np.testing.assert_allclose(gs.jvp(f, sweep, tangent).jvp, 0.5 * slope, rtol=1e-14)
    swept = {"p": {"beta": ("beta", BETA), "gamma": ("shift", [0.0, 1.0])}}
    found = gs.jvp(f, sweep, swept).jvp
    expected = BETA * slope + np.array([[0.0], [1.0]]) * BETA**2 * 2.0
    np.testing.assert_allclose(found.transpose("shift", "beta"), expected, rtol=1e-14)
    shares = gs.contributions(f, sweep, swept)
    assert set(shares.data_vars) == {"contribution_p_beta", "contribution_p_gamma"}
    # H v: the rows of beta, gamma and x.
    found = gs.hvp(f, sweep, {"p": {"beta": 1.0}})
    np.testing.assert_allclose(found.hvp_p_beta, 12.0)
    np.testing.assert_allclose(found.hvp_p_gamma, 4.0 * BETA, rtol=1e-14)
    np.testing.assert_allclose(found.hvp_x, 6.0 * BETA, rtol=1e-14)
    with pytest.raises(SweepError, match=r"the tangent has 'p.delta'; p has p.beta, p.gamma"):
        gs.jvp(f, sweep, {"p": {"delta": 1.0}})


@pytest.mark.torch
def test_a_tangent_of_a_dataclass_skips_what_is_passed_as_it_is():
    f, sweep = (lambda p: p.rate**2), gs.Sweep(p=Checked(3.0, "plain"))
    assert gs.jvp(f, sweep, {"p": Checked(2.0, "plain")}).jvp == 12.0
    with pytest.raises(SweepError, match="the tangent has 'p.name'"):
        gs.jvp(f, sweep, {"p": Checked(2.0, "other")})


def test_cotangents_have_the_form_of_what_the_function_returns():
    def f(x):
        return {"a": x**2, "inner": {"b": 3 * x, "c": x}}

    sweep = gs.Sweep(x=TIMES)
    for cotangent in (
        {"a": 1.0, "inner": {"b": ("t", [1.0, 2.0])}},
        {"a": 1.0, "inner_b": ("t", [1.0, 2.0])},
    ):
        found = gs.vjp(f, sweep, cotangent).vjp_x.transpose("x", "t")
        np.testing.assert_allclose(found, 2 * TIMES[:, None] + 3 * np.array([1.0, 2.0]))
    found = gs.vjp(lambda x: Named(x**2, 5 * x), sweep, Named(1.0, 2.0))
    np.testing.assert_allclose(found.vjp_x, 2 * TIMES + 10)


@pytest.mark.parametrize("kind", [Counter, OrderedDict])
def test_a_dict_of_another_kind_holds_the_entries(kind):
    def f(p):
        assert type(p) is kind and [*p] == ["b", "a"]
        return p["a"] ** 2 * p["b"]

    found = gs.gradient(f, gs.Sweep(p=kind(b=5.0, a=("t", TIMES))))
    np.testing.assert_array_equal(found.df_dp_a, 10 * TIMES)
    np.testing.assert_array_equal(found.df_dp_b, TIMES**2)


# -- kernels


def power(p, x):
    total = x
    for _ in range(p["n"]):
        total = total * p["a"]
    return total


def test_a_kernel_takes_a_container_with_new_values():
    sweep = gs.Sweep(p={"a": ("t", TIMES), "n": 2}, x=3.0)
    kernel = gs.compile(gs.gradient, power, sweep)
    for a in (np.array([2.0, 4.0, 6.0]), [2.0, 4.0, 6.0], ("t", [2.0, 4.0, 6.0])):
        found = kernel(p={"a": a, "n": 2}, x=5.0)
        assert found["dpower_dp_a"].tolist() == [20.0, 40.0, 60.0]
        assert found["dpower_dx"].tolist() == [4.0, 16.0, 36.0]
    fixed = gs.compile(gs.gradient, times, gs.Sweep(p=Frozen(2.0, 3.0), x=1.0))
    assert fixed(p=Frozen(1, 5.0))["dtimes_dp_beta"] == 10.0
    whole = gs.compile(gs.gradient, times, gs.Sweep(p=("t", Plain(TIMES, TIMES)), x=1.0))
    for p in (Plain(BETA, BETA), ("t", Plain(BETA, BETA))):
        np.testing.assert_allclose(whole(p=p)["dtimes_dp_beta"], 2 * BETA**2)


@pytest.mark.torch
def test_a_kernel_takes_a_container_of_tensors():
    import torch

    kernel = gs.compile(gs.gradient, power, gs.Sweep(p={"a": ("t", TIMES), "n": 2}, x=3.0))
    found = kernel(p={"a": torch.tensor([2.0, 4.0], dtype=torch.float64), "n": 2})
    assert isinstance(found["dpower_dp_a"], torch.Tensor)
    assert found["dpower_dp_a"].tolist() == [12.0, 24.0]


@pytest.mark.parametrize(
    "given",
    [
        {"p": {"a": TIMES, "n": 3}},  # an integer that the trace has unrolled
        {"p": {"a": TIMES, "n": 2.0}},
        {"p": {"a": TIMES}},
        {"p": {"a": TIMES, "n": 2, "more": 1.0}},
        {"p": {"a": ("u", TIMES), "n": 2}},
        {"p": {"a": 1.0, "n": 2}},
        {"p": TIMES},
        {"kind": "put"},
        {"flag": False},
        {"g": np.cos},
        {"nothing": 1.0},
        {"m": 4},
    ],
    ids=str,
)
def test_a_kernel_refuses_another_value_of_what_it_has_compiled_in(given):
    def f(p, kind, flag, g, nothing, m):
        return power(p, 1.0) * (2.0 if kind == "call" else 3.0) * (1.0 if flag else 5.0) * m

    held = {"kind": "call", "flag": True, "g": np.sin, "nothing": None, "m": 3}
    kernel = gs.compile(gs.value, f, gs.Sweep(p={"a": ("t", TIMES), "n": 2}, **held))
    expected = 6 * TIMES**2
    np.testing.assert_allclose(kernel(p={"a": TIMES, "n": 2}, **held)["f"], expected)
    with pytest.raises(SweepError, match="was compiled (as|along)|swept dims"):
        kernel(**given)
    np.testing.assert_allclose(kernel()["f"], expected)


def test_a_kernel_refuses_a_container_of_another_type():
    kernel = gs.compile(gs.value, times, gs.Sweep(p=Plain(2.0, 3.0), x=1.0))
    with pytest.raises(SweepError, match="'p' was compiled as Plain"):
        kernel(p=Frozen(2.0, 3.0))


# -- the rest of the house


def test_check_and_compare_take_containers():
    sweep = gs.Sweep(p={"beta": ("beta", BETA), "gamma": 0.1}, i0=0.01)
    found = gs.check(infected, sweep, estimates=["mpmath", "scipy"])
    assert found.ok, found
    race = gs.compare(infected, sweep, rivals=["fused", "reference"], budget_seconds=2)
    assert race.winner


def test_a_store_keeps_a_sweep_of_entries(tmp_path):
    pytest.importorskip("zarr")
    sweep = gs.Sweep(p=Plain(("beta", BETA), 3.0), x=("t", TIMES))
    stored = gs.gradient(times, sweep, store=tmp_path / "times.zarr")
    xr.testing.assert_equal(stored.load(), gs.gradient(times, sweep))


def test_wrt_names_entries_by_their_paths():
    sweep = gs.Sweep(p=Plain(("beta", BETA), 3.0), x=1.0)
    assert set(gs.hessian(times, sweep, wrt=["p.beta", "x"]).data_vars) == {
        f"d2times_d{a}_d{b}" for a in ("p_beta", "x") for b in ("p_beta", "x")
    }
    assert set(gs.gradient(times, sweep, wrt=["p", "p.beta"]).data_vars) == {
        "dtimes_dp_beta",
        "dtimes_dp_gamma",
    }
    with pytest.raises(ArgumentError, match="no number of p; it has p.beta, p.gamma.*p.beta"):
        gs.gradient(times, sweep, wrt="p.betta")
