"""The JAX frontend: Programs and Traces against JAX's own derivatives and closed forms."""

import math

import jax.numpy as jnp
import jax.scipy.special as special
import jax.scipy.stats as stats
import numpy as np
import pytest

import gradsweep as gs
from gradsweep.engines.axes import analyse, result_dims
from gradsweep.errors import MissingRule
from gradsweep.planning.branches import first_point
from gradsweep.tracing.jax.operators import scoped_x64
from tests.support.jax_frontend import computed, traced, traced_and_request

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.jax


def plain(operators, f, points):
    """Apply JAX's own operators at each point in turn."""
    with scoped_x64():
        apply = jax.jit(lambda x: [operator(f)(x) for operator in operators])
        rows = [apply(jnp.asarray(point)) for point in points]
        return [np.stack([np.asarray(entry) for entry in column]) for column in zip(*rows)]


def itself(f):
    return f


# -- primitives


# A function of one number, and the interval that it is tried on.
ELEMENTARY = {
    "add": (lambda x: x + 2.0, -2, 2),
    "subtract": (lambda x: 1.5 - x, -2, 2),
    "multiply": (lambda x: 3.0 * x, -2, 2),
    "divide": (lambda x: 3.0 / x, 0.5, 2),
    "negative": (lambda x: -x, -2, 2),
    "abs": (jnp.abs, -2, 2),
    "sign": (lambda x: jnp.sign(x) * x, -2, 2),
    "maximum": (lambda x: jnp.maximum(x, 0.3), -2, 2),
    "minimum": (lambda x: jnp.minimum(x, 0.3), -2, 2),
    "clip": (lambda x: jnp.clip(x, -1.1, 0.9), -2, 2),
    "fmod": (lambda x: jnp.fmod(x, 0.7), -2, 2),
    "remainder": (lambda x: jnp.remainder(x, 0.7), -2, 2),
    "floor": (lambda x: jnp.floor(x) * x, -2, 2),
    "ceil": (lambda x: jnp.ceil(x) * x, -2, 2),
    "round": (lambda x: jnp.round(x) * x, -2, 2),
    "trunc": (lambda x: jnp.trunc(x) * x, -2, 2),
    "round_half_away": (lambda x: jax.lax.round(x) * x, -2.5, 2.5),
    "square": (jnp.square, -2, 2),
    "integer_power": (lambda x: x**5, -2, 2),
    "large_integer_power": (lambda x: x**13, -2, 2),
    "negative_power": (lambda x: x**-3, 0.5, 2),
    "constant_power": (lambda x: x**1.7, 0.5, 2),
    "power_of_itself": (lambda x: x**x, 0.5, 2),
    "exponential_of_two": (lambda x: 2.0**x, -2, 2),
    "sqrt": (jnp.sqrt, 0.5, 2),
    "rsqrt": (jax.lax.rsqrt, 0.5, 2),
    "cbrt": (jnp.cbrt, 0.5, 2),
    "hypot": (lambda x: jnp.hypot(x, 2.0), -2, 2),
    "exp": (jnp.exp, -2, 2),
    "exp2": (jnp.exp2, -2, 2),
    "expm1": (jnp.expm1, -2, 2),
    "log": (jnp.log, 0.5, 2),
    "log1p": (jnp.log1p, -0.5, 2),
    "log2": (jnp.log2, 0.5, 2),
    "log10": (jnp.log10, 0.5, 2),
    "sin": (jnp.sin, -2, 2),
    "cos": (jnp.cos, -2, 2),
    "tan": (jnp.tan, -1, 1),
    "arcsin": (jnp.arcsin, -0.9, 0.9),
    "arccos": (jnp.arccos, -0.9, 0.9),
    "arctan": (jnp.arctan, -2, 2),
    "arctan2": (lambda x: jnp.arctan2(x, 0.7) + jnp.arctan2(0.7, x), -2, 2),
    "sinh": (jnp.sinh, -2, 2),
    "cosh": (jnp.cosh, -2, 2),
    "tanh": (jnp.tanh, -2, 2),
    "arcsinh": (jnp.arcsinh, -2, 2),
    "arccosh": (jnp.arccosh, 1.1, 2),
    "arctanh": (jnp.arctanh, -0.9, 0.9),
    "sinc": (jnp.sinc, 0.1, 2),
    "erf": (special.erf, -2, 2),
    "erfc": (special.erfc, -2, 2),
    "erfinv": (special.erfinv, -0.9, 0.9),
    "gammaln": (special.gammaln, 0.5, 4),
    "gamma": (special.gamma, 0.5, 4),
    "digamma": (special.digamma, 0.5, 4),
    "polygamma": (lambda x: special.polygamma(1, x), 0.5, 4),
    "zeta": (lambda x: special.zeta(3.0, x), 0.5, 4),
    "gammainc": (lambda x: special.gammainc(1.5, x), 0.5, 4),
    "gammaincc": (lambda x: special.gammaincc(1.5, x), 0.5, 4),
    "i0": (special.i0, 0.1, 4),
    "i0e": (special.i0e, 0.1, 4),
    "i1": (special.i1, 0.1, 4),
    "i1e": (special.i1e, 0.1, 4),
    "xlogy": (lambda x: special.xlogy(x, 2.0 * x), 0.5, 4),
    "entr": (special.entr, 0.1, 4),
    "ndtri": (special.ndtri, 0.01, 0.99),
    "logit": (special.logit, 0.1, 0.9),
    "norm_cdf": (stats.norm.cdf, -3, 3),
    "norm_logcdf": (stats.norm.logcdf, -3, 3),
    "norm_pdf": (stats.norm.pdf, -3, 3),
    "sigmoid": (jax.nn.sigmoid, -3, 3),
    "log_sigmoid": (jax.nn.log_sigmoid, -3, 3),
    "softplus": (jax.nn.softplus, -3, 3),
    "relu": (jax.nn.relu, -3, 3),
    "relu6": (lambda x: jax.nn.relu6(4 * x), -3, 3),
    "elu": (jax.nn.elu, -3, 3),
    "gelu": (jax.nn.gelu, -3, 3),
    "silu": (jax.nn.silu, -3, 3),
    "where": (lambda x: jnp.where(x > 0.1, x**2, jnp.sin(x)), -3, 3),
    "select": (lambda x: jnp.select([x < -1, x < 1], [x**2, x**3], jnp.sin(x)), -3, 3),
    "piecewise": (lambda x: jnp.piecewise(x, [x < 0], [lambda u: u**2, jnp.sin]), -3, 3),
    "heaviside": (lambda x: jnp.heaviside(x, 0.5) * x**2, -3, 3),
    "logaddexp": (lambda x: jnp.logaddexp(x, 0.3), -3, 3),
    "polyval": (lambda x: jnp.polyval(jnp.array([1.0, -2.0, 0.5]), x), -3, 3),
    "interp": (lambda x: jnp.interp(x, jnp.arange(5.0), jnp.array([1.0, 3, 2, 5, 4])), 0.1, 3.9),
    "cond": (lambda x: jax.lax.cond(x > 0.1, jnp.sin, jnp.cos, x), -3, 3),
    "cond_logic": (lambda x: jnp.where((x > -1) & ~(x > 1) | (x > 2), x**2, x), -3, 3),
    "switch": (
        lambda x: jax.lax.switch(jnp.int32(x), [jnp.sin, jnp.cos, jnp.exp], x),
        -0.9,
        3.9,
    ),
    "fori_loop": (lambda x: jax.lax.fori_loop(0, 5, lambda i, c: c * x + i, x), -2, 2),
    "map": (lambda x: jax.lax.map(lambda a: jnp.sin(a * x), jnp.arange(4.0)).sum(), -2, 2),
    "checkpoint": (jax.checkpoint(lambda x: jnp.sin(x) * x), -2, 2),
    "stop_gradient": (lambda x: x * jax.lax.stop_gradient(x), -2, 2),
    "copysign": (lambda x: jnp.copysign(2.0, x) * x**2, -2, 2),
    "nan_to_num": (lambda x: jnp.nan_to_num(jnp.log(x)), 0.5, 2),
    "unwrap_jit": (jax.jit(lambda x: jax.jit(jnp.sin)(x) + x), -2, 2),
    "integer_division": (lambda x: x * (jnp.floor(x).astype(int) // 2), -3.3, 3.3),
    "integer_remainder": (lambda x: x * (jnp.floor(x).astype(int) % 3), -3.3, 3.3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ELEMENTARY)
def test_elementary_function_agrees_with_a_loop_of_jax(name):
    f, lower, upper = ELEMENTARY[name]
    points = np.linspace(lower, upper, 11)[:-1] + 0.0123 * (upper - lower) / 11
    value, gradient, second = plain([itself, jax.grad, jax.hessian], f, points)
    for quantity, mode, expected in [
        ("value", "reverse", value),
        ("gradient", "reverse", gradient),
        ("jacobian", "forward", gradient),
        ("hessian", "reverse", second),
    ]:
        (got,) = computed(quantity, lambda x: f(x), x=points, mode=mode)
        np.testing.assert_allclose(got, expected, rtol=3e-11, atol=1e-12, err_msg=quantity)


# A function of an array of three numbers.
OF_ARRAYS = {
    "norm": jnp.linalg.norm,
    "logsumexp": special.logsumexp,
    "softmax": lambda x: jax.nn.softmax(x) @ jnp.arange(3.0),
    "mean": jnp.mean,
    "std": jnp.std,
    "prod": jnp.prod,
    "max": lambda x: jnp.max(x) ** 2,
    "min": lambda x: jnp.min(x) ** 2,
    "argmax": lambda x: x[jnp.argmax(x)] ** 3,
    "argmin": lambda x: x[jnp.argmin(x)] ** 3,
    "sort": lambda x: jnp.sort(x) ** 2 @ jnp.arange(1.0, 4.0),
    "argsort": lambda x: x[jnp.argsort(x)] ** 2 @ jnp.arange(1.0, 4.0),
    "median": lambda x: jnp.median(x) ** 2,
    "cumulative": lambda x: (jnp.cumsum(x) * jnp.cumprod(x)).sum() ** 2,
    "cumulative_extremes": lambda x: (jax.lax.cummax(x) * jax.lax.cummin(x)).sum(),
    "cumlogsumexp": lambda x: jax.lax.cumlogsumexp(x, reverse=True).prod(),
    "any_all": lambda x: jnp.where(jnp.any(x > 0.8) | jnp.all(x < 0.2), x.sum(), x.prod()),
    "matmul": lambda x: x @ jnp.arange(9.0).reshape(3, 3) @ x,
    "einsum": lambda x: jnp.einsum("i,j,k,ijk->", x, x, x, jnp.arange(27.0).reshape(3, 3, 3)),
    "batched_matmul": lambda x: (jnp.outer(x, x)[None] @ jnp.ones((2, 3, 1))).sum(),
    "outer": lambda x: jnp.outer(x, jnp.sin(x)).sum(),
    "indexing": lambda x: x[0] * x[-1] + x[jnp.array([0, 2, -1])] @ x,
    "strided": lambda x: x[::2].sum() * x[::-1][0],
    "update": lambda x: (
        jnp.zeros((3, 3)).at[0, 1].set(x[0]).at[jnp.arange(3), 2].add(x) @ x
    ).sum(),
    "update_multiply": lambda x: jnp.ones(4).at[1:].multiply(x).at[2].min(0.3).sum() ** 2,
    "negative_pad": lambda x: jax.lax.pad(x, 0.5, [(-1, 2, 1)]) @ jnp.arange(6.0),
    "roll": lambda x: jnp.roll(x, 1) @ x**2,
    "concatenate": lambda x: jnp.stack([x, x**2]).reshape(-1)[1:5].sum() ** 2,
    "split": lambda x: sum(part.prod() for part in jnp.split(jnp.tile(x, 2), 2)),
    "diagonal": lambda x: jnp.trace(jnp.diag(x) @ jnp.outer(x, x)),
    "triangle": lambda x: (jnp.tril(jnp.outer(x, x)) @ x).sum(),
    "dynamic_slice": lambda x: jax.lax.dynamic_slice(x, (jnp.int32(3 * x[0]),), (2,)).sum() ** 2,
    "dynamic_update": lambda x: jax.lax.dynamic_update_slice(
        x, x[:1] ** 2, (jnp.int32(3 * x[0]),)
    ).prod(),
    "traced_gather": lambda x: x[jnp.int32(3 * x)] @ x,
    "traced_gather_fill": lambda x: x.at[jnp.int32(9 * x)].get(mode="fill", fill_value=7.0) @ x,
    "traced_scatter": lambda x: (x.at[jnp.int32(9 * x)].add(x**2, mode="drop")) @ x,
    "scan": lambda x: jax.lax.scan(lambda c, u: (c * u + jnp.sin(c), c * u), x[0], x)[1].sum(),
    "scan_reversed": lambda x: jax.lax.scan(lambda c, u: (c * u, c), x[0], x, reverse=True)[1] @ x,
    "associative_scan": lambda x: jax.lax.associative_scan(jnp.multiply, x).sum(),
    "vmap": lambda x: jax.vmap(lambda u: jnp.sin(u) * x.sum())(x).sum(),
    "inner_gradient": lambda x: jax.grad(lambda u: (u**3).sum())(x).prod(),
    "cross": lambda x: jnp.cross(x, jnp.array([1.0, 2.0, 3.0])) @ x**2,
    "polyfit_values": lambda x: jnp.polyval(x, 1.7) ** 2,
    "constant_eigenvalues": lambda x: jnp.linalg.eigh(jnp.eye(3) + 1.0)[0] @ x**2,
    "random_constant": lambda x: jax.random.normal(jax.random.key(3), (3,)) @ x**2,
    "long_constant_loop": lambda x: (
        x**2 @ jax.lax.fori_loop(0, 300_000, lambda i, c: c * 0.99999 + 0.1, jnp.ones(3))
    ),
    "det": lambda x: jnp.linalg.det(jnp.outer(x, x) + jnp.eye(3)),
    "det4": lambda x: jnp.linalg.det(jnp.outer(jnp.tile(x, 2), jnp.tile(x, 2)) + jnp.eye(6)),
    "solve": lambda x: jnp.linalg.solve(jnp.outer(x, x**2) + jnp.eye(3)[::-1], x).sum(),
    "inverse": lambda x: jnp.linalg.inv(jnp.outer(x, x**2) + jnp.eye(3)[::-1]).sum(),
    "cholesky": lambda x: jnp.linalg.cholesky(jnp.outer(x, x) + jnp.eye(3)).sum(),
    "cho_solve": lambda x: jax.scipy.linalg.solve(
        jnp.outer(x, x) + jnp.eye(3), x, assume_a="pos"
    ).sum(),
    "triangular": lambda x: jax.scipy.linalg.solve_triangular(
        jnp.outer(x, x) + jnp.eye(3), x, trans=1
    ).sum(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_ARRAYS)
def test_function_of_an_array_agrees_with_a_loop_of_jax(name):
    f = OF_ARRAYS[name]
    points = np.random.default_rng(5).uniform(0.05, 0.95, (4, 3))
    expected = plain([itself, jax.grad, jax.hessian], f, points)
    for quantity, numbers in zip(("value", "gradient", "hessian"), expected):
        (got,) = computed(quantity, lambda x: f(x), x=("point", points))
        np.testing.assert_allclose(got, numbers, rtol=1e-9, atol=1e-11, err_msg=quantity)


def test_special_values_come_out_as_jax_has_them():
    points = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1e308])
    for f in (jnp.exp, jnp.sqrt, jax.nn.sigmoid, jnp.sign, jnp.tanh, lambda x: 0.0 * x, jnp.max):
        (got,) = computed("value", lambda x, f=f: f(x), x=points)
        np.testing.assert_allclose(got, plain([itself], f, points)[0], rtol=1e-15)


def test_sorting_puts_nan_last_and_argmax_finds_it():
    points = np.array([[2.0, np.nan, 1.0, 3.0], [4.0, 1.0, 0.0, -1.0]])
    (got,) = computed("value", lambda x: jnp.sort(x), x=("point", points))
    np.testing.assert_array_equal(got, np.sort(points, axis=1))
    (got,) = computed("value", lambda x: jnp.argmax(x), x=("point", points))
    np.testing.assert_array_equal(got, np.argmax(points, axis=1))


# -- every quantity


def black_scholes(S, K, T, r, sigma):
    d1 = (jnp.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * jnp.sqrt(T))
    return S * stats.norm.cdf(d1) - K * jnp.exp(-r * T) * stats.norm.cdf(d1 - sigma * jnp.sqrt(T))


MARKET = {"S": 100.0, "K": 95.0, "T": 1.25, "r": 0.05, "sigma": 0.2}


def test_black_scholes_greeks_are_the_closed_forms():
    import mpmath

    d1 = (math.log(100 / 95) + (0.05 + 0.02) * 1.25) / (0.2 * math.sqrt(1.25))
    density = float(mpmath.npdf(d1))
    gradient = computed("gradient", black_scholes, **MARKET)
    assert gradient[0] == pytest.approx(float(mpmath.ncdf(d1)), rel=1e-13)
    assert gradient[4] == pytest.approx(100 * density * math.sqrt(1.25), rel=1e-12)
    second = computed("hessian", black_scholes, **MARKET)
    assert second[0] == pytest.approx(density / (100 * 0.2 * math.sqrt(1.25)), rel=1e-12)


def test_directional_quantities_agree_with_the_jacobian():
    v = {"S": 1.5, "sigma": -0.3}
    partials = computed("jacobian", black_scholes, wrt=["S", "sigma"], **MARKET)
    terms = computed("contributions", black_scholes, v, **MARKET)
    np.testing.assert_allclose(terms, np.multiply(partials, [1.5, -0.3]), rtol=1e-13)
    (total,) = computed("jvp", black_scholes, v, **MARKET)
    assert total == pytest.approx(sum(terms), rel=1e-13)
    weighted = computed("vjp", black_scholes, 2.0, wrt=["S", "sigma"], **MARKET)
    np.testing.assert_allclose(weighted, np.multiply(partials, 2.0), rtol=1e-13)
    ss, s_sigma, sigma_sigma = computed("hessian", black_scholes, wrt=["S", "sigma"], **MARKET)
    products = computed("hvp", black_scholes, v, wrt=["S", "sigma"], **MARKET)
    expected = [1.5 * ss - 0.3 * s_sigma, 1.5 * s_sigma - 0.3 * sigma_sigma]
    np.testing.assert_allclose(products, expected, rtol=1e-10)


def test_jacobian_has_the_dims_of_output_then_argument():
    def f(a, b):
        return {"y": jnp.outer(a, b), "z": a.sum()}

    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    for mode in ("forward", "reverse"):
        t = traced("jacobian", f, mode=mode, a=((), a), b=((), b))
        assert [r.shape for r in t.results] == [(2, 3, 2), (2, 3, 3), (2,), (3,)]
        y_a, y_b, z_a, z_b = computed("jacobian", f, mode=mode, a=((), a), b=((), b))
        np.testing.assert_array_equal(y_a, np.einsum("ik,j->ijk", np.eye(2), b))
        np.testing.assert_array_equal(y_b, np.einsum("i,jk->ijk", a, np.eye(3)))
        np.testing.assert_array_equal(z_a, [1, 1])
        np.testing.assert_array_equal(z_b, [0, 0, 0])


@pytest.mark.slow
def test_call_gives_the_numbers_of_the_program():
    t, request = traced_and_request("hessian", black_scholes, **MARKET)
    with t.context():
        called = jax.jit(t.call)(first_point(request.leaves))
        eager = t.eager(first_point(request.leaves))
    np.testing.assert_allclose(called, computed("hessian", black_scholes, **MARKET), rtol=1e-9)
    np.testing.assert_allclose(called, eager, rtol=1e-9)


def test_loop_of_unknown_length_is_differentiated_forward():
    def f(x):
        return jax.lax.while_loop(lambda c: c < 10, lambda c: c * c, x)

    with pytest.raises(MissingRule, match="no gradient of f in reverse mode"):
        traced("gradient", f, mode="reverse", x=3.0)
    t = traced("gradient", f, mode="forward", x=3.0)
    (loop,) = t.program.loops
    assert loop.n_steps is None
    with t.context():
        assert float(t.call({"x": jnp.asarray(2.0)})[0]) == 32.0  # of x^4
    points = np.array([2.0, 3.0, 11.0, 1.5])  # x^4, x^4, x, x^8
    gradient = gs.gradient(f, gs.Sweep(x=points)).df_dx
    np.testing.assert_allclose(gradient, [32.0, 108.0, 1.0, 8 * 1.5**7])


def test_loop_of_known_length_is_a_program_whatever_it_is_written_with():
    def f(x):
        return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, x))[1]

    gradient = gs.gradient(f, gs.Sweep(x=np.array([2.0, 3.0]))).df_dx
    np.testing.assert_allclose(gradient, [32.0, 108.0])


