"""Rules of the user's own in JAX, and functions that JAX returns."""

from functools import partial

import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.experimental.ode import odeint  # noqa: E402
from jax.scipy.sparse.linalg import cg  # noqa: E402

import gradsweep as gs  # noqa: E402
from gradsweep.errors import DerivativeError, StatefulFunction, UntraceableError  # noqa: E402
from tests.support.plain_loop import POINTS, assert_as_a_loop  # noqa: E402

pytestmark = pytest.mark.jax

SWEEP = gs.Sweep(x=POINTS)
ENGINES = ["auto", "loop", "xla"]


# -- a traced value where a rule expects a Python number


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def scaled_square(n, x):
    return n * x**2


scaled_square.defvjp(lambda n, x: (n * x**2, x), lambda n, x, g: (2 * n * x * g,))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def applied(f, x):
    return f(x)


applied.defjvp(lambda f, x, t: (f(x[0]), jax.grad(f)(x[0]) * t[0]))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def applied_in_reverse(f, x):
    return f(x)


applied_in_reverse.defvjp(lambda f, x: (f(x), x), lambda f, x, g: (jax.grad(f)(x) * g,))


def by_a_listed_argument(n, x):
    return scaled_square(n, x)


def by_a_function_that_closes_over_it(n, x):
    return applied(lambda z: n * z**2, x)


def by_a_function_that_closes_over_it_in_reverse(n, x):
    return applied_in_reverse(lambda z: n * z**2, x)


def by_a_rule_that_closes_over_it(n, x):
    @jax.custom_vjp
    def square(x):
        return n * x**2

    square.defvjp(lambda x: (n * x**2, x), lambda x, g: (2 * n * x * g,))
    return square(x)


STATIC = [
    by_a_listed_argument,
    by_a_function_that_closes_over_it,
    by_a_function_that_closes_over_it_in_reverse,
    by_a_rule_that_closes_over_it,
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("f", STATIC, ids=lambda f: f.__name__)
def test_a_traced_value_in_a_static_place_is_an_error_in_words(f, engine):
    with pytest.raises((UntraceableError, DerivativeError), match="custom rule"):
        gs.gradient(f, gs.Sweep(n=[1.0, 2.0], x=POINTS), engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("f", STATIC[1:], ids=lambda f: f.__name__)
def test_a_rule_that_closes_over_what_is_not_differentiated_depends_on_it(f, engine):
    sweep = gs.Sweep(n=[1.0, 2.0], x=POINTS)
    (found,) = gs.gradient(f, sweep, wrt="x", engine=engine).values()
    assert found.dims == ("n", "x")
    np.testing.assert_allclose(found, [2 * POINTS, 4 * POINTS], rtol=1e-14)


def test_a_value_kept_from_another_trace_is_an_error():
    kept = []

    @jax.custom_vjp
    def square(x):
        kept.append(x)
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, g: (2 * kept[0] * g,))
    with pytest.raises((StatefulFunction, DerivativeError)):
        gs.gradient(lambda x: square(x), SWEEP)


# -- the user's rule holds in every mode


@jax.custom_vjp
def cubed(x):
    return x**3


cubed.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))


@jax.custom_jvp
def halved_slope(x):
    return x**2


halved_slope.defjvp(lambda x, t: (x[0] ** 2, x[0] * t[0]))


def with_a_reverse_rule(x):
    return cubed(x) * jnp.sin(x)


def with_a_reverse_rule_twice(x):
    return cubed(cubed(x) + x)


def with_a_wrong_rule(x):
    return halved_slope(x) + x


def with_a_rule_in_a_loop(x):
    return jax.lax.fori_loop(0, 3, lambda i, c: halved_slope(c) * 0.5 + cubed(x), x)


@pytest.mark.slow
@pytest.mark.parametrize(
    "f",
    [with_a_reverse_rule, with_a_reverse_rule_twice, with_a_wrong_rule, with_a_rule_in_a_loop],
    ids=lambda f: f.__name__,
)
def test_a_rule_is_what_it_says_in_every_quantity_and_engine(f):
    assert_as_a_loop(f, "jax")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["auto", "reverse"])
def test_a_jacobian_with_its_value_is_found_through_a_reverse_rule(engine, mode):
    found = gs.jacobian(cubed, SWEEP, with_value=True, engine=engine, mode=mode)
    np.testing.assert_allclose(found["cubed"], POINTS**3, rtol=1e-14)
    np.testing.assert_allclose(found["dcubed_dx"], 3 * POINTS**2, rtol=1e-14)


