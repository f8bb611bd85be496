"""A user's mistakes lead to a message, and never to a wrong number."""

import warnings

import numpy as np
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.errors import (
    ArgumentError,
    BranchError,
    EngineError,
    GradsweepError,
    GradsweepWarning,
    OutputError,
    StatefulFunction,
    SweepError,
)


def price(S, K, T, r, sigma):
    return S * sigma - K * T * r


SWEEP = {"S": [50.0, 100.0], "K": 100.0, "T": 1.0, "r": 0.05, "sigma": 0.2}


def test_an_unknown_argument_is_named_and_the_nearest_suggested():
    given = {**SWEEP, "sgima": SWEEP["sigma"]}
    with pytest.raises(ArgumentError) as caught:
        gs.gradient(price, gs.Sweep(**given))
    message = str(caught.value)
    assert "'sgima'" in message and "S, K, T, r, sigma" in message
    assert "Did you mean 'sigma'?" in message


def test_an_unknown_name_in_wrt_is_named_and_the_nearest_suggested():
    with pytest.raises(ArgumentError, match="'sgima'.*Did you mean 'sigma'"):
        gs.gradient(price, gs.Sweep(**SWEEP), wrt=["S", "sgima"])


def test_an_unknown_name_in_a_tangent_is_named():
    with pytest.raises(ArgumentError, match="'sgima'.*Did you mean 'sigma'"):
        gs.jvp(price, gs.Sweep(**SWEEP), {"sgima": 1.0})


def test_zipped_lengths_that_differ_give_both_names_and_both_lengths():
    with pytest.raises(SweepError) as caught:
        gs.Sweep(S=("quote", [1.0, 2.0, 3.0]), K=("quote", [1.0, 2.0]))
    for word in ("'S'", "'K'", "3", "2", "'quote'"):
        assert word in str(caught.value)


def test_an_empty_sweep_is_a_valid_empty_dataset():
    ds = gs.gradient(price, gs.Sweep(**{**SWEEP, "S": []}))
    assert ds.sizes["S"] == 0
    assert ds.dprice_dsigma.shape == (0,)
    assert ds.dprice_dK.item() == pytest.approx(-0.05)


def test_nan_and_infinity_are_computed_and_counted_by_the_plan():
    sweep = gs.Sweep(**{**SWEEP, "S": [1.0, np.nan, np.inf]})
    ds = gs.gradient(price, sweep)
    np.testing.assert_array_equal(ds.dprice_dsigma, [1.0, np.nan, np.inf])
    assert "2 values of S are NaN or infinite" in str(gs.plan(gs.gradient, price, sweep))


def test_swept_integers_are_differentiated():
    ds = gs.gradient(lambda n: n**2, gs.Sweep(n=[1, 2, 3]))
    assert ds.df_dn.dtype == "float64"
    np.testing.assert_array_equal(ds.df_dn, [2.0, 4.0, 6.0])


def test_a_fixed_integer_is_passed_as_it_is_unless_it_is_in_wrt():
    def f(x, n):
        total = x
        for _ in range(n) if isinstance(n, int) else ():
            total = total * x
        return total * n

    ds = gs.gradient(f, gs.Sweep(x=[2.0, 3.0], n=2))
    assert set(ds.data_vars) == {"df_dx"}
    np.testing.assert_allclose(ds.df_dx, 6 * np.array([2.0, 3.0]) ** 2)
    ds = gs.gradient(lambda x, n: x * n**2, gs.Sweep(x=[2.0, 3.0], n=2), wrt=["n"])
    np.testing.assert_allclose(ds.df_dn, [8.0, 12.0])
    assert "n is an integer" in str(gs.plan(gs.gradient, f, gs.Sweep(x=[2.0, 3.0], n=2)))


@pytest.mark.parametrize("given, word", [(True, "bool"), ("call", "static"), (None, "static")])
def test_a_bool_or_static_argument_in_wrt_is_named(given, word):
    with pytest.raises(ArgumentError, match=f"'kind' is .*{word}"):
        gs.gradient(lambda x, kind: x, gs.Sweep(x=1.0, kind=given), wrt=["x", "kind"])


def test_nothing_to_differentiate_is_said():
    with pytest.raises(ArgumentError, match="nothing to differentiate"):
        gs.gradient(lambda n: n * 2, gs.Sweep(n=3))
    with pytest.raises(ArgumentError, match="wrt is empty"):
        gs.gradient(lambda n: n * 2, gs.Sweep(n=3.0), wrt=[])


