"""Complex numbers in JAX are Programs: JAX's own derivatives, mpmath, and closed forms."""

import cmath
import math

import mpmath
import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax import lax  # noqa: E402

import gradsweep as gs  # noqa: E402
from gradsweep.program import builder  # noqa: E402
from tests.support.complex_numbers import (  # noqa: E402
    CUT,
    DENOMINATORS,
    GROWING,
    IN_MPMATH,
    NUMERATORS,
    ULP,
    assert_is_transfer_function,
    assert_is_voigt,
    assert_on_the_same_side,
    on_cuts,
    points,
    ulps,
    weideman,
)
from tests.support.plain_loop import POINTS, assert_as_a_loop  # noqa: E402

pytestmark = pytest.mark.jax

SWEEP = gs.Sweep(x=POINTS)


def number(x):
    return lax.complex(x - 1.0, 0.4 + x * x)


def vector(x):
    return jnp.stack([number(x), jnp.sin(x) - 1j * x, (2 - x) * 1j + 0.5])


def matrix(x):
    return jnp.outer(vector(x), vector(1 / x)) + jnp.diag(jnp.array([1.0, 2j, 1 - 1j]))


def part_of(z):
    """Return a real number that both parts, and each element, count in."""
    weights = jnp.exp(0.7j * jnp.arange(1, z.size + 1)).reshape(z.shape)
    return (z * weights).real.sum()


def of_function(function):
    return lambda x: part_of(function(number(x)))


@jax.custom_jvp
def cubed(z):
    return z**3


@cubed.defjvp
def _cubed_jvp(primals, tangents):
    return cubed(*primals), 3 * primals[0] ** 2 * tangents[0]


@jax.custom_vjp
def turned(z):
    return z * 1j


turned.defvjp(lambda z: (turned(z), None), lambda _, g: (g * 1j,))


def in_a_ref(x):
    memory = jax.new_ref(jnp.zeros(2, jnp.complex128))
    memory[0] = number(x)
    memory[1] += number(x) * memory[0]
    return part_of(memory[...])


NAMED = {
    "exp": jnp.exp, "exp2": jnp.exp2, "expm1": jnp.expm1,
    "log": jnp.log, "log2": jnp.log2, "log10": jnp.log10, "log1p": jnp.log1p,
    "sqrt": jnp.sqrt, "rsqrt": lax.rsqrt, "square": jnp.square, "reciprocal": jnp.reciprocal,
    "sin": jnp.sin, "cos": jnp.cos, "tan": jnp.tan,
    "sinh": jnp.sinh, "cosh": jnp.cosh, "tanh": jnp.tanh,
    "asin": jnp.arcsin, "acos": jnp.arccos, "atan": jnp.arctan,
    "asinh": jnp.arcsinh, "acosh": jnp.arccosh, "atanh": jnp.arctanh,
    "conj": jnp.conj, "abs": jnp.abs, "angle": jnp.angle,
}  # fmt: skip

