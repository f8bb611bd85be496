"""gs.check: right derivatives pass, and every planted fault is found."""

import importlib
import math

import numpy as np
import pytest

import gradsweep as gs
from examples import borehole_ranges, chain, question
from tests.support.checks import GRID, torch_sine

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]


def namespace(framework: str):
    return importlib.import_module("torch" if framework == "torch" else "jax.numpy")


def verdicts(check) -> dict[str, set[str]]:
    """Return the verdicts of each derivative."""
    found: dict[str, set[str]] = {}
    for row in check.rows:
        found.setdefault(row.variable, set()).add(row.verdict)
    return found


# -- the examples


def example(name: str, framework: str):
    return importlib.import_module(f"examples.{name}" + ("_jax" if framework == "jax" else ""))


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("quantity", [gs.gradient, gs.hessian])
def test_the_question_passes(framework, quantity):
    check = gs.check(question.f, question.sweep(), quantity=quantity, framework=framework)
    assert check.ok, check
    assert {row.estimate for row in check.rows} >= {"mpmath", "scipy"}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_question_in_each_framework_passes(framework):
    f = importlib.import_module(f"examples.question_{framework}").f
    assert gs.check(f, question.sweep()).ok


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_black_scholes_passes_deep_out_of_the_money_too(framework):
    ladder = gs.Sweep(S=np.linspace(50.0, 150.0, 11), K=100.0, T=1.0, r=0.05, sigma=[0.1, 0.2, 0.3])
    check = gs.check(example("black_scholes", framework).price, ladder, n_points=6)
    assert check.ok, check
    assert check.n_sweep_points == 33
    assert len(check.points) == 6


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_borehole_passes(framework):
    design = gs.Sweep.sample(4, borehole_ranges.RANGES, rng=1)
    check = gs.check(example("borehole", framework).flow, design)
    assert check.ok, check


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_arm_passes(framework):
    poses = np.random.default_rng(3).uniform(-np.pi, np.pi, size=(4, 6))
    check = gs.check(
        example("arm", framework).arm, gs.Sweep(q=("pose", poses)), quantity=gs.jacobian, n_points=2
    )
    assert check.ok, check
    assert {row.index for row in check.rows} == set(np.ndindex(3, 6))


@pytest.mark.slow
@pytest.mark.torch
def test_the_network_passes_with_respect_to_its_parameters():
    from examples.network import make_network, with_parameters

    network, x = make_network(), np.random.default_rng(5).normal(size=(3, 3))
    params = {name: p.detach() for name, p in network.named_parameters()}
    sweep = gs.Sweep(params=((), params), x=("sample", x))
    check = gs.check(with_parameters(network), sweep, quantity=gs.jacobian)
    assert check.ok, check
    assert "dNetwork_dx" in verdicts(
        gs.check(network, gs.Sweep(x=("sample", x)), quantity=gs.jacobian)
    )


@pytest.mark.slow
@pytest.mark.jax
def test_the_network_in_jax_passes():
    from examples.network_jax import make_parameters, network

    x = np.random.default_rng(5).normal(size=(3, 3))
    sweep = gs.Sweep(params=((), make_parameters()), x=("sample", x))
    check = gs.check(network, sweep, quantity=gs.jacobian, wrt=["params", "x"])
    assert check.ok, check


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_chain_passes(framework):
    sweep = gs.Sweep(links=((), chain.LINKS), force=np.array([0.0, 10.0, 25.0]))
    assert gs.check(chain.length, sweep, framework=framework).ok


# -- planted faults: a sine whose derivative is wrong, each with a control


def jax_sine_by_jvp(sign: float):
    import jax
    import jax.numpy as jnp

    sine = jax.custom_jvp(jnp.sin)
    sine.defjvp(lambda x, v: (jnp.sin(x[0]), sign * jnp.cos(x[0]) * v[0]))
    return lambda x, y: y * sine(x)


def jax_sine_by_vjp(sign: float):
    import jax
    import jax.numpy as jnp

    sine = jax.custom_vjp(jnp.sin)
    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, w: (sign * jnp.cos(x) * w,))
    return lambda x, y: y * sine(x)


RULES = [
    pytest.param(torch_sine, marks=pytest.mark.torch),
    pytest.param(jax_sine_by_jvp, marks=pytest.mark.jax),
    pytest.param(jax_sine_by_vjp, marks=pytest.mark.jax),
]


@pytest.mark.parametrize("make", RULES)
def test_a_rule_with_a_wrong_sign_is_found(make):
    check = gs.check(make(-1.0), GRID)
    assert not check.ok
    assert verdicts(check) == {"df_dx": {"differs"}, "df_dy": {"agrees"}}
    assert {row.estimate for row in check.suspicious} >= {"mpmath", "scipy"}
    assert "df_dx, the opposite sign of the estimate" in check.sentence


