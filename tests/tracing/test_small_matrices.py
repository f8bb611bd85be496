"""Decompositions of small matrices, beside mpmath, scipy and each framework's own derivatives."""

import mpmath
import numpy as np
import pytest
import scipy.linalg

import gradsweep as gs
from tests.support.weighted_sum import weighted_sum

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
jnp = jax.numpy

RNG = np.random.default_rng(7)


def random_matrix(m, n=None):
    return RNG.normal(size=(m, n or m))


def symmetric(n):
    a = random_matrix(n)
    return a + a.T


def graded(m, n):
    """Return a matrix whose columns span 12 orders of magnitude."""
    return random_matrix(m, n) * 10.0 ** -np.linspace(0, 12, n)


def evaluated(f, matrices, framework):
    """Return f of each matrix, by a Program."""
    sweep = gs.Sweep(x=("point", np.stack(matrices)))
    found = gs.broadcast(gs.value(f, sweep, engine="reference", framework=framework))
    return [array.values for array in found.transpose("point", ...).data_vars.values()]


TORCH = {
    "eigh": lambda x: tuple(torch.linalg.eigh(x)),
    "svd": lambda x: tuple(torch.linalg.svd(x, full_matrices=False)),
    "full_svd": lambda x: tuple(torch.linalg.svd(x)),
    "qr": lambda x: tuple(torch.linalg.qr(x)),
    "full_qr": lambda x: tuple(torch.linalg.qr(x, mode="complete")),
    "expm": torch.matrix_exp,
}
JAX = {
    "eigh": lambda x: tuple(jnp.linalg.eigh(x)),
    "svd": lambda x: tuple(jnp.linalg.svd(x, full_matrices=False)),
    "full_svd": lambda x: tuple(jnp.linalg.svd(x)),
    "qr": lambda x: tuple(jnp.linalg.qr(x)),
    "full_qr": lambda x: tuple(jnp.linalg.qr(x, mode="complete")),
    "expm": lambda x: jax.scipy.linalg.expm(x),
}
FRAMEWORKS = pytest.mark.parametrize(
    "framework, of", [("torch", TORCH), ("jax", JAX)], ids=["torch", "jax"]
)


def exact(function, matrix, digits=60):
    """Return what a function of mpmath gives for a matrix, rounded at the end."""
    with mpmath.workdps(digits):
        found = function(mpmath.matrix(matrix.tolist()))
        return np.array(found.tolist(), dtype=object).astype(float)


def eigenvalues(matrix):
    """Return the eigenvalues, of one number too."""
    return mpmath.eigsy(matrix, eigvals_only=True) if matrix.rows > 1 else matrix


def assert_orthonormal(q):
    np.testing.assert_allclose(q.T @ q, np.eye(q.shape[1]), atol=5e-15)


@FRAMEWORKS
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 8])
def test_eigenvalues_are_those_of_mpmath(framework, of, n):
    integers = np.rint(2 * symmetric(n))
    repeated = np.eye(n) + np.outer(np.ones(n), np.ones(n))
    close = np.eye(n) + 1e-9 * symmetric(n)
    matrices = [
        symmetric(n),
        integers,
        repeated,
        close,
        np.zeros((n, n)),
        np.diag(np.arange(n) - 2.0),
    ]
    values, vectors = evaluated(of["eigh"], matrices, framework)
    for a, w, v in zip(matrices, values, vectors):
        true = exact(eigenvalues, a).ravel()
        size = max(abs(a).max(), 1e-300)
        np.testing.assert_allclose(w, np.sort(true), atol=4e-15 * size, rtol=4e-15)
        assert_orthonormal(v)
        np.testing.assert_allclose(a @ v, v * w, atol=1e-14 * size)
    assert np.abs(values[0] - np.sort(np.diag(matrices[0]))).max() > 1e-3 or n == 1, "control"


@FRAMEWORKS
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (4, 3), (3, 5), (8, 8), (9, 4)])
def test_singular_values_are_those_of_mpmath(framework, of, shape):
    m, n = shape
    deficient = np.outer(np.arange(1.0, m + 1), np.cos(np.arange(n)))
    matrices = [
        random_matrix(*shape),
        deficient,
        np.zeros(shape),
        np.rint(2 * random_matrix(*shape)),
    ]
    for u, s, vh, a in zip(*evaluated(of["svd"], matrices, framework), matrices):
        true = exact(lambda x: mpmath.svd_r(x, compute_uv=False), a).ravel()
        np.testing.assert_allclose(s, true, atol=4e-15 * max(abs(a).max(), 1e-300), rtol=4e-15)
        assert_orthonormal(u)
        assert_orthonormal(vh.T)
        np.testing.assert_allclose((u * s) @ vh, a, atol=1e-14 * max(abs(a).max(), 1e-300))


