"""Nothing is traced twice, and nothing that changed is taken for unchanged."""

import functools

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.engines import cost
from gradsweep.planning.preparing import PREPARED
from gradsweep.planning.traces import TRACES
from gradsweep.request.identity import Unknown, identity
from gradsweep.support.cache import Cache

RATE = 2.0
WEIGHTS = np.array([1.0, 2.0])


@pytest.fixture(autouse=True)
def empty_caches():
    TRACES.clear()
    PREPARED.clear()


def slope(f, x=(1.0, 2.0)):
    return gs.broadcast(gs.gradient(f, gs.Sweep(x=list(x)))).df_dx.values


def n_traces():
    return sum(map(len, TRACES.values))


def test_the_same_function_is_traced_and_prepared_once():
    def f(x):
        return x**2

    for values in ([1.0, 2.0], [3.0, 4.0, 5.0], [1.0]):
        np.testing.assert_array_equal(slope(f, values), 2 * np.array(values))
    assert n_traces() == 1
    assert PREPARED.n_made == 1


def test_another_quantity_dtype_or_form_is_traced_anew():
    def f(x):
        return x**2

    slope(f)
    gs.hessian(f, gs.Sweep(x=[1.0]))
    gs.gradient(f, gs.Sweep(x=np.ones(2, "float32")))
    gs.gradient(f, gs.Sweep(x=("t", [1.0])))
    assert n_traces() == 4


def test_a_changed_global_is_seen(monkeypatch):
    def f(x):
        return RATE * x**2

    np.testing.assert_array_equal(slope(f), [4.0, 8.0])
    monkeypatch.setitem(globals(), "RATE", 3.0)
    np.testing.assert_array_equal(slope(f), [6.0, 12.0])


def test_a_changed_closure_is_seen():
    rate = 2.0

    def f(x):
        return rate * x

    np.testing.assert_array_equal(slope(f), [2.0, 2.0])
    rate = 5.0
    np.testing.assert_array_equal(slope(f), [5.0, 5.0])


def test_an_array_written_into_is_seen():
    weights = np.array([1.0, 2.0])

    def f(x):
        return weights[0] * x + weights[1] * x**2

    np.testing.assert_array_equal(slope(f), [5.0, 9.0])
    weights[1] = 0.0
    np.testing.assert_array_equal(slope(f), [1.0, 1.0])


def test_a_changed_attribute_or_default_is_seen():
    class Model:
        def __init__(self):
            self.inner = {"rate": [2.0]}

        def price(self, x):
            return self.inner["rate"][0] * x

    model = Model()
    sweep = gs.Sweep(x=[1.0])
    assert gs.gradient(model.price, sweep).dprice_dx == 2.0
    model.inner["rate"][0] = 4.0
    assert gs.gradient(model.price, sweep).dprice_dx == 4.0
    assert gs.gradient(functools.partial(lambda x, k: k * x, k=7.0), sweep).df_dx == 7.0
    assert gs.gradient(functools.partial(lambda x, k: k * x, k=8.0), sweep).df_dx == 8.0


@pytest.mark.torch
def test_a_trained_module_is_seen():
    import torch

    module = torch.nn.Linear(1, 1, dtype=torch.float64)
    f = lambda x: module(x[None])[0]  # noqa: E731
    before = slope(f)
    with torch.no_grad():
        module.weight.mul_(2.0)
    np.testing.assert_allclose(slope(f), 2 * before)
    module.weight.data.mul_(2.0)
    np.testing.assert_allclose(slope(f), 4 * before)


@pytest.mark.torch
@pytest.mark.jax
@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_rules_of_differentiation_of_one_function_are_told_apart(kind):
    import jax
    import jax.numpy as jnp

    def square(scale):
        """Return x^2 with the rule that its derivative is scale * 2 x."""
        if kind == "jvp":
            f = jax.custom_jvp(jnp.square)
            f.defjvp(lambda x, v: (x[0] ** 2, scale * 2 * x[0] * v[0]))
        else:
            f = jax.custom_vjp(jnp.square)
            f.defvjp(lambda x: (x**2, x), lambda x, w: (scale * 2 * x * w,))
        return f

    for scale in (1.0, 3.0):
        ruled = square(scale)

        def f(x, ruled=ruled):
            return ruled(x)

        gradient = gs.gradient(f, gs.Sweep(x=[1.0, 2.0]), framework="jax")
        np.testing.assert_array_equal(gradient.df_dx, [2 * scale, 4 * scale])


@pytest.mark.jax
def test_a_function_jitted_anew_is_the_same():
    import jax

    f = lambda x: x**2  # noqa: E731
    assert identity(jax.jit(f)) == identity(jax.jit(f))


