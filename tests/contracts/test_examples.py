"""Every example, against closed forms, QuantLib, sympy, mpmath and torch.func."""

import importlib

import mpmath
import numpy as np
import pytest
import sympy

import gradsweep as gs
from examples import borehole_ranges, chain, question, ur5

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]


def load(name: str, framework: str):
    """Return an example's module in one framework: arm, or arm_jax."""
    return importlib.import_module(f"examples.{name}" + ("_jax" if framework == "jax" else ""))


# -- the question


def question_function(name: str):
    return question.f if name == "operators" else load_question(name)


def load_question(framework: str):
    return importlib.import_module(f"examples.question_{framework}").f


QUESTIONS = [
    pytest.param("operators", framework, marks=getattr(pytest.mark, framework))
    for framework in ("torch", "jax")
] + [pytest.param(name, name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]


@pytest.mark.parametrize("written, framework", QUESTIONS)
def test_question_has_its_gradient_with_only_the_dims_it_depends_on(written, framework):
    f = question_function(written)
    gradient = gs.gradient(f, question.sweep(), framework=framework)
    assert gradient.df_dx0.dims == ("x0",)
    np.testing.assert_array_equal(gradient.df_dx0, 2 * np.arange(1.0, 10.0))
    for index, expected in enumerate([3.0, 4.0, 5.0, 6.0], start=1):
        partial = gradient[f"df_dx{index}"]
        assert partial.dims == ()
        assert partial.item() == expected


@pytest.mark.parametrize("written, framework", QUESTIONS)
def test_question_contributions_sum_to_jvp(written, framework):
    f, v = question_function(written), {f"x{i}": 0.1 * (i + 1) for i in range(5)}
    shares = gs.contributions(f, question.sweep(), v, framework=framework)
    total = gs.jvp(f, question.sweep(), v, framework=framework).jvp
    expected = 0.2 * np.arange(1.0, 10.0) + 0.2 * 3 + 0.3 * 4 + 0.4 * 5 + 0.5 * 6
    np.testing.assert_allclose(total, expected, rtol=1e-14)
    np.testing.assert_allclose(sum(shares[name] for name in shares), expected, rtol=1e-14)


# -- Black-Scholes

# spot, strike, expiry, rate, volatility
QUOTES = [
    (100.0, 100.0, 1.0, 0.05, 0.2),
    (80.0, 110.0, 0.5, 0.01, 0.35),
    (130.0, 90.0, 2.0, 0.03, 0.1),
]


def quantlib_greeks(S, K, T, r, sigma) -> dict[str, float]:
    import QuantLib as ql

    discount = np.exp(-r * T)
    call = ql.BlackCalculator(
        ql.PlainVanillaPayoff(ql.Option.Call, K), S / discount, sigma * np.sqrt(T), discount
    )
    return {
        "price": call.value(),
        "dprice_dS": call.delta(S),
        "dprice_dK": call.strikeSensitivity(),
        "dprice_dT": -call.theta(S, T),
        "dprice_dr": call.rho(T),
        "dprice_dsigma": call.vega(T),
        "d2price_dS_dS": call.gamma(S),
    }


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_black_scholes_greeks_are_quantlibs(framework):
    price = load("black_scholes", framework).price
    columns = zip(["S", "K", "T", "r", "sigma"], np.array(QUOTES).T, strict=True)
    sweep = gs.Sweep(**{name: ("quote", values) for name, values in columns})
    first = gs.gradient(price, sweep, with_value=True)
    second = gs.hessian(price, sweep, wrt="S")
    for i, quote in enumerate(QUOTES):
        for name, expected in quantlib_greeks(*quote).items():
            found = (first if name in first else second)[name].values[i]
            assert found == pytest.approx(expected, rel=1e-10), (name, quote)


# -- the borehole


def borehole_by_sympy():
    names = list(borehole_ranges.RANGES)
    rw, r, Tu, Hu, Tl, Hl, L, Kw = symbols = sympy.symbols(names, positive=True)
    ratio = sympy.log(r / rw)
    resistance = 1 + 2 * L * Tu / (ratio * rw**2 * Kw) + Tu / Tl
    return symbols, 2 * sympy.pi * Tu * (Hu - Hl) / (ratio * resistance)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_borehole_gradient_is_sympys(framework):
    design = gs.Sweep.sample(4, borehole_ranges.RANGES, rng=1)
    gradient = gs.gradient(load("borehole", framework).flow, design, with_value=True)
    symbols, flow = borehole_by_sympy()
    for point in range(4):
        values = {s: sympy.Float(gradient[s.name].values[point], 30) for s in symbols}
        assert gradient.flow.values[point] == pytest.approx(float(flow.subs(values)), rel=1e-12)
        for symbol in symbols:
            expected = float(sympy.diff(flow, symbol).subs(values))
            found = gradient[f"dflow_d{symbol.name}"].values[point]
            assert found == pytest.approx(expected, rel=1e-10), symbol


# -- the arm


def position_by_mpmath(q) -> mpmath.matrix:
    transform = mpmath.eye(4)
    for angle, (a, d, alpha) in zip(q, ur5.JOINTS, strict=True):
        c, s = mpmath.cos(angle), mpmath.sin(angle)
        ca, sa = mpmath.cos(alpha), mpmath.sin(alpha)
        transform = transform * mpmath.matrix(
            [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
        )
    return transform[:3, 3]


def jacobian_by_mpmath(q) -> np.ndarray:
    # With 50 digits, central differences of step 1e-20 are exact to double precision.
    with mpmath.workdps(50):
        step, q = mpmath.mpf("1e-20"), [mpmath.mpf(float(angle)) for angle in q]
        columns = []
        for i in range(len(q)):
            ends = [position_by_mpmath([*q[:i], q[i] + h, *q[i + 1 :]]) for h in (step, -step)]
            columns.append([float(x) for x in (ends[0] - ends[1]) / (2 * step)])
    return np.array(columns).T


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_arm_jacobian_is_that_of_its_kinematics_in_50_digits(framework):
    poses = np.random.default_rng(3).uniform(-np.pi, np.pi, size=(4, 6))
    arm = load("arm", framework).arm
    J = gs.jacobian(arm, gs.Sweep(q=("pose", poses))).darm_dq
    assert J.dims == ("pose", "arm_0", "q_0")
    for pose, q in enumerate(poses):
        np.testing.assert_allclose(J[pose], jacobian_by_mpmath(q), rtol=0, atol=1e-14)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_arm_at_zero_angles_reaches_to_its_published_position(framework):
    # Stretched out: x is the sum of the link lengths, y and z are sums of the offsets.
    position = gs.value(load("arm", framework).arm, gs.Sweep(q=((), np.zeros(6)))).arm
    expected = [-0.425 - 0.39225, -0.10915 - 0.0823, 0.089159 - 0.09465]
    np.testing.assert_allclose(position, expected, rtol=0, atol=1e-15)


# -- the network


@pytest.mark.torch
def test_network_jacobians_are_those_of_torch_func():
    import torch

    from examples.network import make_network, with_parameters

    network, x = make_network(), np.random.default_rng(5).normal(size=(7, 3))
    params = {name: p.detach() for name, p in network.named_parameters()}
    function = with_parameters(network)
    ds = gs.jacobian(function, gs.Sweep(params=((), params), x=("sample", x)))
    by_input = gs.jacobian(network, gs.Sweep(x=("sample", x)))
    batch = torch.func.vmap(torch.func.jacrev(function, argnums=(0, 1)), in_dims=(None, 0))
    of_params, of_x = batch(params, torch.from_numpy(x))
    np.testing.assert_allclose(ds.doutputs_dx, of_x, rtol=1e-12)
    np.testing.assert_allclose(by_input[next(iter(by_input))], of_x, rtol=1e-12)
    for name, expected in of_params.items():
        found = ds[f"doutputs_dparams_{name.replace('.', '_')}"]
        expanded = np.broadcast_to(found, expected.shape)  # the last bias has no dim of samples
        np.testing.assert_allclose(expanded, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.jax
def test_network_jacobian_in_jax_is_its_closed_form():
    from examples.network_jax import make_parameters, network

    params, x = make_parameters(), np.random.default_rng(5).normal(size=(7, 3))
    ds = gs.jacobian(network, gs.Sweep(params=((), params), x=("sample", x)), wrt=["params", "x"])
    hidden = np.tanh(x @ params["hidden"]["weight"].T + params["hidden"]["bias"])
    # d tanh(u) = 1 - tanh(u)^2
    of_hidden = params["output"]["weight"] * (1 - hidden**2)[:, None, :]
    np.testing.assert_allclose(
        ds.dnetwork_dx, of_hidden @ params["hidden"]["weight"], rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(ds.dnetwork_dparams_hidden_bias, of_hidden, rtol=1e-12)
    assert "sample" not in ds.dnetwork_dparams_output_bias.dims
    np.testing.assert_array_equal(ds.dnetwork_dparams_output_bias, np.eye(2))


# -- the chain


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_chain_has_a_derivative_for_each_parameter_of_each_link(framework):
    force = np.array([0.0, 10.0, 25.0, 50.0])
    sweep = gs.Sweep(links=((), chain.LINKS), force=force)
    gradient = gs.gradient(chain.length, sweep, framework=framework)
    compliance = sum(1 / link["stiffness"] for link in chain.LINKS)
    assert gradient.dlength_dforce.dims == ()
    assert gradient.dlength_dforce.item() == pytest.approx(compliance, rel=1e-14)
    for i, link in enumerate(chain.LINKS):
        rest, stiffness = (gradient[f"dlength_dlinks_{i}_{p}"] for p in ("rest", "stiffness"))
        assert rest.dims == ()
        assert rest.item() == 1.0
        np.testing.assert_allclose(stiffness, -force / link["stiffness"] ** 2, rtol=1e-14)


# -- every main()

MAINS = {
    "torch": ["question", "question_torch", "black_scholes", "borehole", "arm", "network", "chain"],
    "jax": ["question_jax", "black_scholes_jax", "borehole_jax", "arm_jax", "network_jax"],
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=getattr(pytest.mark, framework))
        for framework, names in MAINS.items()
        for name in names
    ],
)
def test_example_prints_its_result(name, capsys):
    importlib.import_module(f"examples.{name}").main()
    assert capsys.readouterr().out


@pytest.mark.torch
@pytest.mark.jax
def test_tour_prints_and_saves_every_result(tmp_path, capsys):
    import xarray

    from examples.__main__ import main

    main(str(tmp_path))
    printed = capsys.readouterr().out
    saved = sorted(tmp_path.glob("*.nc"))
    assert len(saved) == 9
    assert all(str(path) in printed for path in saved)
    for framework in ("torch", "jax"):
        matrix = xarray.load_dataset(tmp_path / f"question_{framework}_matrix.nc")["df"]
        assert matrix.shape == (9, 5)
        np.testing.assert_array_equal(matrix[0], [2, 3, 4, 5, 6])
