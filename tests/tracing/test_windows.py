"""Convolutions, pooling and attention of small arrays, beside scipy and each framework's own."""

import numpy as np
import pytest
import scipy.signal

import gradsweep as gs
from tests.support.weighted_sum import weighted_sum

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
jnp = jax.numpy
F = torch.nn.functional

RNG = np.random.default_rng(11)
SIGNAL, PLANE = RNG.normal(size=(2, 4, 9)), RNG.normal(size=(1, 2, 5, 4))
KERNEL, WIDE = RNG.normal(size=(4, 4, 3)), RNG.normal(size=(3, 2, 2, 3))
HEADS = RNG.normal(size=(1, 2, 3, 4))


def program(quantity, f, framework, **arguments):
    sweep = gs.Sweep(**arguments)
    return gs.broadcast(quantity(f, sweep, engine="reference", framework=framework))


# The function, and its first and second argument.
OF_TORCH = {
    "conv1d": (F.conv1d, SIGNAL, KERNEL),
    "strided": (lambda x, w: F.conv1d(x, w, stride=2, padding=1), SIGNAL, KERNEL),
    "dilated": (lambda x, w: F.conv1d(x, w, dilation=3, padding=2), SIGNAL, KERNEL),
    "same": (lambda x, w: F.conv1d(x, w, padding="same"), SIGNAL, KERNEL),
    "grouped": (lambda x, w: F.conv1d(x, w[:, :2], groups=2), SIGNAL, KERNEL),
    "depthwise": (lambda x, w: F.conv1d(x, w[:, :1], groups=4), SIGNAL, KERNEL),
    "biased": (lambda x, w: F.conv1d(x, w, bias=w[:, 0, 0]), SIGNAL, KERNEL),
    "unbatched": (lambda x, w: F.conv1d(x[0], w), SIGNAL, KERNEL),
    "transposed": (lambda x, w: F.conv_transpose1d(x, w), SIGNAL, KERNEL),
    "transposed_and_strided": (
        lambda x, w: F.conv_transpose1d(
            x, w[:, :2], stride=2, padding=1, output_padding=1, groups=2
        ),
        SIGNAL,
        KERNEL,
    ),
    "conv2d": (lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=(0, 1)), PLANE, WIDE),
    "avg_pool": (lambda x, w: F.avg_pool1d(x, 3, stride=2, padding=1) * w[0, 0, 0], SIGNAL, KERNEL),
    "avg_pool_up": (lambda x, w: F.avg_pool1d(x, 4, ceil_mode=True) * w[0, 0, 0], SIGNAL, KERNEL),
    "avg_pool_inside": (
        lambda x, w: F.avg_pool1d(x, 3, padding=1, count_include_pad=False) * w[0, 0, 0],
        SIGNAL,
        KERNEL,
    ),
    "avg_pool2d": (lambda x, w: F.avg_pool2d(x, (2, 3), 1) * w[0, 0, 0, 0], PLANE, WIDE),
    "max_pool": (lambda x, w: F.max_pool1d(x, 3, stride=2, padding=1) * w[0, 0, 0], SIGNAL, KERNEL),
    "max_pool_up": (lambda x, w: F.max_pool1d(x, 4, ceil_mode=True) * w[0, 0, 0], SIGNAL, KERNEL),
    "max_pool_dilated": (
        lambda x, w: F.max_pool1d(x, 2, 1, dilation=3) * w[0, 0, 0],
        SIGNAL,
        KERNEL,
    ),
    "max_pool2d": (lambda x, w: F.max_pool2d(x, 2, 1) * w[0, 0, 0, 0], PLANE, WIDE),
    "attention": (
        lambda x, w: F.scaled_dot_product_attention(x, w, x**2),
        HEADS,
        HEADS[:, ::-1] + 1,
    ),
    "causal": (
        lambda x, w: F.scaled_dot_product_attention(x, w, x, is_causal=True, scale=0.3),
        HEADS,
        HEADS + 1,
    ),
    "masked": (
        lambda x, w: F.scaled_dot_product_attention(
            x, w, x, attn_mask=torch.tensor([[True, False, True], [True, True, False], [False] * 3])
        ),
        HEADS,
        HEADS + 1,
    ),
}


def along(x, w):
    return jnp.stack([jnp.convolve(row, w[0, 0], mode="same") for row in x[0]])


def general(x, w, **options):
    return jax.lax.conv_general_dilated(
        x, w, **{"window_strides": (1,), "padding": "VALID", **options}
    )


def over_windows(x, w, start, operation, **options):
    window = {"window_dimensions": (1, 1, 3), "window_strides": (1, 1, 2), "padding": "SAME"}
    return jax.lax.reduce_window(x, start, operation, **{**window, **options}) * w[0, 0, 0]


OF_JAX = {
    "convolve": (along, SIGNAL, KERNEL),
    "conv": (general, SIGNAL, KERNEL),
    "strided": (lambda x, w: general(x, w, window_strides=(2,), padding="SAME"), SIGNAL, KERNEL),
    "dilated": (
        lambda x, w: general(x, w, padding=[(2, 0)], rhs_dilation=(3,), lhs_dilation=(2,)),
        SIGNAL,
        KERNEL,
    ),
    "cropped": (lambda x, w: general(x, w, padding=[(-1, 2)]), SIGNAL, KERNEL),
    "grouped": (lambda x, w: general(x, w[:, :2], feature_group_count=2), SIGNAL, KERNEL),
    "batches": (lambda x, w: general(x, w, batch_group_count=2), SIGNAL, KERNEL),
    "channels_last": (
        lambda x, w: general(x.mT, w.T, dimension_numbers=("NHC", "HIO", "NHC")),
        SIGNAL,
        KERNEL,
    ),
    "conv2d": (lambda x, w: general(x, w, window_strides=(2, 1)), PLANE, WIDE),
    "sums": (lambda x, w: over_windows(x, w, 0.0, jax.lax.add), SIGNAL, KERNEL),
    "largest": (lambda x, w: over_windows(x, w, -jnp.inf, jax.lax.max), SIGNAL, KERNEL),
    "smallest": (
        lambda x, w: over_windows(x, w, jnp.inf, jax.lax.min),
        SIGNAL,
        KERNEL,
    ),
}