@pytest.mark.torch
def test_each_branch_is_traced_once():
    def f(x):
        return x**2 if x > 1.5 else 3.0 * x

    for _ in range(3):
        np.testing.assert_array_equal(slope(f, [1.0, 2.0, 3.0]), [3.0, 4.0, 6.0])
    assert n_traces() == 2
    # Starting with the other branch finds it again.
    np.testing.assert_array_equal(slope(f, [2.0, 1.0]), [4.0, 3.0])
    assert n_traces() == 2


@pytest.mark.parametrize("n", [3, 10**6])
@pytest.mark.parametrize("where", [0, -1])
def test_a_change_anywhere_in_a_captured_array_is_seen(n, where):
    weights = np.ones(n)

    def f(x):
        return x * weights[where]

    np.testing.assert_array_equal(slope(f), [1.0, 1.0])
    np.testing.assert_array_equal(slope(f), [1.0, 1.0])
    assert n_traces() == 1
    weights[where] = 2.0
    np.testing.assert_array_equal(slope(f), [2.0, 2.0])


def test_what_cannot_be_read_is_not_cached():
    large = np.zeros(2**25 + 1)  # a quarter of a gigabyte, with one page touched
    large[0] = 1.0

    def f(x):
        return x * large[0]

    with pytest.raises(Unknown):
        identity(f)
    np.testing.assert_array_equal(slope(f), [1.0, 1.0])
    large[0] = 2.0
    np.testing.assert_array_equal(slope(f), [2.0, 2.0])


def test_static_arguments_tell_traces_apart():
    def f(x, n):
        return x * n

    assert gs.gradient(f, gs.Sweep(x=[1.0], n=2)).df_dx == 2.0
    assert gs.gradient(f, gs.Sweep(x=[1.0], n=3)).df_dx == 3.0
    assert gs.gradient(f, gs.Sweep(x=[1.0], n=True)).df_dx == 1.0


def test_numbers_of_different_types_are_different():
    assert len({identity(value) for value in (1, 1.0, True, 0.0, -0.0)}) == 5


def test_the_cache_forgets_what_was_used_longest_ago():
    cache = Cache(size=2)
    for key in "aba":
        cache.get(key, lambda key=key: key.upper())
    assert cache.get("c", lambda: "C") == "C"
    assert cache.get("a", lambda: "again") == "A"
    assert cache.get("b", lambda: "again") == "again"
    assert cache.n_made == 4


def test_an_identity_does_not_depend_on_where_temporary_objects_lie():
    class Holder:
        def __init__(self, number):
            self.number = number

    def fresh(a, b):
        return [Holder(a), Holder(b)]

    assert identity(fresh(1, 1)) == identity(fresh(1, 1)) != identity(fresh(1, 2))


# -- torch functions without a Program: torch calls them, point by point or mapped


def eigenvalue_sum(scale):
    """Return a function whose gradient is 2 scale x, by a matrix too large for a Program."""
    import torch

    def f(x):
        wide = torch.nn.functional.pad(torch.outer(x, x), (0, 6, 0, 6))
        matrix = scale * wide + torch.eye(9, dtype=x.dtype)
        return torch.linalg.eigvalsh(matrix).sum()

    return f


def vector_slope(f, points):
    return gs.gradient(f, gs.Sweep(x=("point", points)), framework="torch").df_dx.values


@pytest.mark.torch
def test_a_function_that_is_no_program_is_traced_once():
    f = eigenvalue_sum(1.0)
    for n in (4, 7, 2):
        points = np.random.default_rng(n).normal(size=(n, 3))
        np.testing.assert_allclose(vector_slope(f, points), 2 * points, atol=1e-12)
    assert n_traces() == 1 and PREPARED.n_made == 1


@pytest.fixture
def traced_at(monkeypatch):
    """The points that are traced at, as they are traced."""
    from gradsweep.planning import modes

    points = []

    def trace(bound, derivative, point, *rest, original=modes.trace, **options):
        points.append(point)
        return original(bound, derivative, point, *rest, **options)

    monkeypatch.setattr(modes, "trace", trace)
    return points


def two_eigenvalue_sums():
    """Return a function that is no Program, with a branch, and its gradient's factor by sign."""
    g = eigenvalue_sum(1.0)
    return lambda x: g(x) if x.sum() > 0 else 3 * g(x), {1: 2, -1: 6}


@pytest.mark.torch
def test_one_that_branches_is_traced_once_at_each_first_point(traced_at):
    f, factors = two_eigenvalue_sums()
    n_traces = []
    for sign in (1, -1, 1, -1):
        points = sign * np.random.default_rng(0).uniform(1, 2, size=(4, 3))
        np.testing.assert_allclose(vector_slope(f, points), factors[sign] * points, atol=1e-11)
        n_traces.append(len(traced_at))
    assert 0 < n_traces[0] < n_traces[1] == n_traces[2] == n_traces[3]


