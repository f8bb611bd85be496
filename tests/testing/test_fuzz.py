"""The machine that tries random functions: it finds planted faults, and nothing else."""

import importlib.util
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.engines import prepared
from gradsweep.engines.axes import Dependence, analyse
from gradsweep.errors import ArgumentError
from gradsweep.program import simplification
from gradsweep.testing.fuzz import Campaign, chosen
from gradsweep.testing.fuzz.__main__ import main
from gradsweep.testing.fuzz.combinations import Combination, combinations
from gradsweep.testing.fuzz.comparison import Judge
from gradsweep.testing.fuzz.counts import Counts
from gradsweep.testing.fuzz.drawing.arguments import Arguments, Drawn
from gradsweep.testing.fuzz.drawing.scope import Statement
from gradsweep.testing.fuzz.growth import calls_of_tracing, check_body, is_linear, repeated
from gradsweep.testing.fuzz.reference.choice import make_reference
from gradsweep.testing.fuzz.trial import Limits, Refused, Trial, refuses_too
from gradsweep.testing.fuzz.wrong import Wrong
from tests.support.random_functions import drawn_function

FRAMEWORKS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("jax", marks=pytest.mark.jax),
]

QUICK = ("arithmetic", "elementwise", "shapes", "where")


def campaign(framework, n, only=QUICK, without=("growth",), **options):
    features = chosen(framework, without, only)
    options = {"shrink_seconds": 3.0} | options
    return Campaign(framework, features, n_functions=n, **options)


@pytest.fixture
def torch_rules():
    """The table of torch's rules, which a test may change while it runs."""
    pytest.importorskip("torch")
    from gradsweep.tracing.torch.recorder.operation import describe
    from gradsweep.tracing.torch.recorder.rules import RULES

    before = dict(RULES)
    describe.cache_clear()
    yield RULES
    RULES.clear()
    RULES.update(before)
    describe.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_nothing_is_found_where_nothing_is_wrong(framework):
    tried = campaign(framework, 8, seed=1)
    assert list(tried.run()) == []
    assert tried.counts.n_functions == 8
    assert tried.counts.n_points > 30


@pytest.mark.slow
@pytest.mark.torch
def test_a_sign_changed_in_a_rule_of_torch_is_found_and_can_be_pasted(torch_rules, capsys):
    right = torch_rules["cos"]
    torch_rules["cos"] = lambda call, x: -right(call, x)
    (failure,) = campaign("torch", 300, seed=2, shrink_seconds=30.0).run()
    assert failure.wrong.what.startswith("number")
    assert "sin" in failure.wrong.drawn.definition or "cos" in failure.wrong.drawn.definition
    assert len(failure.wrong.drawn.statements) <= 3
    exec(compile(failure.wrong.text, "<pasted>", "exec"), {"__name__": "pasted"})
    assert "Data variables" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.jax
def test_a_sign_changed_in_a_rule_of_jax_is_found(monkeypatch):
    from gradsweep.tracing.jax import lower

    right = lower.RULES["cos"]
    wrong = lambda b, equation, x: lower.elementwise(b, "neg", right(b, equation, x))  # noqa: E731
    monkeypatch.setitem(lower.RULES, "cos", wrong)
    (failure,) = campaign("jax", 300, seed=2).run()
    assert failure.wrong.what.startswith("number")


@pytest.mark.slow
@pytest.mark.torch
def test_a_number_that_stays_as_it_was_at_the_first_point_is_found(torch_rules):
    def stale(call, x):
        return call(call.out)

    torch_rules["tanh"] = stale
    (failure,) = campaign("torch", 400, seed=3).run()
    assert failure.wrong.what == "number"
    assert "tanh" in failure.wrong.text


