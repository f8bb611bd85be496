"""Random functions written with NumPy: the reference by differences, and planted faults."""

import math

import numpy as np
import pytest

from gradsweep.testing.fuzz import Campaign, chosen
from gradsweep.testing.fuzz import __main__ as command
from gradsweep.testing.fuzz import campaign as campaigns
from gradsweep.testing.fuzz.combinations import Combination
from gradsweep.testing.fuzz.counts import Counts
from gradsweep.testing.fuzz.drawing.numpy.dialect import NumpyDialect
from gradsweep.testing.fuzz.reference.choice import make_reference
from gradsweep.testing.fuzz.trial import Limits, Trial
from gradsweep.testing.fuzz.wrong import Wrong
from gradsweep.tracing.numpy.memory import PartOfComplex
from tests.support.random_functions import drawn_function


def reference_of(drawn, wrt):
    return make_reference("numpy", drawn.make(), wrt, "float64")


def test_differences_give_first_and_second_derivatives_of_closed_forms():
    drawn = drawn_function(
        "numpy",
        ["w = np.zeros(2)", "w[0] = np.exp(-x * y)", "w[1] = helper(x)"],
        "w[0] * 2.0 + w[1] * y",
        ("def helper(u):\n    return math.sin(u) ** 2",),
        x=0.7,
        y=1.3,
    )
    at = reference_of(drawn, ["x", "y"]).at({"x": 0.7, "y": 1.3}, 2)
    x, y = 0.7, 1.3
    e = math.exp(-x * y)
    assert at.y[""] == pytest.approx(2 * e + math.sin(x) ** 2 * y, rel=1e-15)
    assert at.J["", "x"] == pytest.approx(-2 * y * e + math.sin(2 * x) * y, rel=1e-14)
    assert at.J["", "y"] == pytest.approx(-2 * x * e + math.sin(x) ** 2, rel=1e-14)
    assert at.H["", "x", "x"] == pytest.approx(2 * y * y * e + 2 * math.cos(2 * x) * y, rel=1e-12)
    mixed = -2 * e + 2 * x * y * e + math.sin(2 * x)
    assert at.H["", "x", "y"] == at.H["", "y", "x"] == pytest.approx(mixed, rel=1e-12)


def test_rows_of_an_array_argument_stand_where_they_belong():
    values = {"x": 0.5, "w": np.array([0.3, -1.1, 2.0])}
    drawn = drawn_function("numpy", ["p = np.cumsum(w)"], "p * x", **values)
    at = reference_of(drawn, ["w", "x"]).at(values, 1)
    np.testing.assert_allclose(at.J["", "w"], 0.5 * np.tri(3), atol=1e-14)
    np.testing.assert_allclose(at.J["", "x"], np.cumsum(values["w"]), rtol=1e-14)


@pytest.mark.parametrize(
    ("text", "slope"),
    [("np.abs(x - 0.3)", 1.0), ("np.floor(x + 0.7)", 0.0), ("np.maximum(x, 0.3)", 1.0)],
)
def test_a_derivative_at_a_kink_or_a_step_is_not_settled(text, slope):
    at = reference_of(drawn_function("numpy", [], text, x=0.3), ["x"]).at({"x": 0.3}, 1)
    assert np.isnan(at.J["", "x"])
    smooth = reference_of(drawn_function("numpy", [], text, x=0.45), ["x"]).at({"x": 0.45}, 1)
    assert smooth.J["", "x"] == pytest.approx(slope, rel=1e-13)


def test_slopes_over_wide_steps_that_agree_by_chance_are_not_settled():
    """(y^4 // 0.5)^2 jumps twice within the widest steps, by as much over each of two."""
    drawn = drawn_function("numpy", [], "((y * y * y * y) // 0.5) ** 2", y=-1.2192)
    at = reference_of(drawn, ["y"]).at({"y": -1.2192}, 1)
    assert np.isnan(at.J["", "y"])


def test_complex_numbers_are_long_doubles_and_their_parts_are_differentiated():
    lines = ["v = cmath.sqrt(c) * complex(x, 2.0)", "w = np.array([v, cmath.rect(x, 0.5)])"]
    lines += ["w.imag += x", "w.real[0] = 3.0 * x"]
    values = {"x": 0.7, "c": 0.3 - 1.1j}
    drawn = drawn_function("numpy", lines, "w[0].imag + w.real.sum()", **values)
    at = reference_of(drawn, ["x", "c"]).at(values, 1)
    root = np.sqrt(values["c"])
    expected = root.imag + 1 + 3 + math.cos(0.5)
    assert at.J["", "x"] == pytest.approx(expected, rel=1e-14)
    slope = (0.7 + 2j) / (2 * root)  # of v by c
    np.testing.assert_allclose(at.J["", "c"], [slope.imag, slope.real], rtol=1e-13)


def test_a_write_into_a_part_that_loses_the_other_is_found(monkeypatch):
    def trial(factor):  # another function each time, which is traced anew
        lines = [f"v = np.array([x, 1j, y]) * ({factor} + 0.5j)", "v.real[1] = x * y"]
        values = {"x": np.array([0.3, 0.8, 1.4]), "y": 0.7}
        drawn = drawn_function("numpy", lines, "v.imag.sum() * v.real.sum()", **values)
        return Trial(drawn, Counts(), Limits())

    trial(1.0).run(Combination("gradient"))

    def put(self, whole, part, library):
        return library.complex(part, whole.imag * 0.0)

    monkeypatch.setattr(PartOfComplex, "put", put)
    with pytest.raises(Wrong, match="df_d[xy] at"):
        trial(2.0).run(Combination("gradient"))


def campaign(n, **options):
    features = chosen("numpy", ("mpmath",))
    return Campaign("numpy", features, n_functions=n, **{"shrink_seconds": 3.0} | options)


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is_wrong():
    tried = campaign(40, seed=3)
    assert list(tried.run()) == []
    assert tried.counts.n_functions == 40
    # Most numbers are judged: what differences do not settle is the smaller part.
    assert tried.counts.excluded.total() < 0.2 * tried.counts.n_points


@pytest.mark.slow
@pytest.mark.torch
def test_a_sign_changed_in_a_rule_is_found_and_can_be_pasted(monkeypatch, capsys):
    from gradsweep.tracing.torch.recorder.operation import describe
    from gradsweep.tracing.torch.recorder.rules import RULES

    right = RULES["cos"]
    monkeypatch.setitem(RULES, "cos", lambda call, x: -right(call, x))
    describe.cache_clear()
    try:
        (failure,) = campaign(300, seed=5, shrink_seconds=20.0).run()
        assert failure.wrong.what.startswith("number")
        exec(compile(failure.wrong.text, "<pasted>", "exec"), {"__name__": "pasted"})
        assert "Data variables" in capsys.readouterr().out
    finally:
        describe.cache_clear()


def test_the_framework_that_computes_is_prepared_and_forgets(monkeypatch):
    done = []
    monkeypatch.setattr(campaigns, "_forget", lambda framework: done.append(framework))
    monkeypatch.setattr(command, "_use_one_thread", lambda: done.append("one thread"))
    for computes in ("torch", "jax"):
        monkeypatch.setattr(NumpyDialect, "computed_by", computes)
        words = ["--framework", "numpy", "--functions", "1", "--only", "arithmetic"]
        assert command.main([*words, "--without", "second_order,mpmath"]) == 0
    assert done == ["one thread", "torch", "jax"]
