"""Comparisons: rivals agree, an absent rival has a reason, and verdicts follow from times.

No test here says which way is faster.
"""

import re
import sys

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.comparison import conditions
from gradsweep.comparison.problem import Problem, Unavailable, resized
from gradsweep.comparison.rivals import RIVALS, Rival
from gradsweep.engines.choice import ComputeOptions
from gradsweep.request.quantities import QUANTITIES
from gradsweep.request.request import make_request
from tests.support.comparisons import QUICK, SWEEP, f


def quick_rivals(quantity="gradient"):
    return [r for r in RIVALS if not r.starts_slowly and quantity in r.quantities]


def reasons(comparison):
    return {row.rival: row.reason for row in comparison.rows if row.reason}


# -- who takes part


DIRECTIONS = {
    "jvp": ({"x": 2.0},),
    "contributions": ({"x": 2.0},),
    "hvp": ({"x": 2.0},),
    "vjp": (3.0,),
    "uncertainty": ({"x": 2.0},),
    "partials": (["x", "x x"],),
}


def require_agreement(comparison):
    wrong = {r: t for r, t in reasons(comparison).items() if "differs" in t or "fails" in t}
    assert wrong == {}


def by_family(comparison):
    return {row.family for row in comparison.rows if row.seconds}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.jax
@pytest.mark.parametrize("quantity", [q for q in QUANTITIES if q not in ("divergence", "curl")])
def test_rivals_of_both_frameworks_agree_on_every_quantity(quantity):
    found = gs.compare(
        f,
        SWEEP,
        *DIRECTIONS.get(quantity, ()),
        quantity=quantity,
        rivals=quick_rivals(quantity),
        **QUICK,
    )
    require_agreement(found)
    assert by_family(found) == {"gradsweep", "JAX", "torch"}
    assert set(reasons(found)) == {"xla"}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.jax
@pytest.mark.parametrize("quantity", ["jacobian", "jvp", "vjp", "hvp", "hessian"])
def test_rivals_agree_on_a_function_of_arrays(quantity):
    import torch

    def arm(q, s):
        return torch.stack([torch.cos(q).sum() * s, torch.sin(q).prod()])

    q = np.random.default_rng(0).normal(size=(4, 3))
    sweep = gs.Sweep(q=("pose", q), s=("scale", np.array([1.0, 2.0])))
    directions = {"vjp": (np.array([1.0, -2.0]),)}.get(
        quantity, ({"q": np.array([1.0, 2.0, 3.0])},)
    )
    found = gs.compare(
        arm,
        sweep,
        *(directions if quantity in DIRECTIONS else ()),
        quantity=quantity,
        rivals=quick_rivals(quantity),
        **QUICK,
    )
    assert "differs" not in " ".join(reasons(found).values())
    assert by_family(found) == {"gradsweep", "JAX", "torch"}


@pytest.mark.torch
def test_rivals_give_the_value_too():
    found = gs.compare(
        f, SWEEP, with_value=True, rivals=["fused", "vmap(grad)", "loop of autograd.grad"], **QUICK
    )
    assert reasons(found) == {}


def black_scholes(xp, ndtr):
    def price(S, K, T, r, sigma):
        d1 = (xp.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * xp.sqrt(T))
        return S * ndtr(d1) - K * xp.exp(-r * T) * ndtr(d1 - sigma * xp.sqrt(T))

    return price


FIXED = {"K": 100.0, "T": 1.0, "r": 0.05, "sigma": 0.2}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.jax
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_function_of_one_framework_races_in_the_other(framework):
    if framework == "torch":
        import torch

        price = black_scholes(torch, torch.special.ndtr)
    else:
        import jax.numpy as jnp
        from jax.scipy.special import ndtr

        price = black_scholes(jnp, ndtr)
    market = gs.Sweep(S=np.linspace(50.0, 150.0, 7), **FIXED)
    found = gs.compare(price, market, rivals=quick_rivals(), **QUICK)
    require_agreement(found)
    assert by_family(found) == {"gradsweep", "JAX", "torch"}


@pytest.mark.torch
@pytest.mark.jax
def test_methods_of_tensors_are_no_operators_and_race_in_jax_as_a_program():
    found = gs.compare(
        lambda x: x.sin() * x, gs.Sweep(x=np.linspace(1, 2, 5)), rivals=quick_rivals(), **QUICK
    )
    require_agreement(found)
    assert by_family(found) == {"gradsweep", "JAX", "torch"}


@pytest.mark.torch
def test_the_customary_forms_give_what_gradsweep_gives_on_a_grid():
    sweep = gs.Sweep(x=np.linspace(1, 2, 4), y=np.linspace(3, 5, 3))
    names = ["vmap(grad)", "grad of the sum", "loop of autograd.functional"]
    assert reasons(gs.compare(f, sweep, rivals=names, **QUICK)) == {}


@pytest.mark.torch
def test_the_sum_trick_disagrees_where_points_touch_each_other():
    import torch

    def coupled(x):
        return x * torch.sum(x)

    found = gs.compare(
        coupled, gs.Sweep(x=np.linspace(1, 2, 5)), rivals=["fused", "grad of the sum"], **QUICK
    )
    assert "differs by" in reasons(found)["grad of the sum"]


@pytest.mark.torch
@pytest.mark.slow
def test_torch_compile_is_not_given_up_after_many_functions(monkeypatch):
    # torch.compile counts what it compiles of one code object, and stops at eight, or here at two.
    from torch._dynamo import config
    from torch._dynamo.utils import counters

    monkeypatch.setattr(config, "recompile_limit", 2)
    for power in range(2, 6):
        before = counters["stats"]["unique_graphs"]
        name = "compile(vmap(f))"
        function = eval(f"lambda x: x ** {power}.0 + 1.0")
        found = gs.compare(
            function,
            gs.Sweep(x=np.linspace(1, 2, 5)),
            quantity="value",
            rivals=[name],
            budget_seconds=60,
            progress=False,
        )
        assert reasons(found) == {}
        assert counters["stats"]["unique_graphs"] == before + 1