@pytest.mark.torch
def test_a_dim_that_is_lost_is_found(monkeypatch):
    def forgetful(program, leaves):
        return Dependence(tuple(axes - {"j"} for axes in analyse(program, leaves).axes))

    monkeypatch.setattr(prepared, "analyse", forgetful)
    found = list(campaign("torch", 300, seed=4).run())
    assert len(found) == 1
    assert "'j'" in found[0].wrong.drawn.arguments.text


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_call_that_does_not_return_is_found(monkeypatch):
    def stuck(*arguments):
        while True:
            pass

    monkeypatch.setitem(simplification.RULES, "div", stuck)
    (failure,) = campaign("torch", 300, seed=5, limits=Limits(0.5)).run()
    assert failure.wrong.what == "time"


@pytest.mark.torch
def test_an_error_that_is_not_in_words_is_found(torch_rules):
    def broken(call, x):
        raise ZeroDivisionError("planted")

    torch_rules["exp"] = broken
    drawn = drawn_function("torch", ["y = torch.exp(x)"], "y", x=np.array([0.5, 1.5, 2.0]))
    trial = Trial(drawn, Counts(), Limits())
    trial.run(Combination("value", engine="loop"))  # it still runs on torch itself
    torch_rules["exp"] = lambda call, x: call.nothing_of_this_name
    trial.run(Combination("value"))


@pytest.mark.slow
@pytest.mark.torch
def test_the_command_prints_the_failure_and_how_to_find_it_again(torch_rules, capsys):
    right = torch_rules["cos"]
    torch_rules["cos"] = lambda call, x: -right(call, x)
    words = ["--framework", "torch", "--only", ",".join(QUICK), "--functions", "300"]
    assert main([*words, "--seed", "2", "--shrink", "3", "--without", "growth"]) == 1
    printed = capsys.readouterr().out
    assert "def f(" in printed
    assert "sweep = gs.Sweep(" in printed
    assert "--framework torch --depth sampled --seed 2" in printed
    assert "1 wrong" in printed


@pytest.mark.torch
def test_the_command_is_content_where_nothing_is_wrong(capsys):
    words = ["--framework", "torch", "--only", "arithmetic", "--functions", "5"]
    assert main([*words, "--without", "growth"]) == 0
    assert "5 functions" in capsys.readouterr().out


def test_an_unknown_feature_is_told_by_name(capsys):
    assert main(["--without", "complecs"]) == 2
    assert "Did you mean 'complex'?" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="there is no feature 'x'"):
        chosen("torch", only=["x"])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_full_depth_asks_for_every_quantity_by_every_engine(framework):
    arguments = Arguments((Drawn("x", ("i",), np.array([0.5, 1.0, 2.0])),))
    asked = list(combinations(framework, arguments, {"": ()}, chosen(framework)))
    quantities = {combination.quantity for combination in asked}
    assert quantities == {
        *("value", "gradient", "jacobian", "jvp", "contributions", "vjp", "hessian", "hvp")
    }
    engines = {combination.engine for combination in asked}
    assert engines == {
        "auto", "fused", "reference", "loop", "torch" if framework == "torch" else "xla",
    }  # fmt: skip
    assert {c.mode for c in asked if c.quantity == "jacobian"} == {"auto", "reverse", "forward"}


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_quantity_of_a_function_in_full_depth_is_right(framework):
    xp = "torch" if framework == "torch" else "jnp"
    drawn = drawn_function(
        framework,
        [f"v = {xp}.sin(x) * w", f"u = {xp}.exp(v) * y"],
        "{'p': u.sum(), 'q': {'r': v.sum(), 's': y * y}}",
        x=np.array([0.3, 0.8, 1.4]),
        y=1.25,
    )
    w = Drawn("w", ("i",), np.array([[0.5, -1.0], [2.0, 0.3], [0.1, 0.7]]))
    drawn = replace(drawn, arguments=Arguments((*drawn.arguments.every, w)))
    counts = Counts()
    trial = Trial(drawn, counts, Limits())
    asked = list(combinations(framework, drawn.arguments, trial.outputs, chosen(framework)))
    for combination in asked:
        trial.run(combination)
    trial.check_precisely()
    assert counts.n_combinations == len(asked)
    assert counts.n_programs == 2
    assert not counts.excluded


