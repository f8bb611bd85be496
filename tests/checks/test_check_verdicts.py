"""The estimates of a check, its verdicts, its refusals and its text."""

import json
import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import gradsweep as gs
from examples import question
from gradsweep.checks.judgement import Tolerance, judge
from gradsweep.checks.reading import Reading
from gradsweep.cli import main
from tests.support.checks import GRID, torch_sine

ROOT = Path(__file__).parents[2]


# -- estimates


@pytest.mark.torch
@pytest.mark.jax
def test_operators_alone_are_checked_by_the_other_framework():
    check = gs.check(question.f, question.sweep(), estimates="other", framework="torch")
    assert check.ok
    assert {row.estimate for row in check.rows} == {"jax"}


@pytest.mark.torch
@pytest.mark.jax
@pytest.mark.parametrize("sign, is_ok", [(1.0, True), (-1.0, False)])
def test_a_program_is_checked_by_the_other_framework(sign, is_ok, monkeypatch):
    import jax.numpy as jnp

    table = types.ModuleType("gradsweep.interpreters.jax")
    table.OPERATIONS = {"sin": jnp.sin, "mul": jnp.multiply}
    table.constant = lambda entry: jnp.asarray(entry.value)
    monkeypatch.setitem(sys.modules, table.__name__, table)
    check = gs.check(torch_sine(sign), GRID, estimates="other")
    assert check.ok == is_ok
    assert {row.estimate for row in check.rows} == {"jax"}


def _without_a_program(x, y):
    import torch

    return torch.linalg.eigvals(torch.stack([x, y, y, -x]).reshape(2, 2)).abs().sum()


@pytest.mark.slow
@pytest.mark.torch
def test_an_estimate_that_cannot_be_made_is_listed_with_its_reason():
    check = gs.check(_without_a_program, GRID)
    reasons = {note.name: note.reason for note in check.estimates}
    assert reasons["mpmath"].startswith("the function has no Program: ")
    assert reasons["scipy"] == ""
    assert "mpmath: unavailable: the function has no Program" in str(check)


@pytest.mark.torch
def test_nothing_compared_is_not_ok():
    check = gs.check(_without_a_program, GRID, estimates="mpmath")
    assert not check.ok
    assert {row.verdict for row in check.rows} == {"unchecked"}
    assert check.sentence.startswith("Nothing to say of the gradient of without_a_program")


@pytest.mark.torch
def test_the_same_seed_draws_the_same_points():
    sweep = gs.Sweep(x=np.linspace(0.1, 1.0, 50), y=np.linspace(1.0, 2.0, 30))
    draw = lambda rng: gs.check(lambda x, y: x * y, sweep, rng=rng, estimates="mpmath")  # noqa: E731
    assert draw(1).to_json() == draw(1).to_json()
    assert draw(1).described != draw(2).described


@pytest.mark.torch
def test_many_arguments_are_sampled_and_it_is_said():
    n = 100
    check = gs.check(
        lambda w: (w**2).sum(), gs.Sweep(w=((), np.linspace(1.0, 2.0, n))), estimates="mpmath"
    )
    assert check.ok
    assert len(check.rows) == 64
    assert check.notes == (f"64 of {n} elements of the arguments are looked at",)


# -- its text


@pytest.mark.torch
def test_a_check_is_a_dataset_and_a_json_document():
    check = gs.check(torch_sine(-1.0), GRID, n_points=5)
    ds = check.to_dataset()
    assert ds.sizes["row"] == len(check.rows)
    np.testing.assert_array_equal(ds.suspicious, [row.is_suspicious for row in check.rows])
    np.testing.assert_allclose(ds.absolute, np.abs(ds.computed - ds.estimated))
    assert ds.x.dims == ("row",)
    document = json.loads(check.to_json())
    assert document["ok"] is False
    assert document["n_suspicious"] == len(check.suspicious)
    assert document["rows"][0].keys() >= {"computed", "estimated", "absolute", "relative", "error"}


@pytest.mark.torch
def test_the_verdict_comes_first_then_a_line_for_each_derivative_then_the_rows():
    check = gs.check(torch_sine(-1.0), GRID, n_points=2)
    lines = str(check).splitlines()
    assert lines[0] == check.sentence
    assert [line.split()[0] for line in lines[3:5]] == ["df_dx", "df_dy"]
    start = lines.index("Suspicious rows of df_dx:")
    assert "x=" in lines[start + 2] and "y=" in lines[start + 2]


# -- judging


DOUBLE = Tolerance(1e-9, None, "float64", 2.0**-52)


@pytest.mark.parametrize(
    ("computed", "reading", "verdict"),
    [
        (1.0, Reading(1.0 + 1e-10, 0.0), "agrees"),
        (1.0, Reading(1.0 + 1e-8, 0.0), "differs"),
        (1.0, Reading(1.0 + 1e-8, 1e-8), "agrees"),
        (1.0, Reading(1.5, 1.0), "unsure"),
        (0.0, Reading(0.0, 0.5, -1.0, 1.0), "kink"),
        (math.nan, Reading(1.0, 0.0), "differs"),
        (math.inf, Reading(math.nan, math.nan), "not finite"),
        (1.0, Reading(math.nan, math.nan), "unsure"),
        (1.0, Reading(math.nan, 0.0, math.nan, 1.0), "agrees"),
    ],
)
def test_a_number_is_judged(computed, reading, verdict):
    assert judge(computed, reading, DOUBLE, typical=1.0).verdict == verdict


