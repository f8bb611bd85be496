"""Checks of functions that solve equations: estimates have more digits than their tolerance."""

from contextlib import nullcontext

import pytest

import gradsweep as gs
from gradsweep.checks import precision
from tests.support.controls import must_fail


def cube(a, b):
    return gs.find_root(lambda y: y**3 + b * y - a, 1.0) * b


def root(a):
    """Its start is the solution at a = 1, so that a search ends at once beside it."""
    return gs.find_root(lambda y: y * y - a, 1.0)


def require_agreement(framework, f=cube, **arguments):
    """Steps are 1e-20 long, and second differences 1e-40 apart."""
    options = {"quantity": "hessian", "framework": framework, "estimates": "mpmath"}
    found = gs.check(f, gs.Sweep(arguments), **options)
    assert found.ok and found.sentence.startswith(f"The hessian of {f.__name__} agrees with mpmath")


@pytest.mark.parametrize(
    "framework",
    [
        pytest.param("torch", marks=pytest.mark.torch),
        pytest.param("jax", marks=pytest.mark.jax),
    ],
)
def test_a_hessian_agrees_with_differences_in_sixty_digits(framework, monkeypatch):
    pytest.importorskip(framework)
    require_agreement(framework, a=5.0, b=1.0)
    require_agreement(framework, root, a=1.0)
    monkeypatch.setattr(precision, "in_high_precision", nullcontext)
    must_fail(require_agreement, framework, root, a=1.0)


@pytest.mark.jax
def test_a_loop_of_jax_that_ends_at_a_tolerance_is_noted():
    lax = pytest.importorskip("jax").lax

    def by_hand(a):
        # In float32, in which JAX computes with plain floats, it would go on for ever.
        return lax.while_loop(lambda y: abs(y * y - a) > 1e-12, lambda y: (y + a / y) / 2, a)

    found = gs.check(by_hand, a=[2.0], mode="forward", estimates="mpmath")
    assert any("gs.find_root" in note for note in found.notes)


@pytest.mark.torch
def test_a_python_loop_that_ends_at_a_tolerance_is_noted_by_its_line_and_find_root_is_not():
    pytest.importorskip("torch")

    def by_hand(a):
        y = a
        while abs(y * y - a) > 1e-12:
            y = (y + a / y) / 2
        return y

    def branched(a):
        return a * a if a > 0 else -a

    found = gs.check(by_hand, a=[2.0], framework="torch", estimates="mpmath")
    (note,) = (note for note in found.notes if "gs.find_root" in note)
    assert "test_checks_of_equations.py" in note and "while abs(y * y - a)" in note
    for f in (branched, lambda a: cube(a, 1.0)):
        found = gs.check(f, a=[2.0], framework="torch", estimates="mpmath")
        assert not any("gs.find_root" in note for note in found.notes)
