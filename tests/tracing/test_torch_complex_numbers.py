"""Complex numbers in torch are Programs: torch's own derivatives in a loop, and closed forms."""

import math

import mpmath
import numpy as np
import pytest

import gradsweep as gs
from gradsweep.program import builder
from tests.support.complex_numbers import (
    assert_is_transfer_function,
    assert_is_voigt,
    weideman,
)
from tests.support.plain_loop import POINTS, assert_as_a_loop

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

SWEEP = gs.Sweep(x=POINTS)


def number(x):
    return torch.complex(x - 1.0, 0.4 + x * x)


def vector(x):
    return torch.stack([number(x), torch.sin(x) - 1j * x, (2 - x) * 1j + 0.5])


def complex_table(*numbers):
    return torch.tensor(numbers, dtype=torch.complex128)


def matrix(x):
    return torch.outer(vector(x), vector(1 / x)) + torch.diag(complex_table(1.0, 2j, 1 - 1j))


def part_of(z):
    """Return a real number that both parts, and each element, count in."""
    places = torch.arange(1, z.numel() + 1, dtype=torch.float64)
    weights = torch.exp(0.7j * places).reshape(z.shape)
    return (z * weights).real.sum()


def of_name(name):
    return lambda x: part_of(getattr(torch, name)(number(x)))


def written(x):
    z = torch.zeros(3, dtype=torch.complex128)
    z[0] = number(x)
    z[1:] = number(x) * vector(x)[1:]
    z[2] *= 2j
    return part_of(z)


def written_after_its_conjugate(x):
    z = number(x) * 2
    mirrored = z.conj()
    z += 1
    return mirrored.imag * z.real


def written_through_its_conjugate(x):
    z = number(x) * 2
    z.conj().add_(1j * x)
    return part_of(z)


def written_through_a_part_of_its_conjugate(x):
    z = number(x) * 2
    z.conj().imag.add_(x)
    return z.imag * z.real


def written_after_a_part_of_its_conjugate(x):
    z = vector(x) * 2
    mirrored = z.conj().imag
    z.mul_(x)
    return (mirrored**3).sum()


