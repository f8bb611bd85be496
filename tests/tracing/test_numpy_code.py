"""A function written with NumPy runs as it is: the arrays that it makes, and its helpers."""

import builtins
import functools
import json
import math
import sys
import threading
import types
from math import exp, sqrt

import numpy as np
import pytest
from numpy import sin

import gradsweep as gs
from gradsweep.cli import main
from gradsweep.errors import BranchError

pytest.importorskip("torch")
pytest.importorskip("jax")

FRAMEWORKS = ["torch", "jax"]
X = np.array([0.3, 0.8, 1.7])
RATES = np.array([1.0, 2.0, 3.0])


def check(f, derivative, framework="torch", x=X, **rest):
    """Compare the value with that of a plain call, and the derivative with a closed form."""
    found = gs.gradient(f, gs.Sweep(x=x, **rest), wrt="x", with_value=True, framework=framework)
    fixed = dict(rest)
    np.testing.assert_allclose(found.f, [float(f(point, **fixed)) for point in x], rtol=1e-14)
    np.testing.assert_allclose(found.df_dx, derivative(x), rtol=1e-13, atol=1e-15)


# Each f(x) with its derivative.


def written_by_index(x):
    y = np.zeros(3)
    y[0] = x
    y[1:] = [x**2, 2.0]
    y[-1] += x**3
    return y.sum()


def filled_in_a_loop(x):
    y = np.empty((2, 3))
    for i in range(2):
        for j in range(3):
            y[i][j] = x ** (i + j)
    return np.sum(y)


def through_a_view(x):
    y = np.zeros((2, 3))
    row, column = y[0], y.T[2]
    y[0, 1] = x
    y[1, 2] = x**2
    row[0] = 5.0
    column += x
    return row.sum() + np.sum(column)  # row: 5, x, x; column: x, x**2 + x


def in_place(x):
    y = x
    y += 1.0  # a number: x stays
    a = np.array([x, 2.0])
    b = a
    b *= x  # an array: a changes
    return a[0] + y


def copied(x):
    a = np.array([x, x])
    b = a.copy()
    b[0] = 0.0
    return a[0] * a[1]


def with_a_step(x):
    a = np.zeros(5)
    a[::2] = x
    a[3::-2] = np.array([x**2, 7.0])
    return a[0] + a[2] + a[4] + a[3] + a[1]


def by_a_mask(x):
    a = np.linspace(-1.0, 1.0, 5) * x
    a[a < 0] = 0.0
    return a.sum()


def by_numbers(x):
    a = np.zeros(4)
    a[[0, 2]] = x
    a[np.array([False, True, False, True])] = x**2
    return np.sum(a)


def euler(x):
    t = np.linspace(0.0, 1.0, 11)
    y = np.zeros(len(t))
    y[0] = x
    for i in range(len(t) - 1):
        y[i + 1] = y[i] + (t[i + 1] - t[i]) * 2.0 * y[i]
    return y[-1]


def with_names(x):
    return exp(x) * sin(x) + sqrt(x) * math.pi


def helper(x):
    a = np.zeros(2)
    a[0] = math.exp(x)
    return a[0]


def with_a_helper(x):
    return helper(x) ** 2


def with_imports(x):
    import math as m
    from math import log

    import numpy.linalg as la
    from scipy.special import expit

    return m.exp(x) + log(x) + la.norm(np.array([x, x])) + expit(0.0)


def out(x):
    y = np.zeros(2)
    np.multiply(x, np.array([1.0, 2.0]), out=y)
    return y.sum()


def looked_up(x):
    table = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    return table[np.floor(3 * x).astype(int)] * x


class Decay:
    def __init__(self, rate):
        self.rate = np.abs(rate)

    def at(self, t):
        return np.exp(-self.rate * t)


def by_an_object_of_its_own(x):
    return Decay(x).at(2.0)


def from_a_table(x):
    return TABLE["ufunc"](x) * TABLE["own"](x)


def by_methods_of_ufuncs(x):
    return np.maximum.reduce([x, 0.5, x * x]) + np.add.reduce([x, 1.0])


def flat(x):
    a = np.zeros((2, 2))
    a.flat[1] = x
    return a[0, 1] * x


TABLE = {"ufunc": np.exp, "own": lambda x: math.sin(x)}

