"""Equations solved inside functions of JAX: what is tried there alone."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

import gradsweep as gs  # noqa: E402

pytestmark = pytest.mark.jax


def test_an_equation_inside_an_equation():
    """y^2 = a inside, z + y = 3 y^2 outside: z = 3 a - sqrt(a)."""

    def outer(a):
        def residual(z):
            y = gs.find_root(lambda y: y * y - a, 1.0)
            return z + y - 3 * y**2 + 0 * jnp.sin(z)

        return gs.find_root(residual, 0.0)

    found = gs.hessian(outer, a=[2.0, 5.0], with_value=True)
    a = np.array([2.0, 5.0])
    np.testing.assert_allclose(found.outer, 3 * a - np.sqrt(a), rtol=1e-14)
    np.testing.assert_allclose(found.d2outer_da_da, a**-1.5 / 4, rtol=1e-13)


def test_third_derivatives_and_float32():
    def cube(a):
        return gs.find_root(lambda y: y**3 - a, 1.5)

    with jax.enable_x64(True):
        third = jax.grad(jax.grad(jax.grad(cube)))(2.0)
        assert third == pytest.approx(10 / 27 * 2 ** (-8 / 3), rel=1e-13)
    narrow = gs.gradient(cube, a=np.array([2.0, 3.0], np.float32), framework="jax", with_value=True)
    assert narrow.cube.dtype == narrow.dcube_da.dtype == np.float32
    np.testing.assert_allclose(narrow.cube, np.cbrt([2.0, 3.0]), rtol=3e-7)