FUNCTIONS = {
    **{
        name: of_name(name)
        for name in (
            "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "square",
            "reciprocal", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan",
            "asinh", "acosh", "atanh", "sgn", "sigmoid", "sinc", "conj", "abs", "angle",
        )
    },
    "mixed with real numbers": lambda x: part_of(number(x) * x / (1 + x) + x - x / number(x)),
    "a power of a number": lambda x: part_of(number(x) ** (2 + 0.1j)),
    "a real power": lambda x: part_of(number(x) ** 2.5),
    "whole powers": lambda x: part_of(number(x) ** 3 + number(x) ** -2 + number(x) ** 0),
    "a root by its power": lambda x: part_of(number(x) ** 0.5 + number(x) ** -0.5),
    "a traced power": lambda x: part_of(number(x) ** number(1 / x)),
    "a power of a real number": lambda x: part_of(x ** (1j * x + 1)),
    "a logarithm on its cut": lambda x: part_of(torch.log((x - 5).to(torch.complex128))),
    "polar": lambda x: part_of(torch.polar(x, x * x)),
    "sums": lambda x: part_of(vector(x).cumsum(0)) + part_of(vector(x).mean() + vector(x).sum()),
    "products": lambda x: part_of(vector(x).prod()) + part_of(vector(x).cumprod(0)),
    "a norm": lambda x: torch.linalg.vector_norm(vector(x)) + vector(x).var(),
    "matrices": lambda x: part_of(matrix(x) @ matrix(x).mH) + part_of(matrix(x) @ vector(x)),
    "dot": lambda x: part_of(torch.dot(vector(x), vector(1 / x))),
    "vdot": lambda x: part_of(torch.vdot(vector(x), vector(1 / x))),
    "einsum": lambda x: part_of(torch.einsum("ij,jk,k->i", matrix(x), matrix(x), vector(x))),
    "a linear system": lambda x: part_of(torch.linalg.solve(matrix(x), vector(x))),
    "an inverse": lambda x: part_of(torch.linalg.inv(matrix(x))),
    "log of a determinant": lambda x: torch.linalg.slogdet(matrix(x))[1],
    "a choice": lambda x: part_of(torch.where(vector(x).real > 0, vector(x), vector(x) * 1j)),
    "equality": lambda x: x * (vector(x) == vector(x)).sum() + x * (number(x) != x),
    "places": lambda x: part_of(vector(x)[[2, 0]].flip(0).roll(1) * vector(x)[1:]),
    "a table": lambda x: part_of(complex_table(0.1 + 0.3j, 2, -1j) * x * torch.arange(3)),
    "addcmul": lambda x: part_of(torch.addcmul(vector(x), vector(x), vector(1 / x), value=2)),
    "written": written,
    "written after its conjugate": written_after_its_conjugate,
    "written through its conjugate": written_through_its_conjugate,
    "written through a part of its conjugate": written_through_a_part_of_its_conjugate,
    "written after a part of its conjugate": written_after_a_part_of_its_conjugate,
    "a branch": lambda x: part_of(number(x) * 2) if number(x).real > 0 else part_of(1 / number(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_torch_in_a_loop(name):
    f = FUNCTIONS[name]
    f.__name__ = "f"
    assert_as_a_loop(f, "torch")


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if "conjugate" not in n])
def test_complex_numbers_are_programs(name):
    assert gs.plan(gs.gradient, FUNCTIONS[name], SWEEP, framework="torch").engine == "fused"


def test_a_conjugate_that_forgets_its_sign_is_seen(monkeypatch):
    """The control."""

    def emit(b, name, operands, original=builder.emit_complex):
        return operands[0] if name == "conj" else original(b, name, operands)

    monkeypatch.setattr(builder, "emit_complex", emit)

    def f(x):
        return part_of(number(x).conj() * number(1 / x) ** 2)

    with pytest.raises(AssertionError, match="of f by engine"):
        assert_as_a_loop(f, "torch")


# -- Fourier transforms


def signal(x, n):
    return torch.cos(x * torch.arange(1, n + 1, dtype=torch.float64) ** 1.5)


TRANSFORMS = {
    "fft": lambda x: part_of(torch.fft.fft(signal(x, 6) * (1 + 1j * x))),
    "fft of a prime": lambda x: part_of(torch.fft.fft(signal(x, 7))),
    "fft, longer": lambda x: part_of(torch.fft.fft(signal(x, 5), n=8, norm="ortho")),
    "ifft": lambda x: part_of(torch.fft.ifft(signal(x, 12) * (1 + 1j * x))),
    "rfft": lambda x: part_of(torch.fft.rfft(signal(x, 9)) ** 2),
    "irfft": lambda x: torch.fft.irfft(torch.fft.rfft(signal(x, 8)) ** 2, n=8).prod(),
    "irfft, odd": lambda x: torch.fft.irfft(torch.fft.rfft(signal(x, 5)) ** 2, n=5).prod(),
    "fft2": lambda x: part_of(torch.fft.fft2(signal(x, 12).reshape(3, 4))),
    "irfft2": lambda x: torch.fft.irfft2(torch.fft.rfft2(signal(x, 8).reshape(2, 4)) ** 2).prod(),
    "hfft": lambda x: torch.fft.hfft(signal(x, 5) * (1 + 1j * x), n=8).cumsum(0).prod(),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_fourier_transforms(name):
    f = TRANSFORMS[name]
    f.__name__ = "f"
    assert gs.plan(gs.gradient, f, SWEEP, framework="torch").engine == "fused"
    assert_as_a_loop(f, "torch", rtol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 15, 64])
def test_a_transform_is_the_sum_that_defines_it(n):
    def power(x, k):
        return (torch.fft.fft(torch.sin(x * torch.arange(n)))[k]).abs() ** 2

    k, x = n // 3, np.array([0.3, 0.9])
    j = np.arange(n)
    expected = [abs(np.sum(np.sin(v * j) * np.exp(-2j * np.pi * j * k / n))) ** 2 for v in x]
    found = gs.value(power, gs.Sweep(x=x, k=k))
    np.testing.assert_allclose(found.power.values, expected, rtol=1e-12, atol=1e-26)


def test_a_long_transform_runs_in_torch():
    plan = gs.plan(gs.gradient, lambda x: torch.fft.fft(signal(x, 65)).abs().sum(), SWEEP)
    assert plan.engine != "fused"


# -- closed forms


def test_a_root_next_to_its_cut_and_on_both_sides():
    def root(x, y):
        return torch.sqrt(torch.complex(x, y)).imag

    y = np.array([0.0, -0.0, 1e-300, -1e-300])
    found = gs.gradient(root, gs.Sweep(x=-4.0, y=y), with_value=True)
    np.testing.assert_array_equal(found.root, [2.0, -2.0, 2.0, -2.0])
    np.testing.assert_allclose(found.droot_dx, [-0.25, 0.25, -0.25, 0.25], rtol=1e-15)


def test_a_transfer_function():
    """A second-order low pass: H = w0^2 / (w0^2 - w^2 + 2 i zeta w0 w)."""

    def gain(w, w0, zeta):
        s = 1j * w
        h = w0**2 / (s**2 + 2 * zeta * w0 * s + w0**2)
        return {"magnitude": 20 * torch.log10(h.abs()), "phase": h.angle()}

    assert_is_transfer_function(gain)


def test_a_voigt_profile_by_weidemans_series_is_that_of_scipy():
    scale, series = weideman()

    def voigt(x, sigma, gamma):
        z = torch.complex(x, gamma) / (sigma * math.sqrt(2))
        ratio = (scale + 1j * z) / (scale - 1j * z)
        total = torch.zeros((), dtype=torch.complex128)
        for coefficient in series[::-1]:
            total = total * ratio + coefficient
        w = 2 * total / (scale - 1j * z) ** 2 + 1 / math.sqrt(math.pi) / (scale - 1j * z)
        return w.real / (sigma * math.sqrt(2 * math.pi))

    assert_is_voigt(voigt)


def test_numbers_of_half_the_width_stay_so():
    def f(x):
        return torch.exp(1j * x).imag

    x = np.array([0.3, 0.7], dtype=np.float32)
    found = gs.gradient(f, gs.Sweep(x=x))
    assert found.df_dx.dtype == np.float32
    np.testing.assert_allclose(found.df_dx, np.cos(x), rtol=1e-6)


def test_a_python_complex_number_has_all_its_digits():
    def f(x):
        return (torch.tensor(0.1j) * x + 1j * torch.arange(2) / 3).imag.sum()

    np.testing.assert_allclose(gs.value(f, gs.Sweep(x=1.0)).f, 0.2 + 1 / 3, rtol=1e-15)


def test_the_gamma_function_by_lanczos():
    """A series of complex quotients, with mpmath's gamma on a line of the plane."""
    c = [
        0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
        -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
        1.5056327351493116e-7,
    ]  # fmt: skip

    def size(x, y):
        z = torch.complex(x, y) - 1
        total = c[0] + sum(c[i] / (z + i) for i in range(1, 9))
        t = z + 7.5
        return (math.sqrt(2 * math.pi) * t ** (z + 0.5) * torch.exp(-t) * total).abs()

    x, y = np.array([0.7, 2.5, 6.0]), 1.3
    found = gs.gradient(size, gs.Sweep(x=x, y=y), with_value=True)
    expected = [abs(mpmath.gamma(complex(v, y))) for v in x]
    np.testing.assert_allclose(found["size"], np.array(expected, dtype=float), rtol=1e-13)
    # d|gamma| / dx = |gamma| Re(digamma)
    slopes = [abs(mpmath.gamma(complex(v, y))) * mpmath.digamma(complex(v, y)).real for v in x]
    np.testing.assert_allclose(found.dsize_dx, np.array(slopes, dtype=float), rtol=1e-12)
