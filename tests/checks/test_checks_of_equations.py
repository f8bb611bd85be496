"""Checks of functions that solve equations: estimates have more digits than their tolerance."""

from contextlib import nullcontext

import pytest

import gradsweep as gs
from gradsweep.checks import precision
from tests.support.controls import must_fail


def cube(a, b):
    return gs.find_root(lambda y: y**3 + b * y - a, 1.0) * b


def require_agreement(framework):
    """Steps are 1e-20 long, and second differences 1e-40 apart."""
    sweep = gs.Sweep(a=[1.0, 2.0, 5.0], b=1.0)
    found = gs.check(cube, sweep, quantity="hessian", framework=framework, estimates="mpmath")
    assert found.ok and found.sentence.startswith("The hessian of cube agrees with mpmath")


@pytest.mark.parametrize(
    "framework",
    [
        pytest.param("torch", marks=pytest.mark.torch),
        pytest.param("jax", marks=pytest.mark.jax),
    ],
)
def test_a_hessian_agrees_with_differences_in_sixty_digits(framework, monkeypatch):
    pytest.importorskip(framework)
    require_agreement(framework)
    monkeypatch.setattr(precision, "in_high_precision", nullcontext)
    must_fail(require_agreement, framework)