@FRAMEWORKS
@pytest.mark.parametrize("shape", [(3, 3), (6, 4), (4, 5)])
def test_small_singular_values_keep_their_digits(framework, of, shape):
    a = graded(*shape) if shape[0] >= shape[1] else graded(*shape[::-1]).T
    _, (found,), _ = evaluated(of["svd"], [a], framework)
    true = exact(lambda x: mpmath.svd_r(x, compute_uv=False), a).ravel()
    assert true[0] / true[-1] > 1e10
    np.testing.assert_allclose(found, true, rtol=2e-14)
    larger = a @ a.T if shape[0] >= shape[1] else a.T @ a
    by_products = np.sqrt(np.abs(np.linalg.eigvalsh(larger)))[::-1][: len(true)]
    assert abs(by_products / true - 1).max() > 1e-6, "control: A A' loses them"


@FRAMEWORKS
@pytest.mark.parametrize("kind", ["qr", "full_qr"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 2), (2, 4), (8, 8)])
def test_qr_factors_have_the_signs_of_lapack(framework, of, kind, shape):
    zeros = np.triu(random_matrix(*shape))
    matrices = [random_matrix(*shape), zeros, np.zeros(shape)]
    mode = "full" if kind == "full_qr" else "economic"
    for q, r, a in zip(*evaluated(of[kind], matrices, framework), matrices):
        expected = scipy.linalg.qr(a, mode=mode)
        np.testing.assert_allclose(q, expected[0], atol=1e-14)
        np.testing.assert_allclose(r, expected[1], atol=1e-14)
        assert (np.tril(r, -1) == 0).all()


def test_a_full_basis_is_orthonormal():
    for framework, of in (("torch", TORCH), ("jax", JAX)):
        for a in (random_matrix(5, 3), random_matrix(2, 4)):
            (u,), (s,), (vh,) = evaluated(of["full_svd"], [a], framework)
            assert u.shape == (len(a), len(a)) and vh.shape == (a.shape[1], a.shape[1])
            assert_orthonormal(u)
            assert_orthonormal(vh.T)
            k = len(s)
            np.testing.assert_allclose((u[:, :k] * s) @ vh[:k], a, atol=1e-14)


@FRAMEWORKS
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_exponentials_are_those_of_mpmath(framework, of, n):
    nilpotent = np.diag(np.ones(n - 1), 1) * 100.0
    a = random_matrix(n)
    matrices = [a, 20 * a, 1e-9 * a, a - a.T, np.zeros((n, n)), nilpotent]
    (found,) = evaluated(of["expm"], matrices, framework)
    for x, e in zip(matrices, found):
        true = exact(lambda m: mpmath.expm(m, method="taylor"), x)
        np.testing.assert_allclose(e, true, atol=2e-13 * abs(true).max())


# Functions that no sign of a vector changes, and a matrix for each.
SCALARS = {
    "eigenvalues": (lambda la, x: la.eigvalsh(x + x.T) ** 2, random_matrix(3)),
    "eigenvectors": (lambda la, x: la.eigh(x + x.T)[1] ** 2, random_matrix(3)),
    "singular_values": (lambda la, x: la.svd(x, full_matrices=False)[1], random_matrix(4, 3)),
    "singular_vectors": (lambda la, x: la.svd(x, full_matrices=False)[0] ** 2, random_matrix(4, 3)),
    "orthogonal_factor": (lambda la, x: la.qr(x)[0], random_matrix(4, 3)),
    "triangular_factor": (lambda la, x: la.qr(x)[1], random_matrix(3)),
    "wide_factor": (lambda la, x: la.qr(x)[1], random_matrix(2, 3)),
    "determinant": (lambda la, x: la.det(x)[None], random_matrix(4)),
    "log_determinant": (lambda la, x: la.slogdet(x)[1][None], random_matrix(4)),
    "pseudoinverse": (lambda la, x: la.pinv(x), random_matrix(4, 3)),
    "least_squares": (lambda la, x: la.lstsq(x, x[:, :2] ** 2)[0], random_matrix(4, 3)),
    "shortest_solution": (lambda la, x: la.lstsq(x, x[:, :2] ** 2)[0], random_matrix(2, 4)),
    "nuclear_norm": (
        lambda la, x: la.svd(x, full_matrices=False)[1].sum()[None],
        random_matrix(2, 3),
    ),
    "two_norm": (lambda la, x: la.norm(x, 2)[None], random_matrix(3)),
}