FUNCTIONS = {
    **{name: of_function(function) for name, function in NAMED.items()},
    "logistic": of_function(jax.nn.sigmoid),
    "sinc": of_function(jnp.sinc),
    "mixed with real numbers": lambda x: part_of(number(x) * x / (1 + x) + x - x / number(x)),
    "a power of a number": lambda x: part_of(number(x) ** (2 + 0.1j)),
    "a real power": lambda x: part_of(number(x) ** 2.5),
    "whole powers": lambda x: part_of(number(x) ** 3 + number(x) ** -2 + number(x) ** 0),
    "a large whole power": lambda x: part_of(number(x) ** 11),
    "a root by its power": lambda x: part_of(number(x) ** 0.5 + number(x) ** -0.5),
    "a traced power": lambda x: part_of(number(x) ** number(1 / x)),
    "a power of a real number": lambda x: part_of(x ** (1j * x + 1)),
    "a logarithm on its cut": lambda x: part_of(jnp.log((x - 5).astype(complex))),
    "a conjugate of a real number": lambda x: part_of(lax.conj(x) * number(x)),
    "sums": lambda x: part_of(jnp.cumsum(vector(x))) + part_of(vector(x).mean() + vector(x).sum()),
    "products": lambda x: part_of(vector(x).prod()) + part_of(jnp.cumprod(vector(x))),
    "a norm": lambda x: jnp.linalg.norm(vector(x)) + vector(x).var(),
    "matrices": lambda x: part_of(matrix(x) @ matrix(x).conj().T) + part_of(matrix(x) @ vector(x)),
    "dot": lambda x: part_of(jnp.dot(vector(x), vector(1 / x))),
    "vdot": lambda x: part_of(jnp.vdot(vector(x), vector(1 / x))),
    "einsum": lambda x: part_of(jnp.einsum("ij,jk,k->i", matrix(x), matrix(x), vector(x))),
    "a linear system": lambda x: part_of(jnp.linalg.solve(matrix(x), vector(x))),
    "an inverse": lambda x: part_of(jnp.linalg.inv(matrix(x))),
    "log of a determinant": lambda x: jnp.linalg.slogdet(matrix(x))[1],
    "a Cholesky factor": lambda x: part_of(
        jnp.linalg.cholesky(matrix(x) @ matrix(x).conj().T + jnp.eye(3))
    ),
    "a triangular system, conjugated": lambda x: part_of(
        lax.linalg.triangular_solve(
            matrix(x), vector(x)[:, None],
            left_side=True, lower=True, transpose_a=True, conjugate_a=True,
        )
    ),
    "a choice": lambda x: part_of(jnp.where(vector(x).real > 0, vector(x), vector(x) * 1j)),
    "equality": lambda x: x * (vector(x) == vector(x)).sum() + x * (number(x) != x),
    "a branch": lambda x: part_of(
        lax.cond(x > 1, lambda z: z * 2, lambda z: 1 / z, number(x))
    ),
    "places": lambda x: part_of(
        jnp.roll(jnp.flip(vector(x)[jnp.array([2, 0])]), 1) * vector(x)[1:]
    ),
    "a place that is computed": lambda x: part_of(vector(x)[jnp.floor(x).astype(int)]),
    "padded": lambda x: part_of(jnp.pad(vector(x), (1, 2)) + jnp.arange(6)),
    "joined and reshaped": lambda x: part_of(
        jnp.concatenate([vector(x), 1j * vector(x)]).reshape(2, 3).T
    ),
    "written": lambda x: part_of(vector(x).at[1].set(number(x)).at[2].multiply(2j)),
    "a table": lambda x: part_of(jnp.array([0.1 + 0.3j, 2, -1j]) * x * jnp.arange(3)),
    "a rule of the user": lambda x: part_of(cubed(number(x)) + turned(number(x))),
    "jit inside": lambda x: part_of(jax.jit(lambda z: z * z + 1)(number(x))),
    "vmap inside": lambda x: part_of(jax.vmap(lambda z: z / (1 + z))(vector(x))),
    "a derivative inside": lambda x: part_of(jax.grad(jnp.exp, holomorphic=True)(number(x))),
    "checkpoint": lambda x: part_of(jax.checkpoint(lambda z: jnp.sin(z) * z)(number(x))),
    "a polynomial": lambda x: part_of(jnp.polyval(vector(x), number(x))),
}  # fmt: skip