def test_the_gradient_of_an_array_function_suggests_the_jacobian():
    with pytest.raises(OutputError) as caught:
        gs.gradient(lambda q: 2.0 * q, gs.Sweep(q=("pose", np.ones((4, 3)))))
    assert "shape (3,)" in str(caught.value) and "gs.jacobian" in str(caught.value)


@pytest.mark.torch
def test_a_python_branch_is_followed_by_torch():
    def f(x, y):
        if x > 0.5 and y < 2:
            return x**2 * y
        if x > 0.25:
            return x**3
        return -x * y

    x, y = np.linspace(0, 1, 9), np.linspace(1, 3, 4)
    ds = gs.gradient(f, gs.Sweep(x=x, y=y), with_value=True)
    X, Y = x[:, None], y[None, :]
    first, second = (X > 0.5) & (Y < 2), (X > 0.25)
    value = np.where(first, X**2 * Y, np.where(second, X**3, -X * Y))
    np.testing.assert_allclose(ds.f, value, rtol=1e-14)
    dx = np.where(first, 2 * X * Y, np.where(second, 3 * X**2, -Y))
    np.testing.assert_allclose(ds.df_dx, dx, rtol=1e-14)
    dy = np.where(first, X**2, np.where(second, 0.0, -X))
    np.testing.assert_allclose(ds.df_dy, dy, rtol=1e-14)
    assert "branch" in str(gs.plan(gs.gradient, f, gs.Sweep(x=x, y=y)))


@pytest.mark.torch
def test_item_is_followed_by_torch():
    import torch

    def f(x, k):
        return x ** int(k.item()) * torch.exp(x)

    x, k = np.linspace(0.5, 1.5, 3), np.array([1.0, 2.0, 3.0, 2.0])
    ds = gs.gradient(f, gs.Sweep(x=x, k=k), wrt="x")
    X, K = x[:, None], k[None, :]
    np.testing.assert_allclose(ds.df_dx, np.exp(X) * (X**K + K * X ** (K - 1)), rtol=1e-13)


@pytest.mark.torch
def test_too_many_ways_through_a_branch_run_as_a_loop_and_it_is_said():
    import torch

    def f(x):
        return torch.sin(x) * round(x.item(), 12)

    x = np.linspace(0.5, 1.5, 100)
    with pytest.warns(GradsweepWarning, match=r"plain loop.*more than 64 ways"):
        ds = gs.gradient(f, gs.Sweep(x=x))
    np.testing.assert_allclose(ds.df_dx, np.cos(x) * np.round(x, 12), rtol=1e-13)
    with pytest.raises(BranchError, match=r"(?s)more than 64 ways.*torch\.where"):
        gs.gradient(f, gs.Sweep(x=x), engine="reference")


@pytest.mark.jax
def test_a_python_branch_in_jax_names_the_line_and_what_to_write():
    import jax.numpy as jnp

    def f(x):
        if x > 0.5:
            return jnp.sin(x)
        return x

    with pytest.raises(BranchError) as caught:
        gs.gradient(f, gs.Sweep(x=[0.0, 1.0]))
    message = str(caught.value)
    assert "if x > 0.5:" in message and "test_bad_input.py" in message
    assert "jnp.where" in message


def test_an_output_that_ignores_an_argument_is_zero_without_dims_and_the_plan_says_so():
    sweep = gs.Sweep(a=[1.0, 2.0, 3.0], b=[1.0, 2.0])
    ds = gs.gradient(lambda a, b: a**2, sweep)
    assert ds.df_db.dims == () and ds.df_db.item() == 0.0
    text = str(gs.plan(gs.gradient, lambda a, b: a**2, sweep))
    assert text.count("df_db is zero") == 1


@pytest.mark.torch
def test_a_random_operation_says_how_to_pass_the_randomness_in():
    import torch

    with pytest.raises(StatefulFunction, match="argument"):
        gs.gradient(lambda x: x * torch.rand(()), gs.Sweep(x=[1.0, 2.0]))
    with pytest.raises(StatefulFunction, match="argument"):
        gs.gradient(lambda x: torch.nn.functional.dropout(x), gs.Sweep(x=("i", np.ones((2, 3)))))


