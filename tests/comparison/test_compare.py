"""Comparisons: what is compared agrees, what is absent has its reason, verdicts follow from times.

No test here says which way is faster.
"""

import json
import sys

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.cli import main
from gradsweep.comparison import conditions
from gradsweep.comparison.problem import Problem, Unavailable, resized
from gradsweep.comparison.race import Row
from gradsweep.comparison.result import Comparison
from gradsweep.comparison.rivals import RIVALS, Rival
from gradsweep.errors import ArgumentError, SweepError
from gradsweep.planning.planner import Options
from gradsweep.program.primitives import INTEGER_ONLY, PRIMITIVES
from gradsweep.request.quantities import QUANTITIES
from gradsweep.request.request import make_request


def f(x, y):
    return x**3 * y + y**2


SWEEP = gs.Sweep(x=np.linspace(1, 2, 5), y=2.0)

QUICK = {"budget_seconds": 0.1, "progress": False}


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
}


def require_agreement(comparison):
    wrong = {r: t for r, t in reasons(comparison).items() if "differs" in t or "fails" in t}
    assert wrong == {}


def by_family(comparison):
    return {row.family for row in comparison.rows if row.seconds}


@pytest.mark.torch
@pytest.mark.jax
@pytest.mark.parametrize("quantity", list(QUANTITIES))
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


@pytest.mark.torch
@pytest.mark.jax
@pytest.mark.parametrize("quantity", ["gradient", "hessian"])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_function_of_one_framework_races_in_the_other(framework, quantity):
    if framework == "torch":
        import torch

        price = black_scholes(torch, torch.special.ndtr)
    else:
        import jax.numpy as jnp
        from jax.scipy.special import ndtr

        price = black_scholes(jnp, ndtr)
    market = gs.Sweep(S=np.linspace(50.0, 150.0, 7), **FIXED)
    found = gs.compare(price, market, quantity=quantity, rivals=quick_rivals(quantity), **QUICK)
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
def test_torch_compile_is_not_given_up_after_many_functions():
    # torch.compile counts what it compiles of one code object, and stops at eight.
    from torch._dynamo.utils import counters

    for power in range(2, 12):
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
        made.append(Problem(problem.request, Options()).plan.branches[0].branch.traced)
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
    found = gs.compare(f, SWEEP, rivals=rivals, **QUICK)
    assert "compiling it takes about 6 s, and the budget has 0." in reasons(found)["slow"]


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
    labelled = Problem(new, Options()).plan.run()
    np.testing.assert_allclose(labelled.df_dx.x, np.linspace(1, 2, 100), rtol=1e-15)


def test_array_arguments_and_zipped_ones_stay_together():
    q = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 9.0]])
    sweep = gs.Sweep(q=("pose", q), x=("pose", q[:, 1]))
    new = resized(make_request("gradient", lambda q, x: q[0] * q[1] * x, sweep), 5)
    np.testing.assert_allclose(new.leaves["q"].values[:, 1], new.leaves["x"].values)
    np.testing.assert_allclose(new.leaves["q"].values[:, 0], [0, 1, 2, 3, 4])


# -- verdicts, on times that are made up


def row(rival, family, n_points, *milliseconds):
    return Row(rival, family, n_points, 0.1, tuple(m / 1000 for m in milliseconds))


def comparison(*rows, picked="fused"):
    sizes = dict.fromkeys(r.n_points for r in rows)
    return Comparison("f", "gradient", "torch", dict.fromkeys(sizes, picked), rows, "a machine")


def test_the_sentence_names_the_winner_and_by_how_much():
    found = comparison(
        row("fused", "gradsweep", 1000, 1.0, 1.0, 1.1),
        row("jit(vmap(grad))", "JAX", 1000, 4.1, 4.1, 4.2),
        row("vmap(grad)", "torch", 1000, 20.0, 20.0, 21.0),
    )
    assert found.winner == "fused"
    assert found.sentence == (
        "Over 1,000 points, gradsweep's fused is 4.1 x faster than JAX's best here "
        "(jit(vmap(grad))) and 20.0 x faster than torch's best here (vmap(grad)); by hand, JAX "
        "beats torch at every size."
    )


def test_overlapping_quartiles_are_too_close_to_call():
    found = comparison(
        row("fused", "gradsweep", 1000, 1.0, 2.0, 3.0),
        row("jit(vmap(grad))", "JAX", 1000, 1.5, 2.5, 3.5),
    )
    assert "too close to call with JAX's best here (jit(vmap(grad)))" in found.sentence
    apart = comparison(
        row("fused", "gradsweep", 1000, 1.0, 1.0, 1.0),
        row("jit(vmap(grad))", "JAX", 1000, 1.5, 1.5, 1.5),
    )
    assert "too close" not in apart.sentence


def test_frameworks_that_change_places_are_told_with_the_sizes():
    rows = []
    for size, jax, torch in (9, 1, 5), (1000, 1, 5), (10**6, 9, 5):
        rows += [
            row("fused", "gradsweep", size, 0.5, 0.5),
            row("jit(vmap(grad))", "JAX", size, jax, jax),
            row("vmap(grad)", "torch", size, torch, torch),
        ]
    assert comparison(*rows).sentence.endswith(
        "by hand, JAX beats torch up to 1,000 points; by hand, torch beats JAX from 1,000,000 "
        "points on."
    )