def by_jax(f):
    """Return value, first and second derivative at each point, by JAX itself."""
    with jax.enable_x64(True):
        every = jax.jit(jax.vmap(lambda x: (f(x), jax.grad(f)(x), jax.grad(jax.grad(f))(x))))
        return [np.asarray(row) for row in every(jnp.asarray(POINTS))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_jax_at_each_point(name):
    f = FUNCTIONS[name]
    f.__name__ = "f"
    value, first, second = by_jax(f)
    found = gs.gradient(f, SWEEP, framework="jax", with_value=True)
    assert found.attrs["engine"] == "fused"
    np.testing.assert_allclose(found.f, value, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.df_dx, first, rtol=1e-10, atol=1e-12)
    forward = gs.jvp(f, SWEEP, {"x": 1.0}, framework="jax").jvp
    np.testing.assert_allclose(forward, first, rtol=1e-10, atol=1e-12)
    hessian = gs.hessian(f, SWEEP, framework="jax")
    assert hessian.attrs["engine"] == "fused"
    np.testing.assert_allclose(hessian.d2f_dx_dx, second, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["exp", "a traced power", "a linear system", "abs"])
def test_every_engine_agrees_with_a_loop(name):
    f = FUNCTIONS[name]
    f.__name__ = "f"
    assert_as_a_loop(f, "jax")


@pytest.mark.skipif(not hasattr(jax, "new_ref"), reason="this JAX has no refs")
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_complex_numbers_in_memory():
    assert gs.plan(gs.gradient, in_a_ref, SWEEP, framework="jax").engine == "fused"
    assert_as_a_loop(in_a_ref, "jax", second=False)


def test_a_conjugate_that_forgets_its_sign_is_seen(monkeypatch):
    """The control."""

    def emit(b, name, operands, original=builder.emit_complex):
        return operands[0] if name == "conj" else original(b, name, operands)

    monkeypatch.setattr(builder, "emit_complex", emit)

    def f(x):
        return part_of(jnp.conj(number(x)) * number(1 / x) ** 2)

    with pytest.raises(AssertionError, match="of f by engine"):
        assert_as_a_loop(f, "jax")


# -- values and branch cuts


def parts_of(function):
    def f(x, y):
        z = function(lax.complex(x, y))
        return {"re": jnp.real(z), "im": jnp.imag(z)}

    return f


def values(function, z):
    """Return a function of complex numbers, as a Program computes it."""
    sweep = gs.Sweep(x=("z", z.real.copy()), y=("z", z.imag.copy()))
    found = gs.value(parts_of(function), sweep, framework="jax", engine="fused")
    result = np.zeros(len(z), dtype=complex)
    result.real, result.imag = found.re, found.im
    return result


EXACT = {
    **IN_MPMATH,
    "exp2": lambda z: mpmath.power(2, z),
    "rsqrt": lambda z: 1 / mpmath.sqrt(z),
    "square": lambda z: z * z,
    "cube": lambda z: z**3,
    "power": lambda z: mpmath.power(z, mpmath.mpf(1.5)),
}
_OTHERS = {"sign": jnp.sign, "cube": lambda z: z**3, "power": lambda z: z**1.5}


@pytest.mark.parametrize("name", EXACT)
def test_functions_are_those_of_mpmath_to_a_few_ulp(name):
    z = points()
    if name in GROWING:
        z = z[abs(z) < 300]
    elif name in ("exp2", "power"):  # a rounded angle counts as often as it is large
        z = z[abs(z) < 3]
    with mpmath.workdps(60):
        expected = [mpmath.mpc(EXACT[name](mpmath.mpc(w))) for w in z]
        assert ulps(values((NAMED | _OTHERS)[name], z), expected) < 8


@pytest.mark.parametrize("name", CUT)
def test_the_sign_of_a_zero_says_on_which_side_of_a_cut_a_number_lies(name):
    z = on_cuts()
    assert_on_the_same_side(z, values(NAMED[name], z), getattr(cmath, name))


def test_quotients_and_magnitudes_overflow_only_where_their_value_does():
    def f(a, b, c, d):
        ratio = lax.complex(a, b) / lax.complex(c, d)
        return {"re": ratio.real, "im": ratio.imag, "size": jnp.abs(lax.complex(a, b))}

    x, y = NUMERATORS, DENOMINATORS
    columns = {"a": x.real, "b": x.imag, "c": y.real, "d": y.imag}
    sweep = gs.Sweep(**{name: ("pair", column.copy()) for name, column in columns.items()})
    found = gs.value(f, sweep, framework="jax", engine="fused")
    np.testing.assert_allclose(found["size"], np.hypot(x.real, x.imag), rtol=2 * ULP)
    with mpmath.workdps(60):
        for re, im, a, b in zip(found.re.values, found.im.values, x, y):
            expected = mpmath.mpc(a) / mpmath.mpc(b)
            assert abs(mpmath.mpc(re, im) - expected) <= 4 * ULP * abs(expected)


def test_a_root_next_to_its_cut_and_on_both_sides():
    def root(x, y):
        return jnp.sqrt(lax.complex(x, y)).imag

    y = np.array([0.0, -0.0, 1e-300, -1e-300])
    found = gs.gradient(root, gs.Sweep(x=-4.0, y=y), with_value=True)
    np.testing.assert_array_equal(found.root, [2.0, -2.0, 2.0, -2.0])
    np.testing.assert_allclose(found.droot_dx, [-0.25, 0.25, -0.25, 0.25], rtol=1e-15)


def test_numbers_of_half_the_width_stay_so():
    def f(x):
        return jnp.exp(1j * x).imag

    x = np.array([0.3, 0.7], dtype=np.float32)
    found = gs.gradient(f, gs.Sweep(x=x), framework="jax")
    assert found.attrs["engine"] == "fused" and found.df_dx.dtype == np.float32
    np.testing.assert_allclose(found.df_dx, np.cos(x), rtol=1e-6)


# -- what is no Program says so, and runs in JAX


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda x: part_of(jnp.sort(vector(x))), "computes gt of complex numbers"),
        (lambda x: part_of(jnp.fft.fft(x * jnp.arange(65.0))), "transform of 65 numbers"),
        (lambda x: part_of(jnp.maximum(number(x), 1j)), "computes max of complex numbers"),
    ],
)
def test_what_has_no_complex_form_runs_in_jax(f, reason):
    plan = gs.plan(gs.value, f, SWEEP, framework="jax")
    assert plan.engine != "fused"
    assert reason in plan.branches[0].branch.traced.reason
    (found,) = plan.run().values()
    with jax.enable_x64(True):
        np.testing.assert_allclose(found, [f(jnp.asarray(x)) for x in POINTS], rtol=1e-12)