@pytest.mark.parametrize("name", OF_TORCH)
def test_windows_of_torch_have_torchs_values_and_gradients(name):
    function, x, w = OF_TORCH[name]

    def f(x, w):
        return weighted_sum(torch, function(x, w))

    points = np.stack([x, 1.5 * x[..., ::-1]])
    found = program(gs.gradient, f, "torch", x=("point", points), w=((), np.array(w)))
    values = program(gs.value, f, "torch", x=("point", points), w=((), np.array(w)))
    for i, point in enumerate(points):
        arguments = torch.tensor(point), torch.tensor(np.array(w))
        true = torch.func.grad(f, argnums=(0, 1))(*arguments)
        np.testing.assert_allclose(values.f[i], f(*arguments), rtol=1e-12)
        for argument, gradient in zip("xw", true):
            here = found[f"df_d{argument}"].isel(point=i)
            np.testing.assert_allclose(here, gradient, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", OF_JAX)
def test_windows_of_jax_have_jaxs_values_and_gradients(name):
    function, x, w = OF_JAX[name]

    def f(x, w):
        return weighted_sum(jnp, function(x, w))

    points = np.stack([x, 1.5 * x[..., ::-1]])
    found = program(gs.gradient, f, "jax", x=("point", points), w=((), w))
    values = program(gs.value, f, "jax", x=("point", points), w=((), w))
    with jax.enable_x64():
        for i, point in enumerate(points):
            np.testing.assert_allclose(
                values.f[i], f(jnp.asarray(point), jnp.asarray(w)), rtol=1e-12
            )
            true = jax.grad(f, argnums=(0, 1))(jnp.asarray(point), jnp.asarray(w))
            for argument, gradient in zip("xw", true):
                here = found[f"df_d{argument}"].isel(point=i)
                np.testing.assert_allclose(here, gradient, rtol=1e-11, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conv1d", "transposed", "max_pool", "avg_pool", "conv2d"])
def test_second_derivatives_of_windows_are_torchs_own(name):
    function, x, w = OF_TORCH[name]

    def f(scale, shift):
        y = function(torch.tensor(x) * scale + shift, torch.tensor(w) * (1 + scale * shift))
        return weighted_sum(torch, y**2)

    scales = np.array([0.7, 1.3])
    found = program(gs.hessian, f, "torch", scale=scales, shift=0.4)
    for i, scale in enumerate(scales):
        at = torch.tensor([scale, 0.4], dtype=torch.float64)
        true = torch.autograd.functional.hessian(lambda v: f(*v), at).numpy()
        names = ["d2f_dscale_dscale", "d2f_dscale_dshift", "d2f_dshift_dshift"]
        here = [found[key].isel(scale=i) for key in names]
        np.testing.assert_allclose(here, true[np.triu_indices(2)], rtol=1e-11)


def test_a_smoothed_signal_is_that_of_scipy():
    kernel = np.array([1.0, 4.0, 2.0, -1.0])
    rows = RNG.normal(size=(3, 12))

    def by_torch(x):
        return F.conv1d(x[None, None], torch.tensor(kernel[::-1].copy())[None, None])[0, 0]

    def by_jax(x):
        return jnp.convolve(x, kernel, mode="valid")

    for f in (by_torch, by_jax):
        found = program(gs.value, f, f.__name__[3:], x=("row", rows))[f.__name__]
        jacobian = program(gs.jacobian, f, f.__name__[3:], x=("row", rows))[f"d{f.__name__}_dx"]
        for i, row in enumerate(rows):
            expected = scipy.signal.convolve(row, kernel, mode="valid")
            np.testing.assert_allclose(found[i], expected, atol=1e-14)
            correlated = scipy.signal.correlate(row, kernel, mode="valid")
            assert not np.allclose(found[i], correlated), "control: the kernel is reversed"
        matrix = scipy.linalg.convolution_matrix(kernel, 12, mode="valid")
        np.testing.assert_allclose(jacobian.isel(row=0), matrix, atol=1e-14)


def test_ties_of_a_maximum_go_where_each_framework_sends_them():
    flat = np.array([[[1.0, 1.0, 0.5, 2.0, 2.0, 2.0]]])

    def by_torch(x):
        return weighted_sum(torch, F.max_pool1d(x, 2, 1))

    def by_jax(x):
        window = {"window_dimensions": (1, 1, 2), "window_strides": (1, 1, 1), "padding": "VALID"}
        return weighted_sum(jnp, jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, **window))

    points = np.stack([flat, flat + 1])
    found = program(gs.gradient, by_torch, "torch", x=("point", points)).dby_torch_dx
    true = torch.func.grad(by_torch)(torch.tensor(flat)).numpy()
    np.testing.assert_allclose(found, np.stack([true, true]))
    found = program(gs.gradient, by_jax, "jax", x=("point", points)).dby_jax_dx
    with jax.enable_x64():
        true = np.asarray(jax.grad(by_jax)(jnp.asarray(flat)))
    np.testing.assert_allclose(found, np.stack([true, true]))