CODE = {
    looked_up: lambda x: 2.0 ** np.floor(3 * x),
    by_an_object_of_its_own: lambda x: -2 * np.exp(-2 * x),
    from_a_table: lambda x: np.exp(x) * (np.sin(x) + np.cos(x)),
    by_methods_of_ufuncs: lambda x: 1 + np.where(x < 0.5, 0, np.where(x < 1, 1, 2 * x)),
    flat: lambda x: 2 * x,
    written_by_index: lambda x: 1 + 2 * x + 3 * x**2,
    filled_in_a_loop: lambda x: 2 + 4 * x + 3 * x**2,
    through_a_view: lambda x: 4 + 2 * x,
    in_place: lambda x: 2 * x + 1,
    copied: lambda x: 2 * x,
    with_a_step: lambda x: 3 + 2 * x,
    by_a_mask: lambda x: 1.5 + 0 * x,
    by_numbers: lambda x: 2 + 4 * x,
    euler: lambda x: 1.2**10 + 0 * x,
    with_names: lambda x: np.exp(x) * (np.sin(x) + np.cos(x)) + math.pi / (2 * np.sqrt(x)),
    with_a_helper: lambda x: 2 * np.exp(2 * x),
    with_imports: lambda x: np.exp(x) + 1 / x + math.sqrt(2),
    out: lambda x: 3 + 0 * x,
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("f", CODE, ids=lambda f: f.__name__)
def test_code_runs_as_it_is(f, framework):
    def named(x):
        return f(x)

    named.__name__ = "f"
    check(named, CODE[f], framework)


def test_control_a_write_that_is_lost_is_seen():
    with pytest.raises(AssertionError):
        check(lambda x: written_by_index(x), lambda x: 1 + 2 * x)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("engine", ["fused", "reference", "loop", None])
def test_every_engine_computes_it(framework, engine):
    engine = engine or {"torch": "torch", "jax": "xla"}[framework]
    found = gs.hessian(
        lambda x, a: written_by_index(x) * np.exp(a),
        gs.Sweep(x=X, a=[0.1, 0.2]),
        wrt="x",
        engine=engine,
        framework=framework,
    )
    expected = (2 + 6 * X)[:, None] * np.exp([0.1, 0.2])
    np.testing.assert_allclose(found.d2f_dx_dx, expected, rtol=1e-13)


def test_it_is_a_program_that_the_fused_engine_takes():
    plan = gs.plan(gs.gradient, lambda x: written_by_index(x) * np.exp(x), gs.Sweep(x=X))
    assert plan.engine == "fused"


def test_a_kernel_a_check_and_the_other_quantities_need_nothing_else():
    def f(x, y):
        return np.array([np.hypot(x, y), math.exp(x * y)])

    sweep = gs.Sweep(x=X, y=2.0)
    kernel = gs.compile(gs.jacobian, f, sweep)
    np.testing.assert_allclose(kernel(x=X)["df_dx"][:, 0], X / np.hypot(X, 2.0), rtol=1e-14)
    assert gs.check(f, sweep, quantity=gs.jacobian).ok
    jvp = gs.jvp(f, sweep, {"x": 1.0}).jvp
    np.testing.assert_allclose(jvp[:, 1], 2.0 * np.exp(2.0 * X), rtol=1e-14)
    vjp = gs.vjp(f, sweep, [1.0, 0.0])
    np.testing.assert_allclose(vjp.vjp_y, 2.0 / np.hypot(X, 2.0), rtol=1e-14)


def test_the_command_computes_it(tmp_path, capsys):
    source = (
        "import math\nimport numpy as np\ndef f(x):\n    return math.exp(x) * np.ones(2).sum()\n"
    )
    (tmp_path / "model.py").write_text(source)
    assert main(["gradient", f"{tmp_path}/model.py:f", "--over", "x=0,1", "--json"]) == 0
    found = np.array(json.loads(capsys.readouterr().out)["variables"]["df_dx"]["data"], dtype=float)
    np.testing.assert_allclose(found, 2 * np.exp([0.0, 1.0]), rtol=1e-14)


def test_branches_of_python_are_followed():
    def f(x):
        return np.sin(x) if x > 1 else math.exp(-x)

    check(f, lambda x: np.where(x > 1, np.cos(x), -np.exp(-x)))
    with pytest.raises(BranchError, match="where"):
        gs.gradient(f, gs.Sweep(x=X), framework="jax")


def test_a_fixed_integer_counts_a_loop():
    def f(x, n):
        return sum(np.power(x, k) / math.factorial(k) for k in range(n))

    check(f, lambda x: 1 + x + x**2 / 2, n=4)


def test_float32_stays_float32():
    found = gs.gradient(lambda x: np.exp(x) * np.sqrt(2.0), gs.Sweep(x=X.astype(np.float32)))
    assert found.df_dx.dtype == np.float32


# -- the user's own code


class Model:
    def __init__(self, rate):
        self.rate = rate

    def discount(self, x):
        return math.exp(-self.rate * x)

    def __call__(self, x):
        a = np.zeros(1)
        a[0] = self.discount(x)
        return a[0]


def test_objects_methods_and_partial_functions_are_run_the_same_way():
    model = Model(0.5)
    wanted = -0.5 * np.exp(-0.5 * X)
    by_partial = functools.partial(lambda rate, x: math.exp(-rate * x), 0.5)
    for f in (model, model.discount, lambda x: model(x), by_partial):
        (derivative,) = gs.gradient(f, gs.Sweep(x=X)).data_vars.values()
        np.testing.assert_allclose(derivative, wanted, rtol=1e-14)


@functools.cache
def decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) * 2.0

    return wrapper


def test_methods_of_an_object_that_the_code_refers_to_are_followed():
    model = Model(0.5)
    check(lambda x: model.discount(x), lambda x: -0.5 * np.exp(-0.5 * x))