def test_tolerances_of_the_user_replace_those_of_rounding():
    loose = Tolerance(0.0, 0.1, "float64", 2.0**-52)
    assert judge(1.05, Reading(1.0, 0.0), loose, typical=1.0).verdict == "agrees"
    assert judge(1.15, Reading(1.0, 0.0), loose, typical=1.0).verdict == "differs"


# -- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimates": "mpmth"}, "no estimate 'mpmth'.* Did you mean 'mpmath'"),
        ({"estimates": []}, "estimates is empty"),
        ({"n_points": 0}, "check at least one point"),
        ({"quantity": "gradiant"}, "Did you mean 'gradient'"),
        ({"wtr": "x"}, "no option 'wtr'.* Did you mean 'wrt'"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, message):
    with pytest.raises(gs_errors(), match=message):
        gs.check(lambda x, y: x * y, GRID, **options)


def gs_errors():
    from gradsweep.errors import GradsweepError

    return GradsweepError


@pytest.mark.torch
def test_an_empty_sweep_is_refused():
    with pytest.raises(gs_errors(), match="no points to check"):
        gs.check(lambda x: x**2, gs.Sweep(x=np.zeros(0)))


# -- the command line


MODEL = """
import torch

class Sine(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sin(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return -gradient * torch.cos(x)

def wrong(x):
    return Sine.apply(x)

def right(x):
    return torch.sin(x)
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "sines_to_check.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    yield "sines_to_check.py"
    sys.modules.pop("sines_to_check", None)


@pytest.mark.torch
@pytest.mark.parametrize("name, code", [("right", 0), ("wrong", 1)])
def test_the_exit_code_is_the_verdict(model, name, code, capsys):
    assert main(["check", f"{model}:{name}", "--over", "x=0.1:1:5", "--points", "3"]) == code
    out = capsys.readouterr().out
    assert out.startswith("Suspicious: 3 of 3" if code else "The gradient of right agrees with")


@pytest.mark.torch
def test_the_command_prints_json_and_takes_a_direction(model, capsys):
    words = [
        "check",
        f"{model}:wrong",
        "--over",
        "x=0.1:1:5",
        "--quantity",
        "jvp",
        "--along",
        "x=2",
    ]
    assert main([*words, "--estimates", "mpmath", "--seed", "3", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {row["estimate"] for row in document["rows"]} == {"mpmath"}
    assert document["quantity"] == "jvp"


@pytest.mark.torch
def test_the_command_takes_tolerances(model, capsys):
    words = ["check", f"{model}:wrong", "--over", "x=0.1:1:5", "--atol", "3", "--rtol", "0"]
    assert main(words) == 0
    capsys.readouterr()


def test_an_unknown_estimate_is_a_usage_error(capsys):
    words = ["check", f"{ROOT}/examples/question.py:f", "--over", "x0=1,2"]
    words += [word for i in range(1, 5) for word in ("--at", f"x{i}=1.0")]
    assert main([*words, "--estimates", "guess"]) == 2
    assert "there is no estimate 'guess'" in capsys.readouterr().err


# -- functions written for Python's own numbers


def by_division(x):
    try:
        return 1.0 / (x - 1.0)
    except ZeroDivisionError:
        return 0.0 * x


def by_power(x):
    try:
        return (x - 1.0) ** -2
    except ZeroDivisionError:
        return 0.0 * x


def by_remainder(x):
    try:
        return x % (x - 1.0) + x
    except ZeroDivisionError:
        return 0.0 * x


def by_a_helper(x):
    try:
        return _reciprocal(x - 1.0)
    except ArithmeticError:
        return 0.0 * x


def _reciprocal(x):
    return 1.0 / x


FOR_FLOATS = [by_division, by_power, by_remainder, by_a_helper]


@pytest.mark.torch
@pytest.mark.parametrize("f", FOR_FLOATS, ids=lambda f: f.__name__)
def test_a_branch_that_only_floats_can_take_is_told(f):
    check = gs.check(f, gs.Sweep(x=[0.5, 1.0, 2.0]), framework="torch")
    (note,) = check.notes
    assert "at x=1, Python's own numbers raise ZeroDivisionError at test_check_verdicts.py" in note
    assert "the branch that catches it can no longer be taken" in note
    # Results stay as the framework computes them.
    assert not np.isfinite(gs.value(f, gs.Sweep(x=[1.0, 2.0]), framework="torch").to_array()[0, 0])


@pytest.mark.torch
@pytest.mark.parametrize("f", FOR_FLOATS, ids=lambda f: f.__name__)
def test_where_floats_do_not_raise_nothing_is_told(f):
    assert gs.check(f, gs.Sweep(x=[0.5, 1.5, 2.0]), framework="torch").notes == ()