# -- sparsity and dependence


def n_equations(t):
    return len(t.program.equations)


def test_hessian_of_a_separable_function_is_diagonal_in_the_program():
    t = traced("hessian", lambda x: (x**3).sum(), x=((), np.ones(6)))
    # 2 x and then 3 (2 x) for each element, as JAX writes d(3 x^2).
    assert n_equations(t) == 12
    (output,) = t.program.outputs
    assert sum(t.program.constant(v) is None for v in output.variables) == 6


def rotation(q):
    c, s = jnp.cos(q), jnp.sin(q)
    return jnp.array([[c, -s, 0.0, c], [s, c, 0.0, s], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def test_chain_of_homogeneous_transforms_keeps_its_zeros():
    def arm(q):
        return (rotation(q[0]) @ rotation(q[1]))[:2, 3]

    # x = c1 c2 - s1 s2 + c1, y = s1 c2 + c1 s2 + s1: 4 functions, 4 products, 4 sums.
    assert n_equations(traced("value", arm, q=((), np.ones(2)))) <= 12 + 1
    # Each partial by hand is a sum of those 4 products; 8 products and 10 sums at the most.
    t = traced("jacobian", arm, mode="forward", q=((), np.ones(2)))
    assert n_equations(t) <= 4 + 8 + 10
    angles = np.array([0.3, 0.8])
    (jacobian,) = computed("jacobian", arm, q=((), angles))
    total = angles.sum()
    expected = [
        [-math.sin(total) - math.sin(0.3), -math.sin(total)],
        [math.cos(total) + math.cos(0.3), math.cos(total)],
    ]
    np.testing.assert_allclose(jacobian, expected, rtol=1e-13)


def test_zero_written_by_the_user_is_multiplied_as_ieee_says():
    (value,) = computed("value", lambda x: 0.0 * x, x=np.array([1.0, np.inf, np.nan]))
    np.testing.assert_array_equal(value, [0.0, np.nan, np.nan])


def test_result_has_only_the_dims_it_depends_on():
    def f(x0, x1, x2):
        return x0**2 + x1**3 * x2

    t, request = traced_and_request("gradient", f, x0=np.ones(3), x1=np.ones(4), x2=np.ones(5))
    dependence = analyse(t.program, request.leaves)
    dims = result_dims(t, dependence, request.leaves, ("x0", "x1", "x2"))
    assert dims == (("x0",), ("x1", "x2"), ("x1",))
    assert t.depends == ({"x0"}, {"x1", "x2"}, {"x1"})


def test_dependence_without_a_program_follows_arrays_through_nested_jaxprs():
    def f(a, b, c):
        values = jnp.linalg.eigh(jnp.outer(b, b))[0]
        chosen = jax.lax.cond(c > 0, lambda u: u * 2, lambda u: u, a)
        return {"eigen": values.sum(), "chosen": chosen, "fixed": jnp.float32(3)}

    t = traced("value", f, a=1.0, b=((), np.ones(9)), c=2.0)
    assert t.program is None
    assert t.reason == "it takes eigenvalues of a matrix of 9 x 9"
    assert t.depends == ({"b"}, {"a", "c"}, set())


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda x: (jnp.ones((700, 700)) * x @ jnp.ones(700))[0], "490,000 elements"),
        (
            lambda x: jax.lax.fori_loop(
                0, 10**5, lambda i, c: c.at[i % 9].multiply(1.1), jnp.ones(9) * x
            )[0],
            "a long loop writes at what its steps compute the position of",
        ),
        (lambda x: jnp.nextafter(x, 2.0), "it uses nextafter, which is no elementary primitive"),
        (lambda x: x.astype(jnp.float16), "dtype float16"),
        (lambda x: jnp.fft.fft(x * jnp.arange(65.0)).real.sum(), "transform of 65 numbers"),
        (lambda x: jax.lax.reduce_precision(x, 8, 7), "it rounds to 7 bits"),
    ],
)
def test_what_is_no_program_says_why(f, reason):
    t = traced("value", f, x=1.5)
    assert t.program is None
    assert reason in t.reason
    with t.context():
        assert t.call({"x": jnp.asarray(1.5)})[0].dtype == "float64"