@pytest.mark.torch
def test_a_kernel_of_one_that_branches_is_traced_once_at_each_first_point(traced_at):
    f, factors = two_eigenvalue_sums()
    points = np.random.default_rng(0).uniform(1, 2, size=(4, 3))
    sweep = gs.Sweep(x=("point", points))
    kernel = gs.compile(gs.gradient, f, sweep, framework="torch", engine="loop")
    n_traces = [len(traced_at)]
    for sign in (1, -1, 1, -1):
        found = kernel(x=sign * points)["df_dx"]
        np.testing.assert_allclose(found, factors[sign] * sign * points, atol=1e-11)
        n_traces.append(len(traced_at))
    assert 0 < n_traces[0] == n_traces[1] < n_traces[2] == n_traces[3] == n_traces[4]


@pytest.mark.torch
def test_a_kernel_that_is_no_program_and_branches_may_keep_a_diary():
    f, factors = two_eigenvalue_sums()
    diary = []

    def noted(x):
        diary.append(1.0)
        return f(x)

    points = np.random.default_rng(0).uniform(1, 2, size=(4, 3))
    sweep = gs.Sweep(x=("point", points))
    kernel = gs.compile(gs.gradient, noted, sweep, framework="torch", engine="loop")
    for sign in (1, -1, 1):
        found = kernel(x=sign * points)["dnoted_dx"]
        np.testing.assert_allclose(found, factors[sign] * sign * points, atol=1e-11)


@pytest.mark.torch
def test_guards_that_are_checked_often_are_compiled_and_hold_at_the_same_points(monkeypatch):
    from gradsweep.planning import branches

    def f(x):
        return x**2 if x * x > 2 else 3 * x

    x = np.linspace(0.5, 2.5, 7)
    expected = np.where(x * x > 2, 2 * x, 3.0)
    refused = []

    def refuses(engine, job, original=branches.FusedEngine.refuses):
        refused.append(original(engine, job))
        return refused[-1]

    monkeypatch.setattr(branches.FusedEngine, "refuses", refuses)
    monkeypatch.setattr(branches, "compiling_seconds", lambda job: 1.0)
    monkeypatch.setattr(branches, "interpreting_seconds", lambda job, axes: 0.4)
    for _ in range(5):
        np.testing.assert_allclose(
            gs.gradient(f, gs.Sweep(x=("x", x)), engine="reference").df_dx, expected, rtol=1e-15
        )
    assert refused and not any(refused)


@pytest.mark.torch
def test_functions_that_hold_different_arrays_of_the_same_numbers_stay_apart():
    import torch

    points = np.random.default_rng(0).normal(size=(4, 3))
    first, second = (torch.tensor(1.0, dtype=torch.float64) for _ in range(2))
    one, other = eigenvalue_sum(first), eigenvalue_sum(second)
    vector_slope(one, points)
    first.mul_(5)
    np.testing.assert_allclose(vector_slope(other, points), 2 * points, atol=1e-12)
    np.testing.assert_allclose(vector_slope(one, points), 10 * points, atol=1e-11)


def chain(x):
    """Return x / (1 + x / 10), by 100 steps."""
    for _ in range(100):
        x = x / (1 + 0.001 * x)
    return x


@pytest.fixture
def slow_compiling(monkeypatch):
    """Make an equation cost 10 ms to compile by the estimate, and 3 to interpret: four runs."""
    monkeypatch.setattr(cost, "_SECONDS_PER_COMPILED_EQUATION", 1e-2)
    monkeypatch.setattr(cost, "_SECONDS_PER_NUMPY_CALL", 3e-3)


def test_what_is_run_often_enough_is_compiled(slow_compiling):
    sweep = gs.Sweep(x=[1.0, 2.0])
    first = gs.plan(gs.gradient, chain, sweep)
    assert first.engine == "reference"
    assert "after 4 runs it is compiled" in str(first)
    engines = []
    for _ in range(6):
        gs.plan(gs.gradient, chain, sweep)  # this is no run
        found = gs.gradient(chain, sweep)
        engines.append(found.attrs["engine"])
        np.testing.assert_allclose(found.dchain_dx, [1.1**-2, 1.2**-2], rtol=1e-13)
    assert engines == ["reference"] * 4 + ["fused"] * 2


def test_a_kernel_is_compiled_however_few_the_points(slow_compiling):
    kernel = gs.compile(gs.gradient, chain, gs.Sweep(x=[1.0, 2.0]))
    assert kernel.plan.engine == "fused"
    np.testing.assert_allclose(kernel(x=[3.0])["dchain_dx"], [1.3**-2], rtol=1e-13)