@pytest.mark.parametrize("make", RULES)
def test_a_rule_with_the_right_sign_passes(make):
    check = gs.check(make(1.0), GRID)
    assert check.ok, check
    assert "agrees with mpmath" in check.sentence


QUANTITIES = {
    "gradient": (),
    "jacobian": (),
    "jvp": ({"x": 1.0, "y": 0.25},),
    "contributions": ({"x": 1.0, "y": 0.25},),
    "vjp": (2.0,),
    "hessian": (),
    "hvp": ({"x": 1.0, "y": 0.25},),
}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("estimate", ["mpmath", "scipy"])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_quantity_is_checked_by_every_estimate(quantity, estimate):
    def checked(sign: float):
        directions = QUANTITIES[quantity]
        return gs.check(
            torch_sine(sign), GRID, *directions, quantity=quantity, n_points=3, estimates=estimate
        )

    assert not checked(-1.0).ok
    good = checked(1.0)
    assert good.ok, good
    # A function that torch cannot vectorise is called one by one, at fewer points.
    assert {row.verdict for row in good.rows} <= {"agrees", "unchecked"}


@pytest.mark.torch
def test_estimates_are_the_closed_form():
    check = gs.check(torch_sine(1.0), GRID)
    for row in check.rows:
        x, y = (float(check.points[row.point][name]) for name in "xy")
        expected = {"df_dx": y * math.cos(x), "df_dy": math.sin(x)}[row.variable]
        assert row.estimated == pytest.approx(expected, rel=1e-9)
        assert abs(row.estimated - expected) <= 10 * row.error + 1e-15


@pytest.mark.slow
@pytest.mark.torch
def test_tangents_and_cotangents_may_be_swept_and_weigh_several_outputs():
    import torch

    def both(q, y):
        return {"sum": torch.sum(q**2) * y, "each": torch.sin(q)}

    sweep = gs.Sweep(q=("pose", np.linspace(0.2, 1.3, 6).reshape(3, 2)), y=2.0)
    w = {"sum": ("pose", [1.0, -2.0, 0.5]), "each": np.array([3.0, -1.0])}
    v = {"q": ("pose", np.linspace(-1.0, 1.0, 6).reshape(3, 2)), "y": 0.5}
    assert gs.check(both, sweep, w, quantity=gs.vjp).ok
    assert gs.check(both, sweep, v, quantity=gs.jvp).ok
    assert gs.check(both, sweep, v, quantity=gs.contributions).ok
    assert gs.check(both, sweep, v, quantity=gs.hvp).ok


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_cut_off_from_the_graph_is_found(framework):
    def frozen(x, y):
        if framework == "torch":
            return y * namespace("torch").sin(x).detach() + y
        import jax

        return y * jax.lax.stop_gradient(jax.numpy.sin(x)) + y

    def whole(x, y):
        return y * namespace(framework).sin(x) + y

    check = gs.check(frozen, GRID, framework=framework)
    assert verdicts(check) == {"dfrozen_dx": {"differs"}, "dfrozen_dy": {"agrees"}}
    assert "zero where the estimate is not" in check.sentence
    assert gs.check(whole, GRID, framework=framework).ok


@pytest.mark.slow
@pytest.mark.torch
def test_a_value_frozen_by_python_is_found_by_calling_the_function():
    def frozen(x, y):
        return y * x * x.item()

    check = gs.check(frozen, GRID)
    assert verdicts(check) == {"dfrozen_dx": {"differs"}, "dfrozen_dy": {"agrees"}}
    assert {row.estimate for row in check.suspicious} == {"scipy"}
    (note,) = (note for note in check.estimates if note.name == "mpmath")
    assert "its Python code reads a value that is swept, at test_check.py" in note.reason
    assert gs.check(lambda x, y: y * x * x, GRID).ok


# -- kinks


AT_THE_KINK = gs.Sweep(x=np.array([0.25, 0.5, 0.75]), y=2.0)
BESIDE_IT = gs.Sweep(x=np.array([0.25, 0.5 + 1e-6, 0.75]), y=2.0)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("estimate", ["mpmath", "scipy"])
def test_a_kink_at_a_sampled_point_is_found(framework, estimate):
    def bent(x, y):
        return y * namespace(framework).abs(x - 0.5)

    check = gs.check(bent, AT_THE_KINK, estimates=estimate, framework=framework)
    (row,) = check.suspicious
    assert (row.variable, row.verdict) == ("dbent_dx", "kink")
    assert check.points[row.point]["x"] == 0.5
    assert "-2 from the left, 2 from the right" in row.reason
    assert gs.check(bent, BESIDE_IT, estimates=estimate, framework=framework).ok


