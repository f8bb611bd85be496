"""JAX's refs: written values are read again, in Programs and on JAX's own engine alike."""

import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

import gradsweep as gs  # noqa: E402
from tests.support.plain_loop import POINTS, assert_as_a_loop  # noqa: E402

pytestmark = [
    pytest.mark.jax,
    pytest.mark.skipif(not hasattr(jax, "new_ref"), reason="this JAX has no refs"),
    pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning"),
]

SWEEP = gs.Sweep(x=POINTS)


def an_entry(x):
    r = jax.new_ref(jnp.zeros(3))
    r[1] = x * x
    r[0] += x
    return jnp.sum(r[...] ** 2)


def in_a_loop(x):
    r = jax.new_ref(jnp.zeros(3))

    def body(i, c):
        r[i] = c * x + r[i]
        return c + 1.0

    lax.fori_loop(0, 3, body, 1.0)
    return jnp.sum(jax.freeze(r) ** 2)


def in_a_long_loop(x):
    r = jax.new_ref(0.1 * x)

    def body(i, total):
        r[...] = r[...] + 0.001 * jnp.sin(r[...] * x)
        return total + r[...]

    return lax.fori_loop(0, 3000, body, 0.0) * r[...] * 1e-3


def in_a_loop_of_unknown_length(x):
    r = jax.new_ref(x)

    def body(k):
        r[...] = r[...] * x
        return k + 1

    lax.while_loop(lambda k: k < 4, body, 0)
    return r[...]


def in_both_branches(x):
    r = jax.new_ref(x)

    def if_true():
        r[...] = x**2

    def if_false():
        r[...] = r[...] + jnp.sin(x)

    lax.cond(x > 1.0, if_true, if_false)
    return r[...] * x


@jax.jit
def accumulate(r, x):
    r[...] = r[...] * x + x


def in_a_jitted_function(x):
    r = jax.new_ref(x)
    accumulate(r, x)
    accumulate(r, 2 * x)
    return r[...]


def in_a_scan_within_a_loop(x):
    r = jax.new_ref(x)

    def outer(c, _):
        def inner(i, d):
            r[...] = r[...] + x * d
            return d + 1.0

        return lax.fori_loop(0, 2, inner, c), r[...]

    _, rows = lax.scan(outer, 0.0, None, length=3)
    return jnp.sum(rows) * r[...]


def parts_of_a_matrix(x):
    r = jax.new_ref(jnp.zeros((2, 3)))
    r[1, ::2] = jnp.ones(2) * x
    r[:, 1] = jnp.array([1.0, 2.0]) * x * x
    return jnp.sum(r[...] ** 2) + jnp.sum(r[0]) * x


def at_a_place_that_is_computed(x):
    r = jax.new_ref(jnp.stack([x, x * x, 2.0 * x]))
    i = (x > 1.0).astype(int)
    r[i] = 5.0 * x * x
    r[jnp.array([0, 2])] += r[i + 1]
    return jnp.sum(r[...] * jnp.arange(1.0, 4.0))


def under_a_rule_of_its_own(x):
    r = jax.new_ref(_square(x))
    r[...] = _square(r[...])
    return r[...]


@jax.custom_jvp
def _square(x):
    return x * x


_square.defjvp(lambda p, t: (p[0] * p[0], 2 * p[0] * t[0]))

FUNCTIONS = [
    an_entry,
    in_a_loop,
    in_a_long_loop,
    in_both_branches,
    in_a_jitted_function,
    in_a_scan_within_a_loop,
    parts_of_a_matrix,
    at_a_place_that_is_computed,
    under_a_rule_of_its_own,
]


@pytest.mark.slow
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_what_is_written_to_a_ref_is_read(f):
    assert_as_a_loop(f, "jax", second=False, rtol=1e-9)


def test_refs_are_differentiated_twice_where_jax_itself_cannot():
    # JAX 0.10 raises AttributeError at jax.grad of jax.grad. With a = x^2: x^2 + x^4.
    found = gs.hessian(an_entry, SWEEP).d2an_entry_dx_dx
    np.testing.assert_allclose(found, 2 + 12 * POINTS**2, rtol=1e-13)
    found = gs.hvp(in_a_jitted_function, SWEEP, {"x": 1.0}).hvp_x
    # ((x x + x) 2x + 2x) has the second derivative 12 x + 4
    np.testing.assert_allclose(found, 12 * POINTS + 4, rtol=1e-13)


def test_a_ref_in_a_loop_whose_length_is_not_known_is_followed_forward():
    found = gs.gradient(in_a_loop_of_unknown_length, SWEEP, with_value=True)
    np.testing.assert_allclose(found.in_a_loop_of_unknown_length, POINTS**5, rtol=1e-13)
    np.testing.assert_allclose(found.din_a_loop_of_unknown_length_dx, 5 * POINTS**4, rtol=1e-13)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_refs_become_programs(f):
    assert gs.plan(gs.gradient, f, SWEEP).branches[0].branch.traced.program is not None


def test_a_long_loop_keeps_its_ref_in_the_lane():
    program = gs.plan(gs.value, in_a_long_loop, SWEEP).branches[0].branch.traced.program
    (loop,) = program.loops
    assert loop.n_steps == 3000


def test_equations_without_effects_lose_what_is_written(monkeypatch):
    """The control: an equation whose results nobody reads is left out."""
    from gradsweep.tracing.jax import nested

    monkeypatch.setattr(nested, "has_effects", lambda equation: False)

    def fresh(x):
        r = jax.new_ref(jnp.zeros(3))
        r[1] = x * x
        return jnp.sum(r[...])

    with pytest.raises(AssertionError, match="fresh"):
        assert_as_a_loop(fresh, "jax")


@pytest.mark.parametrize("quantity", [gs.gradient, gs.hessian])
def test_a_loop_over_points_calls_what_writes_to_refs_once_for_all_of_them(quantity):
    """It is compiled as a whole: compiling its operations one by one took a minute."""
    calls = []

    def f(x):
        calls.append(x)
        return an_entry(x)

    n_calls = []
    for n in (2, 7):
        calls.clear()
        quantity(lambda x, n=n: f(x) + n, gs.Sweep(x=np.linspace(1.0, 2.0, n)), engine="loop")
        n_calls.append(len(calls))
    assert n_calls[0] == n_calls[1] > 0