def test_hidden_randomness_is_found():
    rng = np.random.default_rng(0)
    with pytest.raises(StatefulFunction, match="argument"):
        gs.gradient(lambda x: x * float(rng.normal()), gs.Sweep(x=[1.0, 2.0]))


@pytest.mark.jax
def test_a_jax_key_held_by_the_function_is_no_randomness():
    import jax

    key = jax.random.key(0)
    ds = gs.gradient(lambda x: x**2 * jax.random.normal(key), gs.Sweep(x=[1.0, 2.0]))
    with jax.enable_x64(True):
        expected = [float(jax.grad(lambda x: x**2 * jax.random.normal(key))(v)) for v in (1.0, 2.0)]
    np.testing.assert_allclose(ds.df_dx, expected, rtol=1e-12)


@pytest.mark.torch
def test_a_shape_that_varies_from_point_to_point_gives_both_points():
    import torch

    def f(x):
        grid = torch.arange(4.0)
        return grid[grid < x] * x

    with pytest.raises(OutputError) as caught:
        gs.jacobian(f, gs.Sweep(x=[1.5, 2.5]))
    message = str(caught.value)
    assert "(2,)" in message and "(3,)" in message
    assert "x=1.5" in message and "x=2.5" in message


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_function_that_raises_keeps_its_traceback_and_the_point_is_told(framework):
    pytest.importorskip(framework)

    def broken(x, y):
        raise KeyError("my own mistake")

    with pytest.raises(KeyError, match="my own mistake") as caught:
        gs.gradient(broken, gs.Sweep(x=[1.5, 2.5], y=2.0), framework=framework)
    assert any("x=1.5" in note for note in caught.value.__notes__)
    assert "broken" in [entry.name for entry in caught.traceback]