def drawn_with_complex_arguments(framework):
    conjugate = "c.conj()" if framework == "torch" else "jnp.conj(c)"
    z = Drawn("c", ("i",), np.array([0.5 - 1j, 0.3 + 0.2j, 1.1 + 0.9j]))
    d = Drawn("d", (), np.array([1 + 2j, 0.5j]))
    lines = [f"v = c * c * d + {conjugate} * x", "u = v[0] * v[1]"]
    drawn = drawn_function(framework, lines, "{'p': u.real, 'q': v.imag}", x=np.array([0.3, 1, 2]))
    return replace(drawn, arguments=Arguments((*drawn.arguments.every, z, d)))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_quantity_of_complex_arguments_is_right(framework):
    drawn, counts = drawn_with_complex_arguments(framework), Counts()
    trial = Trial(drawn, counts, Limits())
    for combination in combinations(framework, drawn.arguments, trial.outputs, chosen(framework)):
        if combination.engine == "reference" and combination.mode == "auto":
            trial.run(combination)
    trial.check_precisely()
    assert counts.n_combinations >= 6 and counts.n_programs == 2
    assert not counts.excluded


@pytest.mark.torch
def test_a_complex_argument_that_comes_conjugated_is_found(monkeypatch):
    from gradsweep.request import function

    join = function.join_parts
    monkeypatch.setattr(function, "join_parts", lambda parts: join(parts).conj())
    trial = Trial(drawn_with_complex_arguments("torch"), Counts(), Limits())
    with pytest.raises(Wrong, match="d[pq]_dc at"):
        trial.run(Combination("jacobian", wrt=("c",)))


def test_complex_arguments_are_drawn_and_can_be_pasted():
    drawn = drawn_with_complex_arguments("torch")
    sweep = eval(f"gs.Sweep({drawn.arguments.text})", {"gs": gs, "np": np})
    for one, other in zip(sweep.leaves, drawn.arguments.sweep.leaves):
        np.testing.assert_array_equal(one.values, other.values)
    assert "complex_arguments" in chosen("torch") and "complex_arguments" in chosen("jax")


@pytest.mark.torch
def test_torchs_polygamma_has_all_digits_in_the_reference():
    import mpmath
    import torch

    from gradsweep.testing.fuzz.reference.torch import TorchReference

    def f(x):
        return torch.digamma(x)

    found = TorchReference(f, ["x"], "float64").at({"x": 1.88811776}, 1)
    with mpmath.workdps(40):
        exact = float(mpmath.polygamma(1, mpmath.mpf(1.88811776)))
    assert found.J["", "x"] == pytest.approx(exact, rel=1e-14)
    x = torch.tensor(1.88811776, dtype=torch.float64)
    assert torch.polygamma(1, x).item() != pytest.approx(exact, rel=1e-11)


@pytest.mark.torch
def test_the_kink_of_a_special_point_is_judged():
    """An excuse would hide a frontend that takes another value there."""
    drawn = drawn_function("torch", [], "torch.relu(x)", x=np.array([-1.0, 0.0, 2.0]))
    reference = make_reference("torch", drawn.make(), ["x"], "float64")
    judge = Judge(drawn.arguments, reference, 8, Counts())
    combination = Combination("gradient", mode="reverse")
    ds = gs.gradient(drawn.make(), drawn.arguments.sweep)
    assert judge.disagreement(combination, ds) == ""
    ds["df_dx"] = ds.df_dx.copy(data=[0.0, 1.0, 1.0])
    assert "df_dx at {'x': 0.0}" in judge.disagreement(combination, ds)


@pytest.mark.torch
def test_what_rounding_decides_is_excluded_and_counted():
    # 0.1 + 0.2 > 0.3 by a rounding.
    lines = ["v = torch.where(x + 0.2 > 0.3, x, -x)"]
    drawn = drawn_function("torch", lines, "v", x=np.array([0.1, 0.7, -0.4]))
    reference = make_reference("torch", drawn.make(), ["x"], "float64")
    counts = Counts()
    judge = Judge(drawn.arguments, reference, 8, counts)
    ds = gs.gradient(drawn.make(), drawn.arguments.sweep)
    ds["df_dx"] = ds.df_dx.copy(data=[-1.0, 1.0, -1.0])
    assert judge.disagreement(Combination("gradient"), ds) == ""
    assert counts.excluded == {"unsettled by rounding": 1}