def test_two_rules_of_jax_are_wrong_as_the_documentation_says():
    """It can stop saying so when this fails."""
    z = mpmath.mpc(-0.6, 0.7)
    slope_of_acosh = float((1 / (mpmath.sqrt(z - 1) * mpmath.sqrt(z + 1))).real)
    slope_of_sign = 0.7**2 / float(abs(z)) ** 3  # of x / sqrt(x^2 + y^2)
    assert abs(slope_of_acosh) > 0.1 and slope_of_sign > 0.1
    with jax.enable_x64(True):
        for function, wrong in ((jnp.arccosh, -slope_of_acosh), (jnp.sign, 0.0)):
            found = jax.grad(lambda x, f=function: f(lax.complex(x, 0.7)).real)(-0.6)
            np.testing.assert_allclose(found, wrong, rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (
            lambda z: jnp.log(z + jnp.sqrt(z + 1) * jnp.sqrt(z - 1)),
            lambda z: 1 / (mpmath.sqrt(z - 1) * mpmath.sqrt(z + 1)),
        ),
        (lambda z: z / jnp.abs(z), lambda z: mpmath.mpc(z.imag, -z.real) * z.imag / abs(z) ** 3),
    ],
    ids=["arccosh", "sign"],
)
def test_what_the_documentation_writes_for_them_is_right(function, slope):
    x, y = np.array([-2.0, -0.6, 0.3, 1.5]), np.array([-0.7, 0.4])
    sweep = gs.Sweep(x=x, y=y)
    found = gs.jacobian(parts_of(function), sweep, wrt="x", framework="jax")
    expected = np.array([[complex(slope(mpmath.mpc(a, b))) for b in y] for a in x])
    np.testing.assert_allclose(found.dre_dx, expected.real, rtol=1e-12)
    np.testing.assert_allclose(found.dim_dx, expected.imag, rtol=1e-12)