@pytest.mark.parametrize("order", ["gradient", pytest.param("hessian", marks=pytest.mark.slow)])
@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("name", SCALARS)
def test_derivatives_are_the_frameworks_own(name, framework, order):
    function, matrix = SCALARS[name]
    points = np.stack([matrix, matrix[::-1] + 0.3, matrix * 1.3])

    if framework == "torch":

        def f(x):
            return weighted_sum(torch, function(torch.linalg, x))

        own = {
            "gradient": torch.func.grad(f),
            "hessian": lambda x: torch.autograd.functional.hessian(f, x),
        }
        expected = [own[order](torch.tensor(p)).numpy() for p in points]
    else:

        def f(x):
            return weighted_sum(jnp, function(jnp.linalg, x))

        own = {"gradient": jax.grad(f), "hessian": jax.hessian(f)}
        with jax.enable_x64():
            expected = [np.asarray(own[order](jnp.asarray(p))) for p in points]

    plan = gs.plan(getattr(gs, order), f, gs.Sweep(x=("point", points)), engine="reference")
    (found,) = plan.run().data_vars.values()
    assert np.isfinite(expected).all()
    for here, true in zip(found.values, expected):
        np.testing.assert_allclose(here, true, atol=1e-12 * abs(true).max())


def in_stress(xx, yy, zz, xy, yz, xz, stack):
    return stack([stack([xx, xy, xz]), stack([xy, yy, yz]), stack([xz, yz, zz])])


def principal_in_torch(xx, yy, zz, xy, yz, xz):
    return torch.linalg.eigvalsh(in_stress(xx, yy, zz, xy, yz, xz, torch.stack))


def principal_in_jax(xx, yy, zz, xy, yz, xz):
    return jnp.linalg.eigvalsh(in_stress(xx, yy, zz, xy, yz, xz, jnp.stack))


def principal_by_angles(xx, yy, zz, xy, yz, xz):
    """Return the roots of the characteristic polynomial, by three cosines (Smith, 1961)."""
    mean = (xx + yy + zz) / 3
    shear = xy**2 + yz**2 + xz**2
    size = mpmath.sqrt(((xx - mean) ** 2 + (yy - mean) ** 2 + (zz - mean) ** 2 + 2 * shear) / 6)
    x, y, z = xx - mean, yy - mean, zz - mean
    det = x * y * z + 2 * xy * yz * xz - x * yz**2 - y * xz**2 - z * xy**2
    angle = mpmath.acos(det / size**3 / 2) / 3
    return [mean + 2 * size * mpmath.cos(angle + 2 * mpmath.pi * k / 3) for k in (1, 2, 0)]


def slope(point, k, places):
    """Differentiate the k-th principal stress by the arguments at some places."""
    orders = tuple(places.count(place) for place in range(6))
    return float(mpmath.diff(lambda *p: principal_by_angles(*p)[k], tuple(point), orders))


STRESS = {"xx": 12.0, "yy": -3.0, "zz": 5.0, "xy": 4.0, "yz": -2.5, "xz": 1.5}


@pytest.mark.parametrize("engine", ["reference", "fused"])
@pytest.mark.parametrize("f", [principal_in_torch, principal_in_jax])
def test_principal_stresses_are_those_of_the_closed_form(f, engine):
    shears = np.array([4.0, 2.0, -1.0])
    sweep = gs.Sweep(**{**STRESS, "xy": shears})
    name = f.__name__
    first = gs.jacobian(f, sweep, engine=engine, with_value=True)
    with mpmath.workdps(50):
        for i, shear in enumerate(shears):
            at = {**STRESS, "xy": shear}
            point = [mpmath.mpf(v) for v in at.values()]
            true = [float(v) for v in principal_by_angles(*point)]
            np.testing.assert_allclose(first[name].isel(xy=i), true, rtol=1e-14)
            for place, argument in enumerate(at):
                slopes = [slope(point, k, [place]) for k in range(3)]
                found = gs.broadcast(first)[f"d{name}_d{argument}"].isel(xy=i)
                np.testing.assert_allclose(found, slopes, atol=2e-14)


