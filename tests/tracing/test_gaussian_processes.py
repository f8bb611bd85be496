"""Cholesky's factor and triangular systems: the likelihood of a Gaussian process.

Values are scipy's; derivatives are the closed form of Rasmussen and Williams (2006), equation 5.9.
"""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

import gradsweep as gs

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

N = 25
X = np.linspace(0.0, 1.0, N) ** 1.3
Y = np.sin(6 * X) + 0.1 * np.cos(40 * X)
SQUARES = (X[:, None] - X) ** 2
LENGTHS, NOISES, SIZE = np.array([0.15, 0.3, 0.45, 0.6]), np.array([0.1, 0.2, 0.3]), 1.1
SWEEP = gs.Sweep(length=LENGTHS, noise=NOISES, size=SIZE)


def covariance(exp, eye, length, noise, size):
    return size**2 * exp(-SQUARES_OF[exp] / (2 * length**2)) + noise**2 * eye


SQUARES_OF = {torch.exp: torch.tensor(SQUARES), jax.numpy.exp: SQUARES}


def in_torch(length, noise, size):
    matrix = covariance(torch.exp, torch.eye(N, dtype=torch.float64), length, noise, size)
    factor = torch.linalg.cholesky(matrix)
    y = torch.tensor(Y)
    weights = torch.cholesky_solve(y[:, None], factor)[:, 0]
    return -y @ weights / 2 - factor.diagonal().log().sum() - N / 2 * np.log(2 * np.pi)


def as_a_distribution(length, noise, size):
    matrix = covariance(torch.exp, torch.eye(N, dtype=torch.float64), length, noise, size)
    mean = torch.zeros(N, dtype=torch.float64)
    return torch.distributions.MultivariateNormal(mean, matrix).log_prob(torch.tensor(Y))


def in_jax(length, noise, size):
    matrix = covariance(jax.numpy.exp, jax.numpy.eye(N), length, noise, size)
    factor = jax.numpy.linalg.cholesky(matrix)
    weights = jax.scipy.linalg.cho_solve((factor, True), Y)
    log_det = jax.numpy.log(jax.numpy.diagonal(factor)).sum()
    return -Y @ weights / 2 - log_det - N / 2 * np.log(2 * np.pi)


def expected(length, noise, n=N):
    """Return the likelihood of n points, and its derivatives by length, noise and size."""
    squares, y = SQUARES[:n, :n], Y[:n]
    matrix = SIZE**2 * np.exp(-squares / (2 * length**2)) + noise**2 * np.eye(n)
    smooth = matrix - noise**2 * np.eye(n)
    slopes = (smooth * squares / length**3, 2 * noise * np.eye(n), 2 * smooth / SIZE)
    inverse = scipy.linalg.inv(matrix)
    weights = inverse @ y
    inner = np.outer(weights, weights) - inverse
    value = scipy.stats.multivariate_normal(np.zeros(n), matrix).logpdf(y)
    return [value, *(np.sum(inner * slope) / 2 for slope in slopes)]


@pytest.mark.parametrize(
    "f", [in_torch, *(pytest.param(f, marks=pytest.mark.slow) for f in (as_a_distribution, in_jax))]
)
def test_the_likelihood_of_25_points_is_a_program(f):
    plan = gs.plan(gs.gradient, f, SWEEP, with_value=True, engine="reference")
    found = plan.run()
    name = f.__name__
    variables = [name, *(f"d{name}_d{argument}" for argument in ("length", "noise", "size"))]
    for i, length in enumerate(LENGTHS):
        for j, noise in enumerate(NOISES):
            at = {"length": i, "noise": j}
            here = [found[variable].isel(at).item() for variable in variables]
            np.testing.assert_allclose(here, expected(length, noise), rtol=1e-10)
    # Every step of a Loop solves for one column.
    assert f"loop {N} times: {N * N} equations" in str(plan)


@pytest.mark.slow
def test_the_fused_engine_has_the_same_likelihood():
    found = gs.gradient(in_torch, SWEEP, engine="fused")
    for name, value in gs.gradient(in_torch, SWEEP, engine="reference").items():
        np.testing.assert_allclose(found[name], value, rtol=1e-10)


def test_what_is_larger_than_32_runs_on_the_framework():
    def f(x):
        matrix = torch.eye(33, dtype=torch.float64) * x + 1.0
        return torch.linalg.cholesky(matrix).diagonal().log().sum()

    plan = gs.plan(gs.gradient, f, gs.Sweep(x=np.array([1.0, 2.0])))
    assert "it factors a matrix of shape (33, 33)" in str(plan)
    # The determinant of x 1 + J is x**n (1 + n / x).
    x = np.array([1.0, 2.0])
    slope = (33 / x - 33 / (x * (x + 33))) / 2
    np.testing.assert_allclose(plan.run().df_dx, slope, rtol=1e-12)