def test_a_framework_may_win():
    found = comparison(
        row("fused", "gradsweep", 10, 9.0, 9.0),
        row("jit(vmap(jacrev))", "JAX", 10, 3.0, 3.0),
    )
    assert found.winner == "jit(vmap(jacrev))"
    assert found.sentence.startswith(
        "Over 10 points, JAX's jit(vmap(jacrev)) is 3.0 x faster than gradsweep's best here (fused)"
    )


def test_an_engine_that_auto_should_have_picked_is_named():
    slow = row("fused", "gradsweep", 10, 9.0, 9.0)
    fast = row("xla", "gradsweep", 10, 3.0, 3.0)
    assert comparison(slow, fast).warning == (
        'engine="auto" picks fused over 10 points, and xla is 3.0 x faster there: pass '
        'engine="xla".'
    )
    assert comparison(slow, fast, picked="xla").warning == ""


def test_nothing_that_works_is_said_so():
    assert comparison(Row("fused", "gradsweep", 9, reason="no")).sentence == (
        "Nothing could compute the gradient of f."
    )


def test_a_comparison_is_drawn_with_a_line_for_each_way():
    pytest.importorskip("matplotlib")
    rows = [row("fused", "gradsweep", n, n, n, n) for n in (10, 100)]
    rows += [row("vmap(grad)", "torch", n, 5 * n, 5 * n, 5 * n) for n in (10, 100)]
    figure = comparison(*rows).plot()
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(drawn["fused"], [0.01, 0.1])
    np.testing.assert_allclose(drawn["torch: vmap(grad)"], [0.05, 0.5])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


# -- what is asked wrongly


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"rivals": ["fuzed"]}, ArgumentError, "no rival 'fuzed'.*Did you mean 'fused'"),
        ({"points": [0]}, SweepError, "give sizes of one point or more"),
        ({"store": "a.zarr"}, ArgumentError, "compare has no option 'store'"),
    ],
)
def test_wrong_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        gs.compare(f, SWEEP, **QUICK, **options)


# -- the command


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "model.py").write_text("def f(x, y):\n    return x**3 * y\n")
    monkeypatch.chdir(tmp_path)
    return "model.py:f"


def test_the_command_prints_the_sentence_first(model, capsys):
    words = ["compare", model, "--over", "x=1:2:5", "--at", "y=2", "--rivals", "fused,reference"]
    assert main([*words, "--points", "3,30", "--budget", "0.1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Over 30 points, ") and "3 points\n" in out
    assert main([*words, "--budget", "0.1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {row["rival"] for row in document["rows"]} == {"fused", "reference"}
    assert main([*words, "--points", "many"]) == 2
    assert "give sizes, such as 9,1000,1000000" in capsys.readouterr().err


def test_the_command_saves_a_figure(model, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    words = ["compare", model, "--over", "x=1:2:5", "--at", "y=2", "--rivals", "fused,reference"]
    assert main([*words, "--points", "3,30", "--budget", "0.1", "--plot", "race.png"]) == 0
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")


# -- Programs in another framework


def table(name):
    pytest.importorskip(name)
    import importlib

    return importlib.import_module(f"gradsweep.interpreters.{name}")


# Where each primitive is defined, beside the whole line.
_DOMAINS = {
    "acos": (-1, 1), "asin": (-1, 1), "atanh": (-0.9, 0.9), "erfinv": (-0.9, 0.9),
    "ndtri": (0.1, 0.9), "acosh": (1.1, 3), "log": (0.1, 3), "log2": (0.1, 3), "log10": (0.1, 3),
    "log1p": (-0.5, 3), "sqrt": (0.1, 3), "pow": (0.1, 3), "digamma": (0.5, 3), "lgamma": (0.5, 3),
    "polygamma": (0.5, 3), "zeta": (1.5, 4), "igamma": (0.5, 3), "igammac": (0.5, 3),
}  # fmt: skip


@pytest.mark.parametrize(
    "framework", [pytest.param(n, marks=getattr(pytest.mark, n)) for n in ("torch", "jax")]
)
@pytest.mark.parametrize("name", list(PRIMITIVES))
def test_primitives_mean_in_a_framework_what_they_mean_in_numpy(name, framework):
    operation = table(framework).OPERATIONS[name]
    primitive = PRIMITIVES[name]
    low, high = _DOMAINS.get(name, (-3, 3))
    values = np.random.default_rng(0).uniform(low, high, size=(primitive.n_inputs, 20))
    operands = list(values)
    if name in INTEGER_ONLY:
        operands = list((values * 1000).astype("int64"))
        operands[-1][:3] = 0, -1, 2**40 + 3
    if name in ("and", "or", "xor", "not", "select"):
        operands[: 1 if name == "select" else 2] = [
            v > 0 for v in operands[: 1 if name == "select" else 2]
        ]
    if name == "polygamma":
        operands[0] = np.full(20, 2)
    expected = primitive.numpy(*operands)
    if framework == "torch":
        import torch

        made = [torch.from_numpy(np.array(v)) for v in operands]
        if name == "polygamma":
            made[0] = torch.tensor(2)
        found = operation(*made).numpy()
    else:
        from gradsweep.tracing.jax.operators import scoped_x64

        with scoped_x64():
            import jax.numpy as jnp

            found = np.asarray(operation(*map(jnp.asarray, operands)))
    # torch's own polygamma is good to nine digits.
    rtol = 1e-8 if name in ("polygamma", "zeta") else 1e-12
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-15)