@pytest.mark.parametrize("f", [principal_in_torch, principal_in_jax])
def test_second_derivatives_of_principal_stresses_are_those_of_the_closed_form(f):
    def largest(xx, yy, zz, xy, yz, xz):
        return f(xx, yy, zz, xy, yz, xz)[2]

    framework = f.__name__.rpartition("_")[2]
    sweep = gs.Sweep(**{**STRESS, "xy": np.array([4.0, 2.0])})
    plan = gs.plan(gs.hessian, largest, sweep, engine="reference", framework=framework)
    found = gs.broadcast(plan.run())
    names = list(STRESS)
    with mpmath.workdps(50):
        for i, shear in enumerate([4.0, 2.0]):
            point = [mpmath.mpf(v) for v in {**STRESS, "xy": shear}.values()]
            for a, b in [(0, 0), (0, 3), (3, 3), (1, 4), (5, 5), (2, 3)]:
                true = slope(point, 2, [a, b])
                here = found[f"d2largest_d{names[a]}_d{names[b]}"].isel(xy=i).item()
                assert here == pytest.approx(true, abs=1e-14)


@FRAMEWORKS
def test_where_eigenvalues_meet_derivatives_are_as_in_the_framework(framework, of):
    def f(x):
        values, vectors = of["eigh"](x)
        xp = torch if framework == "torch" else jnp
        return values[2] + weighted_sum(xp, vectors**2)

    points = [np.eye(3), np.diag([1.0, 1.0, 2.0]), symmetric(3)]
    sweep = gs.Sweep(x=("point", np.stack(points)))
    plan = gs.plan(gs.gradient, f, sweep, engine="reference", framework=framework)
    found = plan.run().df_dx.values
    for p, here in zip(points, found):
        if framework == "torch":
            true = torch.func.grad(f)(torch.tensor(p)).numpy()
        else:
            with jax.enable_x64():
                true = np.asarray(jax.grad(f)(jnp.asarray(p)))
        np.testing.assert_allclose(here, true, atol=1e-13)
    assert not np.isfinite(found[0]).all() and np.isfinite(found[2]).all()


def test_the_sign_of_a_vector_is_one_for_values_and_branches():
    def f(x):
        first = torch.linalg.eigh(torch.stack([torch.stack([x, 1 + x]), torch.stack([1 + x, -x])]))[
            1
        ][:, 0]
        return first[0] if first[0] > 0 else first[0] * 2

    x = np.array([0.3, 0.8, 2.0])
    found = gs.value(f, gs.Sweep(x=x), framework="torch", engine="reference").f.values
    for point, value in zip(x, found):
        v = np.linalg.eigh([[point, 1 + point], [1 + point, -point]])[1][:, 0]
        v = v * np.sign(v[np.argmax(abs(v))])  # the largest entry is positive
        assert value == pytest.approx(v[0] if v[0] > 0 else 2 * v[0], rel=1e-14)


@pytest.mark.parametrize(
    "framework, f, n, reason",
    [
        ("torch", lambda x: torch.linalg.eigvalsh(x), 9, "it takes eigenvalues"),
        ("torch", lambda x: torch.linalg.svdvals(x), 9, "it takes singular values"),
        ("torch", lambda x: torch.linalg.qr(x).R, 17, "it takes the QR factors"),
        ("torch", lambda x: torch.matrix_exp(x), 17, "it takes the exponential"),
        ("jax", lambda x: jnp.linalg.eigvalsh(x), 9, "it takes eigenvalues"),
        ("jax", lambda x: jnp.linalg.svd(x, compute_uv=False), 9, "it takes singular values"),
        ("jax", lambda x: jnp.linalg.qr(x)[1], 17, "it takes the QR factors"),
    ],
)
def test_what_is_too_large_runs_on_the_framework_and_says_why(framework, f, n, reason):
    a = symmetric(n)
    plan = gs.plan(gs.value, f, gs.Sweep(x=("point", np.stack([a, a]))), framework=framework)
    assert f"{reason} of a matrix of {n} x {n}" in str(plan)
    plan.run()