@pytest.mark.torch
def test_what_torch_refuses_is_drawn_again_and_has_to_be_refused():
    drawn = drawn_function(
        "torch", ["y = x.exp()", "y.mul_(2.0)", "y = y * y"], "y", x=np.array([0.1, 0.7, 1.4])
    )
    counts = Counts()
    with pytest.raises(Refused, match="modified by an inplace operation"):
        Trial(drawn, counts, Limits())
    refuses_too(drawn, counts, Limits())
    assert counts.n_refused_too == 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_tracing_grows_linearly_with_the_length_of_a_loop(framework):
    xp = "torch" if framework == "torch" else "jnp"
    body = _loop(framework, [f"v = {xp}.sin(x) * y", "x = v * 0.5 + x"])
    counts = Counts()
    check_body(body, counts, Limits(60.0))
    assert counts.n_growths == 1


@pytest.mark.slow
@pytest.mark.torch
def test_a_rewriting_rule_that_is_exponential_is_found(monkeypatch):
    def as_tree(b, variable, depth):
        equation = b.equation(variable)
        return b.emit("neg", variable) if equation is None else _again(b, equation, depth)

    def _again(b, equation, depth):
        # Every operand is written again, though operands share theirs.
        for operand in equation.operands if depth else ():
            as_tree(b, operand, depth - 1)

    right = simplification.RULES["mul"]

    def rule(b, x, y):
        as_tree(b, x, 14)
        return right(b, x, y)

    monkeypatch.setitem(simplification.RULES, "mul", rule)
    body = _loop("torch", ["v = x * x + x", "u = v * v + v", "x = torch.tanh(u * v)"])
    with pytest.raises(Wrong) as caught:
        check_body(body, Counts(), Limits(5.0))
    assert caught.value.what == "growth"


def test_linear_is_linear_and_quadratic_is_not():
    assert is_linear([n * 100_000 + 7 for n in (1, 2, 4)])
    assert not is_linear([n * n * 100_000 for n in (1, 2, 4)])
    assert not is_linear([2**n * 1000 for n in (4, 8, 16)])


@pytest.mark.torch
def test_calls_are_counted_the_same_each_time():
    body = repeated(_loop("torch", ["x = torch.sin(x) * y"]), 6)
    calls_of_tracing(body)  # the first call fills caches, which would make the counts differ
    assert calls_of_tracing(body) == calls_of_tracing(body)


def _loop(framework, lines):
    drawn = drawn_function(framework, [], "x", x=np.array([0.5, 0.7, 1.1]), y=0.9)
    loop = ("for _ in range(1):", *(f"    {line}" for line in lines))
    return replace(drawn, statements=(Statement("loops", loop),))


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_same_seed_draws_the_same_functions(framework):
    first, second = (campaign(framework, 10, seed=7) for _ in range(2))
    assert list(first.run()) == list(second.run()) == []
    assert first.counts.line == second.counts.line
    assert first.counts.features == second.counts.features


def test_without_hypothesis_the_scenarios_can_be_imported_and_the_machine_says_what_it_needs():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import gradsweep.testing\n"
        "from gradsweep.errors import MissingPackage\n"
        "try:\n    import gradsweep.testing.fuzz\n"
        "except MissingPackage as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'gradsweep[test]'" in run.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("framework", [*FRAMEWORKS, "numpy"])
def test_random_functions_agree_with_the_framework(framework):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(framework)
    words = ["--framework", framework, "--seconds", "40", "--seed", "2024", "--limit", "60"]
    command = [sys.executable, "-X", "faulthandler", "-m", "gradsweep.testing.fuzz", *words]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
