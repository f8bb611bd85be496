"""Sums of masked terms: one term where that is right in every case, else unchanged."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradsweep as gs
from gradsweep.engines.numpy import evaluate
from gradsweep.program.builder import Builder
from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import Output
from gradsweep.request.sweep import Sweep

POINTS = np.array([-math.inf, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, math.inf, math.nan])


class Written:
    """A Program of w and t beside NumPy's values of the same terms."""

    def __init__(self):
        self.b = Builder()
        self.w, self.t = self.b.input("w", 0, "float64"), self.b.input("t", 0, "float64")
        self.values = {self.w: np.tile(POINTS, 3), self.t: np.repeat([1.5, -0.25, 3.0], 11)}

    def constant(self, value):
        variable = self.b.constant(value, "float64")
        self.values[variable] = np.full(33, value)
        return variable, self.values[variable]

    def emit(self, name, *terms):
        """Apply a primitive to terms, each a variable and its values."""
        with np.errstate(all="ignore"):
            values = PRIMITIVES[name].numpy(*(values for _, values in terms))
        return self.b.emit(name, *(variable for variable, _ in terms)), values

    def input(self, name):
        variable = {"w": self.w, "t": self.t}[name]
        return variable, self.values[variable]

    def masked(self, term, comparison, bound, of_abs=False, keeps=True):
        w = self.input("w")
        compared = self.emit("abs", w) if of_abs else w
        condition = self.emit(comparison, compared, self.constant(bound))
        zero = self.constant(0.0)
        return self.emit("select", condition, *((term, zero) if keeps else (zero, term)))

    def gauss(self):
        w = self.input("w")
        return self.emit("exp", self.emit("neg", self.emit("mul", w, w)))

    def run(self, variable):
        """Return the value of a variable, and the primitives that it takes."""
        program = self.b.finish([Output("y", (), (variable,))])
        sweep = Sweep(w=("i", self.values[self.w]), t=("i", self.values[self.t]))
        leaves = {leaf.key: leaf for leaf in sweep.leaves}
        (root,) = program.outputs[0].variables
        found = evaluate(program, leaves, tuple(sweep.axes), list(program.numbered()), [root])
        return np.broadcast_to(found[root], 33), [e.primitive for e in program.equations]


def test_what_is_the_same_on_either_side_is_one_term():
    p = Written()
    t = p.input("t")
    left = p.masked(p.emit("mul", t, p.gauss()), "lt", 0.5)
    right = p.masked(p.emit("neg", p.emit("mul", t, p.gauss())), "lt", 0.5, keeps=False)
    variable, expected = p.emit("sub", left, right)
    found, primitives = p.run(variable)
    np.testing.assert_array_equal(found, expected)
    assert sorted(primitives) == ["exp", "mul", "mul", "neg"]


def test_masks_are_seen_through_products_and_signs():
    p = Written()
    t = p.input("t")
    rest = p.masked(t, "lt", 0.7, of_abs=True, keeps=False)
    near = p.emit("mul", p.gauss(), p.masked(t, "lt", 0.7, of_abs=True))
    left = p.emit("mul", p.gauss(), p.emit("neg", p.masked(rest, "gt", 0.0, keeps=False)))
    right = p.emit("mul", p.gauss(), p.masked(rest, "gt", 0.0))
    both = p.emit("add", left, right)
    # The derivative of |w| has one sign on the left, the other on the right.
    positive = p.emit("add", near, p.masked(both, "ge", 0.0))
    variable, expected = p.emit("sub", positive, p.masked(both, "ge", 0.0, keeps=False))
    found, primitives = p.run(variable)
    np.testing.assert_array_equal(found, expected)
    assert "select" not in primitives


@pytest.mark.parametrize(
    "first, second",
    [
        (("lt", 0.5, True), ("le", 0.5, True)),  # both on the same side: zero on the other
        (("ge", 0.0, True), ("gt", 0.0, False)),  # both at 0
        (("gt", 0.0, True), ("ge", 0.0, False)),  # neither at 0
        (("lt", 0.5, True), ("ge", 0.5, True)),  # neither at NaN
        (("lt", 0.5, True), ("lt", 1.0, False)),  # both in between
    ],
)
def test_what_differs_in_some_case_is_left_as_it_is(first, second):
    p = Written()
    t = p.input("t")
    terms = [p.masked(t, how, bound, keeps=keeps) for how, bound, keeps in (first, second)]
    variable, expected = p.emit("add", *terms)
    found, primitives = p.run(variable)
    np.testing.assert_array_equal(found, expected)
    assert primitives.count("select") == 2


def test_zero_times_infinity_stays_nan():
    p = Written()
    w, t = p.input("w"), p.input("t")
    left = p.emit("mul", w, p.masked(t, "lt", 0.5))
    right = p.emit("mul", w, p.masked(t, "lt", 0.5, keeps=False))
    variable, expected = p.emit("add", left, right)
    found, primitives = p.run(variable)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found[0]) and primitives.count("select") == 2


def test_masks_of_two_variables_are_left_as_they_are():
    p = Written()
    t = p.input("t")
    zero, half = p.constant(0.0), p.constant(0.5)
    left = p.emit("select", p.emit("lt", p.input("w"), half), t, zero)
    right = p.emit("select", p.emit("lt", t, half), zero, t)
    _, primitives = p.run(p.emit("add", left, right)[0])
    assert primitives.count("select") == 2


def test_a_long_sum_of_masked_terms_is_written_in_time_that_grows_with_its_length():
    p = Written()
    total = p.masked(p.input("t"), "lt", 0.5)
    for i in range(1_000):
        total = p.emit("add", total, p.masked(p.emit("sin", p.constant(i)), "lt", 0.5 + i))
    found, _ = p.run(total[0])
    np.testing.assert_array_equal(found, total[1])