def test_a_missing_framework_gives_the_install_line(monkeypatch):
    import builtins
    import sys

    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] in ("torch", "jax"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
        return real(name, *args, **kwargs)

    for module in list(sys.modules):
        if module.split(".")[0] in ("torch", "jax") or module.startswith("gradsweep.tracing."):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", refuse)
    import importlib

    def refuse_module(name, package=None):
        if name.split(".")[0] in ("torch", "jax"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
        return real_import_module(name, package)

    real_import_module = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", refuse_module)

    def never_traced_before(S):
        return S * 1.2345

    with pytest.raises(ImportError) as caught:
        gs.gradient(never_traced_before, gs.Sweep(S=1.0))
    assert "pip install 'gradsweep[torch]'" in str(caught.value)
    with pytest.raises(ImportError, match=r"pip install 'gradsweep\[jax\]'"):
        gs.gradient(never_traced_before, gs.Sweep(S=1.0), framework="jax")


def test_missing_arguments_are_named():
    with pytest.raises(ArgumentError, match="price needs 'K'"):
        gs.gradient(price, gs.Sweep(S=1.0, T=1.0, r=0.0, sigma=0.1))


def test_defaults_keyword_only_and_extra_arguments_work_as_in_a_call():
    def f(x, /, y, *rest, scale=2.0, kind="a", **others):
        total = x * y * scale
        for value in rest:
            total = total + value * y
        return total + sum(others.values()) * y

    sweep = gs.Sweep(x=[1.0, 2.0], y=3.0, rest=((), [5.0, 7.0]), z=11.0)
    ds = gs.gradient(f, sweep)
    np.testing.assert_allclose(ds.df_dx, 6.0)
    np.testing.assert_allclose(ds.df_dy, 2.0 * np.array([1.0, 2.0]) + 12.0 + 11.0)
    assert "df_dscale" not in ds  # a default that the Sweep does not name
    np.testing.assert_array_equal(ds.df_drest, [3.0, 3.0])
    assert ds.df_dz.item() == 3.0
    np.testing.assert_allclose(gs.gradient(f, sweep, wrt="scale").df_dscale, [3.0, 6.0])


def test_arguments_may_have_the_names_of_our_options():
    names = "wrt engine out with_value framework mode compile sweep f self tangent".split()

    def f(wrt, engine, out, with_value, framework, mode, compile, sweep, f, self, tangent):
        return wrt**2 * (
            engine + out + with_value + framework + mode + compile + sweep + f + self + tangent
        )

    ds = gs.gradient(f, gs.Sweep(**{**dict.fromkeys(names, 1.0), "wrt": [1.0, 2.0]}))
    np.testing.assert_allclose(ds.df_dwrt, [20.0, 40.0])
    np.testing.assert_allclose(ds.df_dengine, [1.0, 4.0])


def test_a_function_that_keeps_state_is_refused():
    class Counter:
        calls = 0

        def __call__(self, x):
            self.calls += 1
            return x * self.calls

    with pytest.raises(StatefulFunction, match="same arguments"):
        gs.gradient(Counter(), gs.Sweep(x=[1.0, 2.0]))


@pytest.mark.torch
def test_a_function_that_changes_its_input_in_place_is_right_or_refused():
    def f(x, y):
        y = y.mul_(2.0)
        return x * y

    y = np.array([1.0, 2.0, 3.0])
    ds = gs.gradient(f, gs.Sweep(x=2.0, y=y), wrt=["x"])
    np.testing.assert_allclose(ds.df_dx, 2 * y)
    np.testing.assert_array_equal(y, [1.0, 2.0, 3.0])


@pytest.mark.torch
def test_a_function_that_writes_into_a_captured_tensor_is_refused():
    import torch

    memory = torch.zeros(3, dtype=torch.float64)

    def f(x):
        memory.add_(x)
        return memory.sum() * x

    with pytest.raises(StatefulFunction):
        gs.gradient(f, gs.Sweep(x=[1.0, 2.0]))


def test_a_function_of_numpys_own_is_refused():
    with pytest.raises(ArgumentError, match=r"sin is a function of NumPy.*\n.*lambda x: np.sin"):
        gs.gradient(np.sin, gs.Sweep(x=[1.0, 2.0]))


def test_names_that_cannot_be_are_refused():
    with pytest.raises(SweepError, match="no name"):
        gs.Sweep(**{"": 1.0})
    with pytest.raises(SweepError, match="a dim may not be called 'selected points'"):
        gs.gradient(lambda x: x * x, gs.Sweep(x=("selected points", [1.0, 2.0])))


def test_options_and_engines_that_do_not_exist_are_named():
    with pytest.raises(ArgumentError, match="'engin'.*Did you mean 'engine'"):
        gs.gradient(price, gs.Sweep(**SWEEP), engin="reference")
    with pytest.raises(ArgumentError, match="'refrence'.*Did you mean 'reference'"):
        gs.gradient(price, gs.Sweep(**SWEEP), engine="refrence")
    with pytest.raises(ArgumentError, match="framework 'jaxx'"):
        gs.gradient(price, gs.Sweep(**SWEEP), framework="jaxx")
    with pytest.raises(ArgumentError, match=r"gs\.Sweep"):
        gs.gradient(price, SWEEP)


@pytest.mark.torch
def test_an_engine_of_the_other_framework_says_why():
    torch = pytest.importorskip("torch")
    with pytest.raises(EngineError, match="torch traces the function here; framework='jax'"):
        gs.gradient(lambda x: np.exp(x), gs.Sweep(x=[1.0]), engine="xla", framework="torch")
    with pytest.raises(EngineError, match="written for torch"):
        gs.gradient(lambda x: torch.exp(x), gs.Sweep(x=[1.0]), engine="xla")


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_result_that_is_no_number_is_refused(framework):
    pytest.importorskip(framework)
    for output in ("text", None):
        with pytest.raises(OutputError):
            gs.value(lambda x, y=output: y, gs.Sweep(x=[1.0]), framework=framework)


def test_a_tangent_of_the_wrong_form_is_refused():
    sweep = gs.Sweep(q=("pose", np.ones((4, 3))))
    with pytest.raises(SweepError, match=r"shape \(2,\).*\(3,\)"):
        gs.jvp(lambda q: q[0], sweep, {"q": np.ones(2)})
    with pytest.raises(SweepError, match="mapping"):
        gs.jvp(lambda q: q[0], sweep, 1.0)
    with pytest.raises(ArgumentError, match="jvp takes"):
        gs.plan(gs.jvp, lambda q: q[0], sweep)
    with pytest.raises(OutputError, match="no output 'speed'"):
        gs.vjp(lambda q: q[0], sweep, {"speed": 1.0})


@pytest.mark.torch
def test_what_is_no_program_runs_on_its_framework_without_a_warning():
    import torch

    def f(x):
        m = torch.stack([torch.stack([2.0 + x, x]), torch.stack([x, 3.0 + x])])
        return torch.linalg.eigvalsh(m).sum()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = gs.gradient(f, gs.Sweep(x=[0.5, 1.0]))
    np.testing.assert_allclose(ds.df_dx, [2.0, 2.0], rtol=1e-12)


def test_one_number_for_any_number_of_arguments_is_refused():
    def total(first, *others):
        return first * sum(others)

    for value in (2.0, [1.0, 2.0], "call"):
        with pytest.raises(ArgumentError, match=r"total takes \*others.*\n.*lambda x, y"):
            gs.gradient(total, gs.Sweep(first=1.0, others=value))
    found = gs.gradient(total, gs.Sweep(first=[1.0, 5.0], others=((), (2.0, 3.0))))
    np.testing.assert_array_equal(found.dtotal_dothers_0, [1.0, 5.0])


@pytest.mark.torch
def test_a_tensor_that_torch_func_is_mapping_has_no_values():
    torch = pytest.importorskip("torch")

    def outer(y):
        return gs.gradient(lambda x: x**2, gs.Sweep(x=("point", y)))

    with pytest.raises(SweepError, match=r"'x' has no values yet.*\(jit, vmap, grad\).*outside"):
        torch.func.vmap(outer)(torch.ones(3, 2))


@pytest.mark.jax
def test_an_array_that_jax_is_tracing_has_no_values():
    jax = pytest.importorskip("jax")

    def outer(y):
        return gs.gradient(lambda x: x**2, gs.Sweep(x=("point", y)))

    for transform in (jax.jit, jax.vmap):
        with pytest.raises(SweepError, match=r"'x' has no values yet.*\(jit, vmap, grad\)"):
            transform(outer)(np.ones((3, 2)))


SURFACE = gs.Sweep(x=np.linspace(0, 1, 5), y=[1.0, 2.0])


def surface(x, y):
    return x * y**2


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: gs.gradient(surface, SURFACE, engine=None), "no engine None; name one"),
        (lambda: gs.gradient(surface, SURFACE, threads=[]), r"threads=\[\]: give a whole number"),
        (lambda: gs.gradient(surface, SURFACE, threads=True), "threads=True: give a whole number"),
        (lambda: gs.gradient(surface, SURFACE, reduce=np.mean), "no reduction <function mean"),
        (
            lambda: gs.gradient(surface, SURFACE, reduce="quantile", quantiles="median"),
            "quantiles='median': give numbers between 0 and 1",
        ),
        (lambda: gs.gradient(surface, SURFACE, store=True), "store=True is no path"),
        (lambda: gs.gradient(surface, SURFACE, store="out"), "a name ends in .zarr or .nc"),
        (lambda: gs.Sweep(S=xr.Dataset({"S": ("S", [1.0])})), r"'S' is a Dataset.*S=ds\['S'\]"),
        (lambda: gs.matrix(surface), "matrix takes the Dataset .*, not a function"),
        (lambda: gs.broadcast(np.ones(3)), "broadcast takes the Dataset .*, not a ndarray"),
        (lambda: gs.compare(surface, SURFACE, points=0), "points=0: give sizes of one point"),
        (lambda: gs.compare(surface, SURFACE, points="many"), "points='many': give sizes"),
        (lambda: gs.Sweep.sample({"x": (0, 1)}, 8), "how many points, then a mapping"),
        (lambda: gs.Sweep.sample(8, {"x": (1, 0, 2)}), "a tuple of two numbers"),
    ],
)
def test_values_of_the_wrong_kind_are_refused_in_words(call, message):
    with pytest.raises(GradsweepError, match=message):
        call()


@pytest.mark.torch
def test_the_note_of_an_exception_names_static_arguments_too():
    torch = pytest.importorskip("torch")

    def price(S, K):
        return torch.log(S / K)

    with pytest.raises(TypeError) as refused:
        gs.gradient(price, gs.Sweep(S=[50.0, 60.0], K="100"))
    assert "while tracing price at S=50, K='100'" in refused.value.__notes__


def test_hvp_has_a_component_for_every_argument():
    """An argument that the tangent leaves out counts as zero, and still has a row of H."""
    found = gs.hvp(lambda x, y: x * y, gs.Sweep(x=[1.0, 2.0], y=[3.0, 4.0]), {"x": 1.0})
    assert float(found.hvp_x) == 0 and float(found.hvp_y) == 1