def test_a_mode_that_is_never_given_up_is_found(monkeypatch):
    monkeypatch.setattr("gradsweep.planning.modes._first_that_has_rules", lambda ways: ways[0]())

    @jax.custom_vjp
    def fourth(x):
        return x**4

    fourth.defvjp(lambda x: (x**4, x), lambda x, g: (4 * x**3 * g,))
    with pytest.raises(DerivativeError, match="forward"):
        gs.jacobian(lambda x: fourth(x), SWEEP, with_value=True)


def test_forward_mode_of_a_reverse_rule_is_refused_when_it_is_asked_for():
    with pytest.raises(DerivativeError, match=r"forward"):
        gs.jacobian(cubed, SWEEP, mode="forward")


@jax.custom_jvp
def inconsistent(x, y):
    return x * y


@inconsistent.defjvp
def _(primals, tangents):
    x, y = primals
    dx, dy = tangents
    return x * y, dx * y + dy * 2 * x


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_the_hessian_of_an_inconsistent_rule_is_not_made_symmetric(engine, mode):
    # The rule says df/dx = y and df/dy = 2 x.
    found = gs.hessian(
        lambda x, y: inconsistent(x, y), gs.Sweep(x=[1.0, 2.0], y=3.0), engine=engine, mode=mode
    )
    assert [float(found[f"d2f_{pair}"]) for pair in ("dx_dx", "dx_dy", "dy_dx", "dy_dy")] == [
        0.0,
        1.0,
        2.0,
        0.0,
    ]


# -- reverse over forward, or forward over reverse, is refused


def decay(x):
    return odeint(lambda y, t, rate: -rate * y, jnp.ones(()), jnp.array([0.0, 1.0]), x)[-1]


def root(x):
    return jax.lax.custom_root(
        lambda y: y**2 - x, jnp.ones(1), lambda f, y: jnp.sqrt(x)[None], lambda g, y: cg(g, y)[0]
    )[0]


@pytest.mark.slow
def test_a_second_derivative_is_taken_in_the_order_that_jax_has():
    (found,) = gs.hessian(decay, SWEEP).values()
    np.testing.assert_allclose(found, np.exp(-POINTS), rtol=1e-6)
    (found,) = gs.hessian(root, SWEEP).values()
    np.testing.assert_allclose(found, -0.25 * POINTS**-1.5, rtol=1e-10)


# -- functions that name only methods of arrays, and those that JAX returns


@pytest.mark.parametrize(
    ("name", "operand", "first"),
    [
        ("power", 2.0, lambda x: 2 * x),
        ("multiply", 3.0, lambda x: 3 + 0 * x),
        ("add", 3.0, lambda x: 1 + 0 * x),
        ("divide", 4.0, lambda x: 0.25 + 0 * x),
    ],
)
def test_methods_of_arrays_alone_make_a_function_of_jax(name, operand, first):
    (found,) = gs.gradient(lambda x: getattr(x.at[()], name)(operand), SWEEP).values()
    np.testing.assert_allclose(np.broadcast_to(found, 3), first(POINTS), rtol=1e-14)


def product(x, y):
    return x**2 * y


def test_functions_that_jax_returns_are_given_their_arguments_by_position():
    sweep = gs.Sweep(x=POINTS, y=2.0)
    for f in (jax.grad(product), jax.jit(jax.grad(product)), partial(jax.grad(product))):
        np.testing.assert_allclose(gs.gradient(f, sweep)["dproduct_dy"], 2 * POINTS)
    both = gs.value(jax.value_and_grad(product), sweep)
    np.testing.assert_allclose(both["product_0"], 2 * POINTS**2)
    np.testing.assert_allclose(both["product_1"], 4 * POINTS)
    (second,) = gs.gradient(jax.grad(product, argnums=1), sweep, wrt="x").values()
    np.testing.assert_allclose(second, 2 * POINTS)


def test_names_where_positions_are_wanted_are_found(monkeypatch):
    monkeypatch.setattr("gradsweep.request.function._takes_positions", lambda function: False)
    with pytest.raises(TypeError, match="positional"):
        gs.gradient(jax.grad(lambda x, y: x**2 * y), gs.Sweep(x=POINTS, y=2.0))