# -- Fourier transforms


def signal(x, n):
    return jnp.cos(x * jnp.arange(1, n + 1, dtype=float) ** 1.5)


TRANSFORMS = {
    "fft": lambda x: part_of(jnp.fft.fft(signal(x, 6) * (1 + 1j * x))),
    "fft of a prime": lambda x: part_of(jnp.fft.fft(signal(x, 7))),
    "fft, longer": lambda x: part_of(jnp.fft.fft(signal(x, 5), n=8, norm="ortho")),
    "ifft": lambda x: part_of(jnp.fft.ifft(signal(x, 12) * (1 + 1j * x))),
    "rfft": lambda x: part_of(jnp.fft.rfft(signal(x, 9)) ** 2),
    "irfft": lambda x: jnp.fft.irfft(jnp.fft.rfft(signal(x, 8)) ** 2, n=8).prod(),
    "irfft, odd": lambda x: jnp.fft.irfft(jnp.fft.rfft(signal(x, 5)) ** 2, n=5).prod(),
    "irfft of what no real signal has": lambda x: part_of(jnp.fft.irfft(vector(x) * 1j)),
    "fft2": lambda x: part_of(jnp.fft.fft2(signal(x, 12).reshape(3, 4))),
    "irfft2": lambda x: jnp.fft.irfft2(jnp.fft.rfft2(signal(x, 8).reshape(2, 4)) ** 2).prod(),
    "hfft": lambda x: jnp.fft.hfft(signal(x, 5) * (1 + 1j * x), n=8).cumsum().prod(),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_fourier_transforms(name):
    f = TRANSFORMS[name]
    value, first, second = by_jax(f)
    f.__name__ = "f"
    found = gs.gradient(f, SWEEP, framework="jax", with_value=True)
    assert found.attrs["engine"] == "fused"
    np.testing.assert_allclose(found.f, value, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(found.df_dx, first, rtol=1e-9, atol=1e-10)
    hessian = gs.hessian(f, SWEEP, framework="jax")
    np.testing.assert_allclose(hessian.d2f_dx_dx, second, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 15, 64])
def test_a_transform_is_the_sum_that_defines_it(n):
    def power(x):
        return jnp.abs(jnp.fft.fft(jnp.sin(x * jnp.arange(n)))[n // 3]) ** 2

    x, j = np.array([0.3, 0.9]), np.arange(n)
    turn = np.exp(-2j * np.pi * j * (n // 3) / n)
    expected = [abs(np.sum(np.sin(v * j) * turn)) ** 2 for v in x]
    found = gs.value(power, gs.Sweep(x=x), framework="jax", engine="fused")
    np.testing.assert_allclose(found.power, expected, rtol=1e-12, atol=1e-26)


# -- closed forms


def test_a_transfer_function():
    """A second-order low pass: H = w0^2 / (w0^2 - w^2 + 2 i zeta w0 w)."""

    def gain(w, w0, zeta):
        s = 1j * w
        h = w0**2 / (s**2 + 2 * zeta * w0 * s + w0**2)
        return {"magnitude": 20 * jnp.log10(jnp.abs(h)), "phase": jnp.angle(h)}

    assert_is_transfer_function(gain)


def test_a_voigt_profile_by_weidemans_series_is_that_of_scipy():
    scale, series = weideman()

    def voigt(x, sigma, gamma):
        z = lax.complex(x, gamma) / (sigma * math.sqrt(2))
        ratio = (scale + 1j * z) / (scale - 1j * z)
        total = jnp.polyval(jnp.asarray(series[::-1]), ratio)
        w = 2 * total / (scale - 1j * z) ** 2 + 1 / math.sqrt(math.pi) / (scale - 1j * z)
        return w.real / (sigma * math.sqrt(2 * math.pi))

    assert_is_voigt(voigt)