MASKS = st.tuples(
    st.sampled_from(["lt", "le", "gt", "ge"]),
    st.sampled_from([-1.0, 0.0, 0.5, 1.0]),
    st.booleans(),
    st.booleans(),
)
STEPS = st.one_of(
    st.tuples(st.just("mask"), MASKS),
    st.just(("gauss",)),
    st.just(("neg",)),
    st.tuples(st.just("scale"), st.sampled_from([-2.0, 0.5, 3.0])),
)


@given(st.lists(st.tuples(st.booleans(), st.lists(STEPS, max_size=4)), min_size=2, max_size=5))
def test_sums_of_masked_terms_are_what_numpy_makes_of_them(terms):
    p = Written()
    total = None
    for is_added, steps in terms:
        term = p.input("t")
        for kind, *details in steps:
            if kind == "mask":
                term = p.masked(term, *details[0])
            elif kind == "gauss":
                term = p.emit("mul", term, p.gauss())
            elif kind == "neg":
                term = p.emit("neg", term)
            else:
                term = p.emit("mul", term, p.constant(details[0]))
        total = p.emit("add" if is_added else "sub", total, term) if total else term
    found, _ = p.run(total[0])
    np.testing.assert_allclose(found, total[1], rtol=1e-14, atol=1e-15)


# -- time


def bisected(xp, n_steps):
    """The square root of a by bisection: two states that are exchanged at every step."""

    def f(a):
        low, high = 0 * a, a + 1.0
        for _ in range(n_steps):
            middle = (low + high) / 2
            above = middle * middle - a > 0
            low, high = xp.where(above, low, middle), xp.where(above, middle, high)
        return (low + high) / 2 * a

    return f


def switched(xp, n_steps):
    """Two states that change places where they are above a bound."""

    def f(a):
        one, other = a, 0.5 * a
        for _ in range(n_steps):
            above = one > 0.7
            one, other = (
                xp.where(above, other, one + 0.3 * other),
                xp.where(above, one - 0.2 * other, other),
            )
        return one * other

    return f


class Exploded(BaseException):
    """More equations were asked for than a test can wait for."""


def n_emitted(f, framework, monkeypatch, mode="reverse", most=10**6):
    """Return how often an equation is asked for while a derivative is traced."""
    n = 0
    emit = Builder.emit

    def counted(self, *arguments):
        nonlocal n
        n += 1
        if n > most:
            raise Exploded
        return emit(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Builder, "emit", counted)
        gs.plan(gs.gradient, f, gs.Sweep(a=AT), framework=framework, mode=mode)
    return n


AT = np.array([0.9, 2.0, 5.0])
FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]


def namespace(framework):
    return pytest.importorskip({"torch": "torch", "jax": "jax.numpy"}[framework])


@pytest.mark.parametrize("make", [bisected, switched])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_tracing_pairs_of_where_takes_time_in_proportion_to_their_number(
    framework, make, monkeypatch
):
    xp = namespace(framework)
    once, twice, four = (n_emitted(make(xp, n), framework, monkeypatch) for n in (10, 20, 40))
    assert four - twice < 2.5 * (twice - once)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_budget_that_never_ends_lets_time_explode(framework, monkeypatch):
    """The control: terms are combined at any cost, and written as they are visited."""
    xp = namespace(framework)
    monkeypatch.setattr("gradsweep.program.builder._CREDIT", 10**9)
    monkeypatch.setattr(Builder, "spending", lambda self: contextlib.nullcontext())
    monkeypatch.setattr("gradsweep.program.cases._node", lambda b, name, x, y: b.emit(name, x, y))
    most = 20 * n_emitted(bisected(xp, 2), framework, monkeypatch)
    with pytest.raises(Exploded):
        n_emitted(bisected(xp, 8), framework, monkeypatch, most=most)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_60_steps_of_bisection_and_40_of_a_switch_have_the_frameworks_own_derivative(framework):
    xp = namespace(framework)
    for f in (bisected(xp, 60), switched(xp, 40)):
        f.__name__ = "f"
        for mode in ("reverse", "forward"):
            found = gs.gradient(f, gs.Sweep(a=AT), framework=framework, mode=mode).df_da
            np.testing.assert_allclose(found, _own_slope(f, framework), rtol=1e-12)


def _own_slope(f, framework):
    if framework == "torch":
        import torch

        points = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in AT]
        return [torch.autograd.grad(f(a), a)[0].item() for a in points]
    import jax

    with jax.enable_x64(True):
        return [float(jax.grad(f)(a)) for a in AT]


@pytest.mark.slow
@pytest.mark.jax
def test_a_loop_of_either_has_jaxs_own_derivative():
    jax, jnp = pytest.importorskip("jax"), pytest.importorskip("jax.numpy")

    def looped(a):
        def step(_, state):
            low, high = state
            middle = (low + high) / 2
            above = middle * middle - a > 0
            return jnp.where(above, low, middle), jnp.where(above, middle, high)

        low, high = jax.lax.fori_loop(0, 60, step, (0 * a, a + 1.0))
        return (low + high) / 2 * a

    def exchanged(a):
        def step(_, state):
            one, other = state
            above = one > 0.7
            return (
                jnp.where(above, other, one + 0.3 * other),
                jnp.where(above, one - 0.2 * other, other),
            )

        one, other = jax.lax.fori_loop(0, 40, step, (a, 0.5 * a))
        return one * other

    for f in (looped, exchanged):
        found = gs.gradient(f, gs.Sweep(a=AT)).to_array()[0]
        np.testing.assert_allclose(found, _own_slope(f, "jax"), rtol=1e-12)