def _counting(made):
    def prepare(problem):
        made.append(Problem(problem.request, ComputeOptions()).plan.branches[0].branch.traced)
        return next(rival for rival in RIVALS if rival.name == "fused").prepare(problem)

    return prepare


def test_first_results_are_traced_anew_and_what_was_kept_is_kept():
    made = []
    gs.gradient(f, SWEEP)
    kept = gs.plan("gradient", f, SWEEP).branches[0].branch.traced
    gs.compare(f, SWEEP, rivals=[Rival("counting", "gradsweep", _counting(made))], **QUICK)
    assert made and made[0] is not kept
    assert gs.plan("gradient", f, SWEEP).branches[0].branch.traced is kept


@pytest.mark.torch
def test_torch_has_as_many_threads_as_gradsweep_and_its_own_afterwards():
    import torch

    seen = []

    def prepare(problem):
        seen.append(torch.get_num_threads())
        return next(rival for rival in RIVALS if rival.name == "fused").prepare(problem)

    before = torch.get_num_threads()
    gs.compare(f, SWEEP, rivals=[Rival("watching", "torch", prepare)], threads=1, **QUICK)
    assert seen[0] == 1 and torch.get_num_threads() == before


@pytest.mark.jax
def test_xla_which_cannot_be_held_to_fewer_threads_says_so(monkeypatch):
    monkeypatch.setattr(conditions, "available_threads", lambda ignore_setting=False: 8)
    found = gs.compare(f, SWEEP, rivals=["fused", "jit(vmap(grad))"], threads=2, **QUICK)
    assert reasons(found)["jit(vmap(grad))"].startswith(
        "XLA takes all 8 processors and the others are held to 2"
    )


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    found = gs.compare(f, SWEEP, rivals=["fused", "jit(vmap(grad))"], **QUICK)
    assert reasons(found)["jit(vmap(grad))"] == "jax is not installed"


def test_what_compiles_longer_than_the_budget_lasts_is_skipped_with_the_reason():
    rivals = ["fused", Rival("slow", "torch", _failing, starts_slowly=True)]
    found = gs.compare(f, SWEEP, rivals=rivals, **{**QUICK, "budget_seconds": 11.0})
    assert re.fullmatch(
        r"compiling it takes about 6 s, and the budget has (9\.\d|1[01]) s left; give a larger one",
        reasons(found)["slow"],
    )


def test_a_way_to_another_quantity_is_raced_when_it_is_named():
    found = gs.compare(f, SWEEP, rivals=["fused", "vmap(vjp)"], **QUICK)
    assert reasons(found) == {"vmap(vjp)": "gradient is not written with vjp"}


def _planted(problem):
    wrong = [np.full(a.shape, 7.0) for a in problem.plan.allocate()]
    return lambda: wrong, lambda arrays: arrays


def _failing(problem):
    def call():
        raise ZeroDivisionError("by zero")

    return call, list


def _absent(problem):
    raise Unavailable("it has gone home")


def test_who_disagrees_fails_or_is_absent_is_listed_with_the_reason():
    planted = [
        Rival("planted", "JAX", _planted),
        Rival("failing", "JAX", _failing),
        Rival("absent", "torch", _absent),
    ]
    found = gs.compare(f, SWEEP, rivals=["fused", *planted], points=[5, 9], **QUICK)
    assert "differs by" in reasons(found)["planted"]
    assert reasons(found)["failing"] == "it fails with ZeroDivisionError: by zero"
    assert reasons(found)["absent"] == "it has gone home"
    assert found.winner == "fused"
    text = str(found)
    assert all(name in text for name in ("planted", "failing", "absent", "it has gone home"))


def test_a_rival_that_is_right_is_not_taken_for_wrong():
    right = Rival("right", "JAX", next(r for r in RIVALS if r.name == "reference").prepare)
    found = gs.compare(f, SWEEP, rivals=["fused", right], **QUICK)
    assert reasons(found) == {}


# -- sizes


@pytest.mark.parametrize("wanted", [1, 3, 40])
def test_a_sweep_is_stretched_by_interpolation(wanted):
    request = make_request("gradient", f, gs.Sweep(x=np.linspace(1, 2, 5), y=2.0))
    new = resized(request, wanted)
    assert new.axes == {"x": wanted}
    expected = np.linspace(1, 2, wanted) if wanted > 1 else [1.0]
    np.testing.assert_allclose(new.leaves["x"].values, expected, rtol=1e-15)
    assert new.leaves["y"].values.shape == ()


def test_every_axis_of_a_grid_is_stretched_alike():
    sweep = gs.Sweep(x=np.linspace(1, 2, 10), y=np.linspace(3, 5, 40))
    new = resized(make_request("gradient", f, sweep), 40_000)
    assert new.axes == {"x": 100, "y": 400}
    labelled = Problem(new, ComputeOptions()).plan.run()
    np.testing.assert_allclose(labelled.df_dx.x, np.linspace(1, 2, 100), rtol=1e-15)


def test_array_arguments_and_zipped_ones_stay_together():
    q = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 9.0]])
    sweep = gs.Sweep(q=("pose", q), x=("pose", q[:, 1]))
    new = resized(make_request("gradient", lambda q, x: q[0] * q[1] * x, sweep), 5)
    np.testing.assert_allclose(new.leaves["q"].values[:, 1], new.leaves["x"].values)
    np.testing.assert_allclose(new.leaves["q"].values[:, 0], [0, 1, 2, 3, 4])