@FRAMEWORKS
def test_gradients_of_the_exponential_are_the_frameworks_own(framework, of):
    xp = torch if framework == "torch" else jnp

    def f(x):
        return weighted_sum(xp, of["expm"](x))

    points = np.stack([random_matrix(3), np.diag([1.0, 2.0, 0.0]), 8 * random_matrix(3)])
    found = gs.gradient(f, gs.Sweep(x=("point", points)), engine="reference").df_dx.values
    for p, here in zip(points, found):
        if framework == "torch":
            true = torch.func.grad(f)(torch.tensor(p)).numpy()
        else:
            with jax.enable_x64():
                true = np.asarray(jax.grad(f)(jnp.asarray(p)))
        np.testing.assert_allclose(here, true, atol=1e-12 * abs(true).max())


@pytest.mark.slow
def test_second_derivatives_of_the_exponential_are_those_of_a_chain_of_two_states():
    def stays(leave, back):
        rates = torch.stack([torch.stack([-leave, leave]), torch.stack([back, -back])])
        return torch.matrix_exp(rates)[0, 0]

    def closed_form(a, b):
        return (b + a * mpmath.exp(-a - b)) / (a + b)

    leave, back = np.array([0.3, 1.0, 7.0]), np.array([0.2, 2.0])
    sweep = gs.Sweep(leave=leave, back=back)
    found = gs.hessian(stays, sweep, engine="reference", framework="torch")
    orders = {"leave_dleave": (2, 0), "leave_dback": (1, 1), "back_dback": (0, 2)}
    with mpmath.workdps(40):
        for name, order in orders.items():
            true = [[float(mpmath.diff(closed_form, (a, b), order)) for b in back] for a in leave]
            here = found[f"d2stays_d{name}"].transpose("leave", "back")
            np.testing.assert_allclose(here, true, atol=1e-14)


@FRAMEWORKS
def test_batches_of_matrices_are_decomposed_one_by_one(framework, of):
    xp = torch if framework == "torch" else jnp
    pairs = np.stack([np.stack([symmetric(3), symmetric(3)]) for _ in range(2)])
    for name in ("eigh", "svd", "qr"):

        def f(x, name=name):
            found = of[name](x)
            return found[1] if name != "eigh" else found[0]

        (found,) = evaluated(f, pairs, framework)
        own = {"eigh": torch.linalg.eigvalsh, "svd": torch.linalg.svdvals}
        true = own.get(name, lambda x: torch.linalg.qr(x).R)(torch.tensor(pairs)).numpy()
        np.testing.assert_allclose(found, true, atol=1e-14)
    (found,) = evaluated(lambda x: xp.linalg.eigvalsh(x[None]), pairs, framework)
    assert found.shape == (2, 1, 2, 3)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 5e-6)])
def test_the_fused_engine_decomposes_as_lapack_does(dtype, tolerance):
    def f(x):
        u, s, vh = torch.linalg.svd(x)
        everything = torch.linalg.eigvalsh(x + x.mT), s, torch.linalg.qr(x).R.diagonal()
        return torch.stack([*everything, (u * s @ vh)[0], (u.mT @ u)[1]])

    matrices = np.random.default_rng(17).normal(size=(60, 4, 4)).astype(dtype)
    matrices[::5] = np.rint(matrices[::5])
    matrices[::7] = matrices[::7, :, :1] * matrices[::7, :1]
    found = gs.value(f, gs.Sweep(x=("point", matrices)), engine="fused").f.values
    for i, (a, here) in enumerate(zip(matrices.astype(float), found)):
        s, r = np.linalg.svd(a, compute_uv=False), np.diag(np.linalg.qr(a).R)
        if i % 5 == 0:  # below a number may lie zeros: then rounding decides its sign
            here[2], r = abs(here[2]), abs(r)
        true = np.stack([np.linalg.eigvalsh(a + a.T), s, r, a[0], np.eye(4)[1]])
        np.testing.assert_allclose(here, true, atol=tolerance * max(1, abs(true).max()))


@FRAMEWORKS
def test_infinity_and_nan_in_a_matrix_come_out(framework, of):
    matrices = []
    for entry in (np.inf, np.nan):
        matrices.append(symmetric(3))
        matrices[-1][1, 2] = matrices[-1][2, 1] = entry
    for name in ("eigh", "svd", "qr"):
        for found in evaluated(of[name], matrices, framework):
            assert not np.isfinite(found).all(axis=tuple(range(1, found.ndim))).any(), name