def test_decorators_closures_and_recursion_are_followed():
    def power(x, n):
        return 1.0 if n == 0 else math.exp(math.log(x)) * power(x, n - 1)

    @decorated
    def f(x):
        return power(x, 3)

    check(f, lambda x: 6 * x**2)


def test_helpers_of_another_module_are_followed_and_the_module_stays_as_it_is():
    module = types.ModuleType("users_module")
    code = "import numpy as np\nfrom math import exp\nn = 0\ndef h(x):\n    global n\n    n = 1\n"
    exec(code + "    a = np.zeros(1)\n    a[0] = exp(x)\n    return a[0]\n", vars(module))
    sys.modules["users_module"] = module
    try:
        before = dict(vars(module))
        gs.gradient(lambda x: module.h(x), gs.Sweep(x=X))
        assert vars(module) == before  # n too, which a plain call writes
        check(lambda x: module.h(x), np.exp)
    finally:
        del sys.modules["users_module"]
    assert np.zeros(2).__class__ is np.ndarray and type(math.exp(1.0)) is float
    assert builtins.__import__("math").exp is exp


def test_other_threads_do_not_see_what_is_replaced():
    inside, seen = threading.Event(), []

    def look():
        inside.wait(20)
        seen.append(type(np.zeros(2)) is np.ndarray and isinstance(math.exp(0.0), float))

    thread = threading.Thread(target=look)
    thread.start()

    def f(x):
        inside.set()
        thread.join(20)
        return math.exp(x) + np.zeros(2).sum()

    gs.gradient(f, gs.Sweep(x=X))
    assert seen == [True]


def test_a_changed_global_is_read_anew():
    space = {"math": math, "rate": 1.0}
    exec("def f(x):\n    return math.exp(rate * x)\n", space)
    f = space["f"]
    for rate in (1.0, 2.0):
        space["rate"] = rate
        np.testing.assert_allclose(gs.gradient(f, gs.Sweep(x=X)).df_dx, rate * np.exp(rate * X))


@np.vectorize
def capped(x, high):
    return math.exp(x) if x < high else high


with_an_array = np.vectorize(lambda x, table: x * table[1], excluded={1})
as_integers = np.vectorize(lambda x: 2.7 * x, otypes=[int])
by_name = np.vectorize(lambda x, scale: (x * scale, x + scale), excluded=["scale"])


@np.vectorize(otypes=[float])
def of_mixed_types(x):
    return 0 if x < 1.0 else x * isinstance(x, float)


def vectorized(x):
    a = np.array([x, 2.0 * x])
    product, total = by_name(a, scale=3.0)
    powers = np.vectorize(lambda k: x**k)(np.arange(3))
    return np.concatenate(
        [
            capped(a, 1.5), with_an_array(a, [1.0, x]), as_integers(a) * x, product, total,
            of_mixed_types(a), powers, np.ravel(capped(x, 9.0)),
        ]
    )  # fmt: skip


def test_what_vectorize_has_made_outside_keeps_its_options():
    def f(x):
        return vectorized(x)

    found = gs.jacobian(f, gs.Sweep(x=0.8), with_value=True, framework="torch")
    np.testing.assert_allclose(found.f, f(0.8), rtol=1e-14)
    np.testing.assert_allclose(found.df_dx, (f(0.8 + 1e-6) - f(0.8 - 1e-6)) / 2e-6, rtol=1e-8)


def test_vectorize_that_would_cut_fractions_off_says_so():
    def f(x):
        return np.vectorize(lambda k: 0 if k < 1 else x * k)(np.array([0.0, 1.0, 2.0])).sum()

    assert f(0.7) == 1.0  # NumPy: 0 + int(0.7) + int(1.4)
    with pytest.raises(gs.errors.UntraceableError, match="otypes"):
        gs.value(f, gs.Sweep(x=0.7))


def test_isinstance_and_dtype_answer_as_numpy_does():
    def f(q):
        assert isinstance(q, np.ndarray) and q.dtype == np.float64 and q.shape == (3,)
        assert np.ndim(q) == 1 and np.shape(q) == (3,) and np.size(q) == len(q) == 3
        return np.sum(q)

    assert gs.gradient(f, gs.Sweep(q=((), RATES))).df_dq.values.tolist() == [1.0, 1.0, 1.0]


def test_what_torch_alone_has_still_works_beside_math():
    found = gs.gradient(lambda x: (x * math.pi).sin().sum(), gs.Sweep(x=X), framework="torch")
    np.testing.assert_allclose(found.df_dx, math.pi * np.cos(math.pi * X), rtol=1e-13)


FACTORS = {np.exp: 2.0, math.sin: 3.0}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_functions_are_keys_of_tables(framework):
    def f(x, function=np.exp):
        return FACTORS[function] * function(x) + FACTORS[math.sin] * math.sin(x)

    x = np.array([0.3, 1.2])
    found = gs.gradient(f, gs.Sweep(x=x), framework=framework)
    np.testing.assert_allclose(found.df_dx, 2 * np.exp(x) + 3 * np.cos(x), rtol=1e-14)
