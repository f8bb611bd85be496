"""Complex numbers of single precision keep both parts, in their magnitudes and angles too."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.tracing.torch import dtype
from tests.support.controls import must_fail

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

X = np.array([1.0, 2.5, -3.0])
ROOT = np.sqrt(5.0)


def magnitude(x):
    return torch.complex(x.float(), 2 * x.float()).abs().double()


def angle(x):
    return torch.complex(x.float(), 2 * x.float()).angle().double() * x


def imaginary_part(x):
    return torch.complex(x.float(), 2 * x.float()).imag.double()


def magnitude_of_a_product(x):
    return (x.to(torch.complex64) * (1 + 2j)).abs().double()


def distance(x):
    return torch.dist(torch.complex(x.float(), x.float()), torch.zeros((), dtype=torch.complex64))


def magnitude_of_a_constant(x):
    return torch.tensor([3 + 4j], dtype=torch.complex64).abs().sum().double() * x


CASES = {
    magnitude: (ROOT * abs(X), ROOT * np.sign(X)),
    angle: (np.arctan2(2 * X, X) * X, np.arctan2(2 * X, X)),
    imaginary_part: (2 * X, np.full(3, 2.0)),
    magnitude_of_a_product: (ROOT * abs(X), ROOT * np.sign(X)),
    distance: (np.sqrt(2) * abs(X), np.sqrt(2) * np.sign(X)),
    magnitude_of_a_constant: (5 * X, np.full(3, 5.0)),
}


@pytest.mark.parametrize("function", CASES)
def test_both_parts_of_a_complex_number_count(function):
    value, slope = CASES[function]
    found = gs.gradient(function, gs.Sweep(x=X), with_value=True)
    np.testing.assert_allclose(found[function.__name__], value, rtol=1e-6)
    np.testing.assert_allclose(found[f"d{function.__name__}_dx"], slope, rtol=1e-6)


def test_control_complex_numbers_that_are_taken_for_integers_lose_a_part(monkeypatch):
    monkeypatch.setattr(dtype, "_is_wide_enough", lambda tensor: tensor.is_floating_point())
    must_fail(test_both_parts_of_a_complex_number_count, magnitude)
