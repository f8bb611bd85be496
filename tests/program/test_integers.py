"""Integers narrower than 64 bits wrap around as their type does, in torch and in JAX."""

import numpy as np
import pytest

import gradsweep as gs
from tests.support.plain_loop import assert_as_a_loop

POINTS = np.array([1.0, 2.0, 3.0])


def _written(target, value):
    target.copy_(value)
    return target


def _torch_functions(torch):
    return {
        "uint8": lambda x: (x * 100).to(torch.uint8) * 3 * x,
        "int8": lambda x: (x * 100).to(torch.int8) * 3 * x,
        "int16": lambda x: ((x * 20000).to(torch.int16) + 1) * x,
        "int32": lambda x: (x * 1e9).to(torch.int32) * 3 * x,
        "negated": lambda x: -(x * 64).to(torch.int8) * x,
        "magnitude": lambda x: ((x * 64).to(torch.int8) + 64).abs() * x,
        "below zero": lambda x: ((x * 10).to(torch.uint8) - 20) * x,
        "square": lambda x: ((x * 10).to(torch.uint8) ** 2) * x,
        "running sum": lambda x: torch.cumsum((x * 100).to(torch.uint8).repeat(3), 0).sum() * x,
        "in place": lambda x: (x * 100).to(torch.uint8).add_(100) * x,
        "written": lambda x: _written(torch.zeros((), dtype=torch.int16), x * 20000) * x,
        "widened again": lambda x: (x * 100).to(torch.uint8).to(torch.int64) * 3 * x,
        "stacked": lambda x: torch.stack([(x * 100).to(torch.int8)] * 2).sum() * x,
    }


def _jax_functions(jnp, lax):
    return {
        "int32": lambda x: (x * 1e9).astype(jnp.int32) * 3 * x,
        "int8": lambda x: (x * 100).astype(jnp.int8) * 3 * x,
        "uint8": lambda x: (x * 100).astype(jnp.uint8) * 3 * x,
        "uint32": lambda x: (x * 2e9).astype(jnp.uint32) * jnp.uint32(3) * x,
        "int64, saturated": lambda x: (x * 1e19).astype(jnp.int64) * x * 1e-10,
        "int8, saturated": lambda x: (-x * 100).astype(jnp.int8) * x,
        "uint16, saturated": lambda x: ((2.0 - x) * 1e5).astype(jnp.uint16) * x,
        "of NaN": lambda x: jnp.where(x > 1, jnp.nan, x).astype(jnp.int32) * x,
        "negated": lambda x: -(x * 64).astype(jnp.int8) * x,
        "divided": lambda x: (x * 1e17).astype(jnp.int64) // 7 * x * 1e-10,
        "by zero": lambda x: lax.div((x * 10).astype(jnp.int32), (x - 2).astype(jnp.int32)) * x,
        "rest by zero": lambda x: lax.rem((x * 9).astype(jnp.int8), (x - 2).astype(jnp.int8)) * x,
        "rest": lambda x: (-x * 10).astype(jnp.int16) % 7 * x,
        "cube": lambda x: (x * 10).astype(jnp.int8) ** 3 * x,
        "product": lambda x: jnp.dot(jnp.stack([(x * 50).astype(jnp.int8)] * 3), _ones(jnp)) * x,
        "added in place": lambda x: _added(jnp, x)[1] * x,
        "in a loop": lambda x: (
            lax.fori_loop(0, 5, lambda i, c: c * jnp.int8(3), (x * 10).astype(jnp.int8)) * x
        ),
        "in a long loop": lambda x: (
            lax.fori_loop(
                0, 3000, lambda i, c: c * jnp.int32(3) + jnp.int32(1), (x * 10).astype(jnp.int32)
            )
            * x
        ),
    }


def _ones(jnp):
    return jnp.ones(3, jnp.int8)


def _added(jnp, x):
    return jnp.full(3, 200, jnp.uint8).at[1].add((x * 50).astype(jnp.uint8))


_NAMES = {
    "torch": """uint8, int8, int16, int32, negated, magnitude, below zero, square, running sum,
        in place, written, widened again, stacked""",
    "jax": """int32; int8; uint8; uint32; int64, saturated; int8, saturated; uint16, saturated;
        of NaN; negated; divided; by zero; rest by zero; rest; cube; product; added in place;
        in a loop; in a long loop""",
}


def names(framework):
    separator = ";" if framework == "jax" else ","
    return [name.strip() for name in _NAMES[framework].split(separator)]


def functions(framework):
    module = pytest.importorskip(framework)
    if framework == "torch":
        return _torch_functions(module)
    return _jax_functions(pytest.importorskip("jax.numpy"), module.lax)


CASES = [
    pytest.param(framework, name, marks=getattr(pytest.mark, framework))
    for framework in _NAMES
    for name in names(framework)
]


@pytest.mark.slow
@pytest.mark.parametrize("framework, name", CASES)
def test_an_integer_is_what_its_type_can_hold(framework, name):
    f = functions(framework)[name]
    f.__name__ = "f"
    assert_as_a_loop(f, framework, points=POINTS)
    plan = gs.plan(gs.gradient, f, gs.Sweep(x=POINTS), framework=framework)
    assert plan.branches[0].branch.traced.program is not None


@pytest.mark.parametrize(
    "framework", [pytest.param(f, marks=getattr(pytest.mark, f)) for f in _NAMES]
)
def test_every_function_is_tried(framework):
    assert [*functions(framework)] == names(framework)


@pytest.mark.parametrize(
    "framework", [pytest.param(f, marks=getattr(pytest.mark, f)) for f in _NAMES]
)
def test_integers_that_do_not_wrap_are_found(framework, monkeypatch):
    """The control: every integer is taken for one of 64 bits."""
    monkeypatch.setattr(f"gradsweep.tracing.{framework}.{_HOLDS[framework]}.WRAPS", {})
    f = functions(framework)["uint8"]

    def fresh(x):
        return f(x) + 0 * x

    with pytest.raises(AssertionError, match="fresh"):
        assert_as_a_loop(fresh, framework, points=POINTS)


_HOLDS = {"torch": "recorder.call", "jax": "lower"}