@pytest.mark.torch
@pytest.mark.parametrize("estimate", ["mpmath", "scipy"])
def test_a_kink_between_two_python_branches_is_found(estimate):
    def branched(x, y):
        return y * x if x > 0.5 else 0.5 * y + 0.0 * x

    check = gs.check(branched, AT_THE_KINK, estimates=estimate)
    (row,) = check.suspicious
    assert (row.variable, row.verdict) == ("dbranched_dx", "kink")
    assert gs.check(branched, BESIDE_IT, estimates=estimate).ok


@pytest.mark.torch
def test_a_side_that_strays_alone_is_no_kink():
    def smooth(z, a):
        return np.exp(z * a) / (z + 2)

    sweep = gs.Sweep(z=np.array([1 + 2j, -0.5 + 0.3j, 2 - 1j]), a=[0.3, 0.7])
    check = gs.check(smooth, sweep, quantity=gs.hessian, estimates="scipy")
    assert check.ok, check


@pytest.mark.torch
def test_at_the_edge_of_a_domain_one_side_is_enough():
    # d x^1.5 / dx = 0 at 0, where the function ends.
    check = gs.check(lambda x: x**1.5, gs.Sweep(x=np.array([0.0, 0.5, 1.0])), estimates="mpmath")
    assert check.ok, check


# -- not finite


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_points_that_are_not_finite_are_counted_and_shown(framework):
    xs = np.array([-1.0, 0.0, 0.5, 2.0])
    check = gs.check(
        lambda x, y: namespace(framework).log(x) * y, gs.Sweep(x=xs, y=2.0), framework=framework
    )
    assert [float(check.points[number]["x"]) for number in check.not_finite] == [-1.0, 0.0]
    text = str(check)
    assert "Not finite at 2 of 4 points:" in text
    assert "x=0: df_dx = inf" in text
    all_finite = gs.check(
        lambda x, y: namespace(framework).log(x) * y, gs.Sweep(x=xs[2:], y=2.0), framework=framework
    )
    assert all_finite.not_finite == ()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_nan_where_the_derivative_is_finite_is_suspicious(framework):
    def guarded(x, safe):
        xp = namespace(framework)
        inside = xp.where(x > 0, x, 1.0 + 0 * x) if safe else x
        return xp.where(x > 0, xp.sqrt(inside), 0 * x)

    xs = np.array([-1.0, -0.5, 2.0])
    check = gs.check(guarded, gs.Sweep(x=xs, safe=False), framework=framework)
    assert {float(check.points[row.point]["x"]) for row in check.suspicious} == {-1.0, -0.5}
    assert "nan where the derivative is finite" in check.sentence
    assert gs.check(guarded, gs.Sweep(x=xs, safe=True), framework=framework).ok


# -- float32


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("estimate", ["mpmath", "scipy"])
def test_float32_inside_a_float64_function_is_found(framework, estimate):
    def narrow(x, y):
        x32 = x.float() if framework == "torch" else x.astype("float32")
        return namespace(framework).exp(namespace(framework).sin(x32)) * y

    def wide(x, y):
        return namespace(framework).exp(namespace(framework).sin(x)) * y

    check = gs.check(narrow, GRID, estimates=estimate, framework=framework)
    assert not check.ok
    assert "float32 arithmetic inside the function is probable" in check.sentence
    good = gs.check(wide, GRID, estimates=estimate, framework=framework)
    assert good.ok, good
    assert "float32" not in str(good)


@pytest.mark.slow
@pytest.mark.torch
def test_float32_is_found_where_there_is_no_program():
    import torch

    def spectrum(x, y, narrow):
        matrix = torch.stack([x, y, x * y, x + 2 * y]).reshape(2, 2)
        values = torch.linalg.eigvals(matrix.float() if narrow else matrix)
        return values.abs().sum().double()

    sweep = {"x": np.linspace(0.1, 1.0, 4), "y": 2.0}
    check = gs.check(spectrum, gs.Sweep(**sweep, narrow=True))
    assert "float32 arithmetic inside the function is probable" in check.sentence
    assert gs.check(spectrum, gs.Sweep(**sweep, narrow=False)).ok


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_sweep_in_float32_passes_by_its_own_precision(framework):
    sweep = gs.Sweep(x=np.linspace(0.1, 1.0, 5, dtype=np.float32), y=np.float32(2.0))
    assert gs.check(lambda x, y: namespace(framework).sin(x) * y, sweep, framework=framework).ok
