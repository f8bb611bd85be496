"""Points where an equation inside the function was not solved: counted, and told once."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.cli import main

A, B = [2.0, -4.0, 0.5], [1.0, 2.0, 5.0, 6.0]


def root(a):
    return gs.find_root(lambda y: y * y - a, 1.0)


def sums(a, b):
    return root(a + b)


def test_points_that_were_not_solved_are_counted_and_told_once(framework):
    sweep = gs.Sweep(a=A, b=B)
    with pytest.warns(gs.errors.GradsweepWarning, match="not solved at 2 points") as told:
        found = gs.gradient(sums, sweep, framework=framework)
    n_negative = int(np.sum(np.add.outer(A, B) < 0))
    assert found.attrs["not_converged"] == n_negative == np.isnan(found.dsums_da).sum()
    assert len(told) == 1


def test_a_point_where_two_equations_fail_counts_once_along_their_own_axes(framework):
    def f(a, b):
        return root(a) + b * root(a - 1)

    with pytest.warns(gs.errors.GradsweepWarning, match="at 2 points"):
        found = gs.gradient(f, a=A, b=B, framework=framework)
    assert found.attrs["not_converged"] == 2  # -4 and 0.5, whatever b is


def test_nan_of_another_cause_is_none_that_was_not_solved(framework, recwarn):
    def f(a, b):
        return root(b) + (a - a) / (a - a) * b

    found = gs.value(f, a=A, b=B, framework=framework)
    assert np.isnan(found.f).all() and found.attrs["not_converged"] == 0
    assert "not_converged" not in gs.value(lambda a: a * a, a=[1.0, np.nan]).attrs
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore:.*not solved at")
def test_an_equation_inside_an_equation_is_none_of_its_own(framework):
    """The inner one has no solution on the way, and the outer one has one."""

    def f(a):
        return gs.find_root(lambda z: gs.find_root(lambda y: y * y - z, 1.0) - a, 3.0)

    assert gs.value(f, a=[1.5, 1.0], framework=framework).attrs["not_converged"] == 0
    assert gs.value(f, a=[1.5, -1.0], framework=framework).attrs["not_converged"] == 1


@pytest.mark.filterwarnings("ignore:.*not solved at")
def test_functions_of_numpy_and_categories(framework):
    def f(a, kind):
        return gs.find_root(lambda y: np.exp(y) - a, 1.0) if kind == "log" else np.sqrt(a)

    sweep = gs.Sweep(a=A, kind=["log", "root"])
    found = gs.value(f, sweep, framework=framework)
    assert np.isnan(found.f).sum() == 2
    assert found.attrs["not_converged"] == 1  # the root of -4 is none of them


@pytest.mark.jax
def test_a_jitted_function_is_counted_and_one_that_cannot_be_is_told():
    jax = pytest.importorskip("jax")
    with pytest.warns(gs.errors.GradsweepWarning, match="at 1 point"):
        found = gs.value(jax.jit(root), a=A, engine="reference")
    assert found.attrs["not_converged"] == 1

    def scanned(a):
        return jax.lax.scan(lambda c, _: (root(c), None), a, None, length=2)[0]

    with pytest.warns(gs.errors.GradsweepWarning, match="cannot be told"):
        found = gs.value(scanned, a=A, engine="reference")
    assert "not_converged" not in found.attrs


def test_the_command_s_last_line_tells_it(tmp_path, capsys, framework):
    pytest.importorskip("rich")
    model = tmp_path / "model.py"
    model.write_text(
        "import gradsweep as gs\ndef root(a):\n    return gs.find_root(lambda y: y * y - a, 1.0)\n"
    )
    main(["value", f"{model}:root", "--over", "a=4,-2,-1", "--framework", framework])
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1] == "gradsweep: an equation was not solved at 2 points"