MATRIX = np.eye(20) * 4 + np.cos(np.arange(400.0)).reshape(20, 20)
RIGHT = np.sin(np.arange(140.0)).reshape(20, 7)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_triangular_systems_of_many_columns_are_loops(framework, lower, unit):
    def by_torch(scale):
        matrix, right = torch.tensor(MATRIX), torch.tensor(RIGHT)
        return torch.linalg.solve_triangular(
            matrix * scale, right, upper=not lower, unitriangular=unit
        )

    def by_jax(scale):
        return jax.scipy.linalg.solve_triangular(
            MATRIX * scale, RIGHT, lower=lower, unit_diagonal=unit
        )

    f = by_torch if framework == "torch" else by_jax
    scales = np.array([1.0, 1.3])
    plan = gs.plan(gs.value, f, gs.Sweep(scale=scales), engine="reference")
    assert "loop 7 times" in str(plan)
    (found,) = plan.run().data_vars.values()
    for scale, x in zip(scales, found.transpose("scale", ...).values):
        exact = scipy.linalg.solve_triangular(
            MATRIX * scale, RIGHT, lower=lower, unit_diagonal=unit
        )
        np.testing.assert_allclose(x, exact, rtol=1e-11, atol=1e-13)
        wrong = scipy.linalg.solve_triangular(MATRIX * scale, RIGHT, lower=not lower)
        assert not np.allclose(x, wrong), "control: the other triangle is another system"


def test_matrices_that_are_not_positive_definite_have_no_likelihood():
    def log_determinant(noise):
        matrix = torch.eye(3, dtype=torch.float64) * noise + 1.0
        return torch.linalg.cholesky(matrix).diagonal().log().sum()

    found = gs.gradient(log_determinant, gs.Sweep(noise=[0.5, -2.0]))["dlog_determinant_dnoise"]
    assert found[0] == pytest.approx((3 / 0.5 - 3 / (0.5 * 3.5)) / 2, rel=1e-12)
    assert np.isnan(found[1])


@pytest.mark.slow
def test_the_likelihood_of_32_points_is_a_program_with_its_gradient_by_three_parameters():
    x = np.linspace(0.0, 1.0, 32) ** 1.3
    y, squares = np.sin(6 * x), (x[:, None] - x) ** 2
    data, distances, eye = torch.tensor(y), torch.tensor(squares), torch.eye(32).double()

    def likelihood(length, noise, size):
        matrix = size**2 * torch.exp(-0.5 * distances / length**2) + noise**2 * eye
        factor = torch.linalg.cholesky(matrix)
        weights = torch.cholesky_solve(data[:, None], factor)[:, 0]
        return -0.5 * (data @ weights) - torch.log(torch.diagonal(factor)).sum()

    values = {"length": (0.2, 0.4), "noise": (0.1, 0.3), "size": (0.9, 1.2)}
    sweep = gs.Sweep({name: list(numbers) for name, numbers in values.items()})
    plan = gs.plan(gs.gradient, likelihood, sweep, engine="reference")
    found = plan.run()
    for at in np.ndindex(2, 2, 2):
        length, noise, size = (numbers[i] for numbers, i in zip(values.values(), at))
        smooth = size**2 * np.exp(-0.5 * squares / length**2)
        inverse = scipy.linalg.inv(smooth + noise**2 * np.eye(32))
        inner = np.outer(inverse @ y, inverse @ y) - inverse
        slopes = (smooth * squares / length**3, 2 * noise * np.eye(32), 2 * smooth / size)
        for name, slope in zip(values, slopes):
            here = found[f"dlikelihood_d{name}"].values[at]
            np.testing.assert_allclose(here, np.sum(inner * slope) / 2, rtol=1e-9)


FEW = 20


def by_solving_in_torch(length, noise, size):
    squares, y = torch.tensor(SQUARES[:FEW, :FEW]), torch.tensor(Y[:FEW])
    matrix = size**2 * torch.exp(-squares / (2 * length**2)) + noise**2 * torch.eye(FEW).double()
    return -0.5 * y @ torch.linalg.solve(matrix, y) - torch.linalg.slogdet(matrix)[1] / 2


def by_solving_in_numpy(length, noise, size):
    squares, y = SQUARES[:FEW, :FEW], Y[:FEW]
    matrix = size**2 * np.exp(-squares / (2 * length**2)) + noise**2 * np.eye(FEW)
    return -0.5 * y @ np.linalg.solve(matrix, y) - np.linalg.slogdet(matrix)[1] / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "f, framework",
    [
        (by_solving_in_torch, "torch"),
        (by_solving_in_numpy, "jax"),
        (by_solving_in_numpy, "torch"),
    ],
)
def test_a_likelihood_by_elimination_is_a_program_too(f, framework):
    sweep = gs.Sweep(length=LENGTHS[:2], noise=NOISES[:2], size=SIZE)
    found = gs.gradient(f, sweep, engine="reference", framework=framework)
    for i, length in enumerate(LENGTHS[:2]):
        for j, noise in enumerate(NOISES[:2]):
            slopes = [variable.isel(length=i, noise=j).item() for variable in found.values()]
            np.testing.assert_allclose(slopes, expected(length, noise, FEW)[1:], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_elimination_takes_the_largest_pivot_in_a_large_system(framework):
    """The rows of a matrix with a strong diagonal, in another order: its own pivots are small."""
    rng = np.random.default_rng(5)
    matrix = np.roll(np.eye(28) + 1e-9 * rng.normal(size=(28, 28)), 9, axis=0)
    right = rng.normal(size=28)

    def by_torch(x):
        return torch.linalg.solve(torch.tensor(matrix) * x, torch.tensor(right)).sum()

    def by_jax(x):
        return jax.numpy.linalg.solve(matrix * x, right).sum()

    f = by_torch if framework == "torch" else by_jax
    found = gs.gradient(f, gs.Sweep(x=[1.0, 2.0]), engine="reference")
    exact = -scipy.linalg.solve(matrix, right).sum() / np.array([1.0, 4.0])
    np.testing.assert_allclose(found[f"d{f.__name__}_dx"], exact, rtol=1e-12)
