"""The verdicts of a comparison, its refusals and its text."""

import json

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.cli import main
from gradsweep.comparison.race import Row
from gradsweep.errors import ArgumentError, SweepError
from gradsweep.program.primitives import INTEGER_ONLY, PRIMITIVES
from tests.support.comparisons import QUICK, SWEEP, comparison, f, row

# -- verdicts, from times that are made up


def test_the_sentence_names_the_winner_and_by_how_much():
    found = comparison(
        row("fused", "gradsweep", 1000, 1.0, 1.0, 1.1),
        row("labelled call", "gradsweep", 1000, 8.2, 8.2, 8.3),
        row("jit(vmap(grad))", "JAX", 1000, 4.1, 4.1, 4.2),
        row("vmap(grad)", "torch", 1000, 20.0, 20.0, 21.0),
    )
    assert found.winner == "fused"
    assert found.sentence == (
        "Over 1,000 points, gradsweep's compiled kernel (fused) is 4.1 x faster than JAX's best "
        "here (jit(vmap(grad))) and 20 x faster than torch's best here (vmap(grad)); "
        "gradsweep's labelled call is 2.0 x slower than JAX's best here (jit(vmap(grad))) and "
        "2.4 x faster than torch's best here (vmap(grad)); by hand, JAX beats torch at every size."
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


@pytest.mark.parametrize(
    "ours, theirs, told",
    [
        # quartiles 1 and 1 beside 2 and 6: the ratio may be anything from 2 to 6
        (
            (1.0, 1.0, 1.0, 1.0, 1.0),
            (1.9, 2.0, 4.0, 6.0, 6.1),
            "2.0 to 6.0 x faster than JAX's best here (jit(vmap(grad))), whose timings spread",
        ),
        (
            (1.0, 1.0, 2.0, 4.0, 4.0),
            (8.0, 8.0, 8.0, 8.0, 8.0),
            "2.0 to 8.0 x faster than JAX's best here (jit(vmap(grad))), since its own timings",
        ),
        (
            (1.0, 1.0, 1.5, 2.0, 2.0),
            (8.0, 8.0, 12.0, 16.0, 16.0),
            "4.0 to 16 x faster than JAX's best here (jit(vmap(grad))), since both",
        ),
        (
            (1.0, 1.0, 1.0),
            (4.0,),
            "4.0 x faster than JAX's best here (jit(vmap(grad))), timed once",
        ),
        # the control: steady timings leave no doubt
        ((1.0, 1.0, 1.1), (4.0, 4.0, 4.1), "4.0 x faster than JAX's best here (jit(vmap(grad)))."),
    ],
)
def test_the_sentence_says_its_doubt_where_timings_spread(ours, theirs, told):
    found = comparison(
        row("fused", "gradsweep", 1000, *ours), row("jit(vmap(grad))", "JAX", 1000, *theirs)
    )
    assert told in found.sentence


def test_a_labelled_call_that_is_too_close_to_call_says_so():
    found = comparison(
        row("fused", "gradsweep", 9, 1.0, 1.0, 1.0),
        row("labelled call", "gradsweep", 9, 3.0, 4.0, 5.0),
        row("jit(vmap(grad))", "JAX", 9, 4.0, 4.1, 4.2),
    )
    assert found.sentence.endswith(
        "gradsweep's labelled call is too close to call with JAX's best here (jit(vmap(grad)))."
    )


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
        row("fused", "gradsweep", 10, 9.0, 9.0, 9.0),
        row("jit(vmap(jacrev))", "JAX", 10, 3.0, 3.0, 3.0),
    )
    assert found.winner == "jit(vmap(jacrev))"
    assert found.sentence.startswith(
        "Over 10 points, JAX's jit(vmap(jacrev)) is 3.0 x faster than gradsweep's best here "
        "(compiled kernel, fused)."
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


# -- wrong options


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


@pytest.mark.slow
def test_the_command_prints_the_sentence_first(model, capsys):
    words = ["compare", model, "--over", "x=1:2:5", "--at", "y=2.0", "--rivals", "fused,reference"]
    assert main([*words, "--points", "3,30", "--budget", "0.1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Over 30 points, ") and "3 points\n" in out
    assert main([*words, "--budget", "0.1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {row["rival"] for row in document["rows"]} == {"fused", "reference"}
    assert main([*words, "--points", "many"]) == 2
    assert "give sizes, such as 9,1000,1000000" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_saves_a_figure(model, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    words = ["compare", model, "--over", "x=1:2:5", "--at", "y=2.0", "--rivals", "fused,reference"]
    assert main([*words, "--points", "3,30", "--budget", "0.1", "--plot", "race.png"]) == 0
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")


# -- Programs in another framework


def table(name):
    pytest.importorskip(name)
    import importlib

    return importlib.import_module(f"gradsweep.interpreters.{name}")


# Where each primitive is defined, if not on the whole line.
_DOMAINS = {
    "acos": (-1, 1), "asin": (-1, 1), "atanh": (-0.9, 0.9), "erfinv": (-0.9, 0.9),
    "ndtri": (0.1, 0.9), "acosh": (1.1, 3), "log": (0.1, 3), "log2": (0.1, 3), "log10": (0.1, 3),
    "log1p": (-0.5, 3), "sqrt": (0.1, 3), "pow": (0.1, 3), "digamma": (0.5, 3), "lgamma": (0.5, 3),
    "polygamma": (0.5, 3), "zeta": (1.5, 4), "igamma": (0.5, 3), "igammac": (0.5, 3),
}  # fmt: skip


@pytest.mark.slow
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
    if name == "lookup":
        operands[0] = values[0].astype("int64")
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
