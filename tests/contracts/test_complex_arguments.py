"""Complex arguments: closed forms, mpmath and the frameworks' own gradients, in every engine."""

from importlib import import_module

import mpmath
import numpy as np
import pytest
import xarray

import gradsweep as gs
from gradsweep.errors import GradsweepWarning, OutputError, SweepError

Z, A = np.array([1 + 2j, 0.3 - 1j, -0.5 + 0.7j]), np.array([0.5, 2.0])


def mathematics(framework):
    return import_module({"torch": "torch", "jax": "jax.numpy"}[framework])


def square(z, a):
    return a * z**2 / (1 + z)


def size(z, a):
    return a * abs(z) ** 2


def pairs(real, imag):
    return np.stack([real, imag], -1)


# -- values and first derivatives


@pytest.mark.parametrize("engine", ["auto", "fused", "reference", "loop", "own"])
def test_a_holomorphic_function_has_one_derivative_in_both_directions(framework, engine):
    own = {"torch": "torch", "jax": "xla"}[framework]
    options = {"framework": framework, "engine": own if engine == "own" else engine}
    found = gs.gradient(square, gs.Sweep(z=Z, a=A), with_value=True, **options)
    z = Z[:, None]
    slope = A * (z**2 + 2 * z) / (1 + z) ** 2
    assert found.dsquare_dz.dims == ("z", "a", "z_part")
    np.testing.assert_allclose(found.square, A * z**2 / (1 + z), rtol=1e-13)
    # The Cauchy-Riemann equations: df/dy is i df/dx.
    np.testing.assert_allclose(found.dsquare_dz.sel(z_part="real"), slope, rtol=1e-12)
    np.testing.assert_allclose(found.dsquare_dz.sel(z_part="imag"), 1j * slope, rtol=1e-12)
    np.testing.assert_allclose(found.dsquare_da, Z**2 / (1 + Z), rtol=1e-13)
    np.testing.assert_array_equal(found.z, Z)
    at = found.dsquare_dz.sel(z=0.3 - 1j, a=2.0, z_part="imag")
    np.testing.assert_allclose(at, 1j * slope[1, 1], rtol=1e-12)


def test_the_equations_of_cauchy_and_riemann_do_not_hold_for_a_conjugate(framework):
    xp = mathematics(framework)
    found = gs.gradient(lambda z: 2 * xp.conj(z), gs.Sweep(z=Z), framework=framework).df_dz
    np.testing.assert_array_equal(found, [2, -2j])


@pytest.mark.parametrize("engine", ["auto", "reference", "loop"])
def test_a_real_function_has_real_derivatives(framework, engine):
    found = gs.gradient(size, gs.Sweep(z=Z, a=A), framework=framework, engine=engine)
    assert found.dsize_dz.dtype == np.float64
    expected = 2 * A[:, None] * pairs(Z.real, Z.imag)[:, None]
    np.testing.assert_allclose(found.dsize_dz, expected, rtol=1e-13)


def test_they_are_what_both_frameworks_say_whose_gradients_are_conjugates(framework):
    xp = mathematics(framework)

    def f(z):
        return xp.real(xp.exp(1j * z) * z) + xp.log(xp.abs(z))

    found = gs.gradient(f, gs.Sweep(z=Z), framework=framework).df_dz.values
    for z, (by_x, by_y) in zip(Z, found):
        if framework == "torch":
            import torch

            at = torch.tensor(z, requires_grad=True)
            (own,) = torch.autograd.grad(f(at), at)
            own = own.numpy()
        else:
            import jax

            with jax.enable_x64(True):
                own = np.conj(np.asarray(jax.grad(f)(jax.numpy.asarray(z))))
        np.testing.assert_allclose(by_x + 1j * by_y, own, rtol=1e-13)


def test_derivatives_agree_with_mpmath(framework):
    xp = mathematics(framework)

    def f(z):
        return xp.real(xp.log(z) * xp.sqrt(1 + z)) / (1 + xp.abs(xp.sinh(z)))

    def exact(x, y):
        z = mpmath.mpc(x, y)
        value = (mpmath.log(z) * mpmath.sqrt(1 + z)).real
        return value / (1 + abs(mpmath.sinh(z)))

    found = gs.hessian(f, gs.Sweep(z=Z), framework=framework).d2f_dz_dz
    slope = gs.gradient(f, gs.Sweep(z=Z), framework=framework).df_dz
    assert found.dims == ("z", "z_part", "z_part_2") and slope.dims == ("z", "z_part")
    with mpmath.workdps(40):
        for i, z in enumerate(Z):
            for part, order in enumerate([(1, 0), (0, 1)]):
                expected = float(mpmath.diff(exact, (z.real, z.imag), order))
                np.testing.assert_allclose(slope[i, part], expected, rtol=1e-11)
            for (j, k), order in {(0, 0): (2, 0), (0, 1): (1, 1), (1, 1): (0, 2)}.items():
                expected = float(mpmath.diff(exact, (z.real, z.imag), order))
                np.testing.assert_allclose(found[i, j, k], expected, rtol=1e-10)
                np.testing.assert_allclose(found[i, k, j], expected, rtol=1e-10)


def test_the_logarithm_of_a_magnitude_is_harmonic(framework):
    xp = mathematics(framework)
    found = gs.hessian(lambda z: xp.log(xp.abs(z)), gs.Sweep(z=Z), framework=framework).d2f_dz_dz
    w = -1 / Z**2  # the second derivative of log z
    expected = np.stack([pairs(w.real, -w.imag), pairs(-w.imag, -w.real)], -2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found[:, 0, 0] + found[:, 1, 1], 0, atol=1e-14)


def test_second_derivatives_by_a_complex_and_a_real_argument(framework):
    found = gs.hessian(size, gs.Sweep(z=Z, a=2.0), framework=framework)
    assert found.d2size_dz_da.dims == found.d2size_da_dz.dims == ("z", "z_part")
    np.testing.assert_allclose(found.d2size_da_dz, 2 * pairs(Z.real, Z.imag), rtol=1e-13)
    expected = np.broadcast_to(4 * np.eye(2), (3, 2, 2))
    np.testing.assert_allclose(found.d2size_dz_dz, expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(gs.matrix(found).wrt, ["z[real]", "z[imag]", "a"])


# -- directions


def test_along_a_direction(framework):
    v = {"z": 0.5 - 2j, "a": 3.0}
    z, sweep = Z[:, None], gs.Sweep(z=Z, a=A)
    slope = A * (z**2 + 2 * z) / (1 + z) ** 2
    found = gs.jvp(square, sweep, v, framework=framework).jvp
    np.testing.assert_allclose(found, slope * v["z"] + 3 * z**2 / (1 + z), rtol=1e-12)
    shares = gs.contributions(size, sweep, v, framework=framework).contribution_z
    expected = 2 * A[:, None] * pairs(0.5 * Z.real, -2 * Z.imag)[:, None]
    np.testing.assert_allclose(shares, expected, rtol=1e-13)
    hvp = gs.hvp(size, sweep, v, framework=framework)
    expected = 2 * A[:, None] * [0.5, -2] + 6 * pairs(Z.real, Z.imag)[:, None]
    np.testing.assert_allclose(hvp.hvp_z, expected, rtol=1e-13)


def test_a_tangent_may_be_swept_or_real(framework):
    swept = gs.jvp(square, gs.Sweep(z=Z, a=2.0), {"z": 1j * Z}, framework=framework).jvp
    slope = 2 * (Z**2 + 2 * Z) / (1 + Z) ** 2
    np.testing.assert_allclose(swept, slope * 1j * Z, rtol=1e-12)
    real = gs.jvp(square, gs.Sweep(z=Z, a=2.0), {"z": 1.0}, framework=framework).jvp
    np.testing.assert_allclose(real, slope, rtol=1e-12)


@pytest.mark.parametrize("w", [1.5 - 0.5j, 2.0])
def test_a_cotangent_is_paired_as_real_numbers_are(framework, w):
    found = gs.vjp(square, gs.Sweep(z=Z, a=2.0), w, framework=framework)
    slope = 2 * (Z**2 + 2 * Z) / (1 + Z) ** 2
    # The gradient of Re(conj(w) y).
    expected = pairs((np.conj(w) * slope).real, (np.conj(w) * 1j * slope).real)
    assert found.vjp_z.dims == ("z", "z_part")
    np.testing.assert_allclose(found.vjp_z, expected, rtol=1e-12)
    np.testing.assert_allclose(found.vjp_a, (np.conj(w) * Z**2 / (1 + Z)).real, rtol=1e-12)


@pytest.mark.torch
def test_a_cotangent_is_that_of_torch():
    torch = pytest.importorskip("torch")
    w = 1.5 - 0.5j
    z = torch.tensor(Z, requires_grad=True)
    (own,) = torch.autograd.grad(square(z, 2.0), z, torch.full_like(z, w))
    found = gs.vjp(square, gs.Sweep(z=Z, a=2.0), w, framework="torch").vjp_z.values
    np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], own, rtol=1e-13)


@pytest.mark.jax
def test_a_cotangent_is_the_conjugate_of_jaxs():
    jax = pytest.importorskip("jax")
    w = 1.5 - 0.5j
    with jax.enable_x64(True):
        _, pull = jax.vjp(lambda z: square(z, 2.0), jax.numpy.asarray(Z))
        (own,) = pull(jax.numpy.full(3, np.conj(w)))
    found = gs.vjp(square, gs.Sweep(z=Z, a=2.0), w, framework="jax").vjp_z.values
    np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], np.conj(own), rtol=1e-13)


def test_cotangents_of_several_outputs(framework):
    def f(z):
        return {"w": z**2, "size": abs(z) ** 2}

    found = gs.vjp(f, gs.Sweep(z=Z), {"w": 1j, "size": 3.0}, framework=framework).vjp_z
    slope = -1j * 2 * Z
    expected = pairs(slope.real, (1j * slope).real) + 6 * pairs(Z.real, Z.imag)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_both_modes_give_the_same(framework, mode):
    options = {"framework": framework, "mode": mode}
    slope = 2 * (Z**2 + 2 * Z) / (1 + Z) ** 2
    found = gs.jacobian(square, gs.Sweep(z=Z, a=2.0), **options).dsquare_dz
    np.testing.assert_allclose(found, pairs(slope, 1j * slope), rtol=1e-12)
    pulled = gs.vjp(square, gs.Sweep(z=Z, a=2.0), 1j, **options).vjp_z
    np.testing.assert_allclose(pulled, pairs(slope.imag, slope.real), rtol=1e-12)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: gs.jvp(size, gs.Sweep(z=Z, a=1.0), {"a": 1j}), "tangent of 'a' is complex"),
        (lambda: gs.vjp(size, gs.Sweep(z=Z, a=1.0), 1j), "cotangent of 'size' is complex"),
        (
            lambda: gs.vjp(square, gs.Sweep(z=((), Z), a=1.0), np.ones(4)),
            r"has shape \(4,\); square has shape \(3,\)",
        ),
    ],
)
def test_a_direction_of_another_form_is_refused(use, words):
    with pytest.raises(SweepError, match=words):
        use()


# -- forms of arguments


def test_arrays_of_complex_numbers(framework):
    q = np.array([[1 + 2j, 0.5j, 3], [2 - 1j, 1, -1j]])
    found = gs.gradient(
        lambda q, s: s * abs(q[0] * q[2]) ** 2, gs.Sweep(q=("pose", q), s=A), framework=framework
    )
    assert found.df_dq.dims == ("pose", "s", "q_0", "q_part")
    assert found.q.dims == ("pose", "q_0") and found.q.dtype == np.complex128
    a, c = q[:, 0], q[:, 2]
    expected = np.zeros((2, 2, 3, 2))
    expected[:, :, 0] = (2 * abs(c) ** 2 * pairs(a.real, a.imag).T).T[:, None] * A[:, None]
    expected[:, :, 2] = (2 * abs(a) ** 2 * pairs(c.real, c.imag).T).T[:, None] * A[:, None]
    np.testing.assert_allclose(found.df_dq, expected, rtol=1e-13)


def test_entries_of_containers_and_components(framework):
    sweep = gs.Sweep(p={"z": ("z", Z), "w": 1 - 1j})
    found = gs.gradient(lambda p: abs(p["z"] + p["w"]) ** 2, sweep, framework=framework)
    total = Z + 1 - 1j
    np.testing.assert_allclose(found.df_dp_z, 2 * pairs(total.real, total.imag), rtol=1e-13)
    np.testing.assert_allclose(found.df_dp_w, 2 * pairs(total.real, total.imag), rtol=1e-13)
    sweep = gs.Sweep(c=gs.components(1 + 1j, ("u", A), ("z", Z)))
    found = gs.jacobian(lambda c: c[0] * c[1] + c[2] ** 2, sweep, framework=framework).df_dc
    assert found.dims == ("u", "z", "c_0", "c_part")
    by = np.broadcast_arrays(A[:, None], 1 + 1j, 2 * Z)
    np.testing.assert_allclose(found, pairs(np.stack(by, -1), 1j * np.stack(by, -1)), rtol=1e-13)
    np.testing.assert_array_equal(found.u, A)


def test_a_real_array_of_pairs_is_no_complex_argument(framework):
    def f(z):
        return 2 * z

    options = {"framework": framework}
    assert gs.value(f, gs.Sweep(z=((), np.array([1.0, 2.0]))), **options).f.shape == (2,)
    assert gs.value(f, gs.Sweep(z=1 + 2j), **options).f == 2 + 4j


def test_a_default_is_held_fixed_and_is_a_coordinate():
    def f(z, w=2j):
        return abs(z * w) ** 2

    with pytest.warns(GradsweepWarning, match="w=2j"):
        found = gs.gradient(f, gs.Sweep(z=Z))
    assert set(found) == {"df_dz"} and found.w == 2j
    found = gs.gradient(f, gs.Sweep(z=Z), wrt="w").df_dw
    np.testing.assert_allclose(found, abs(Z[:, None]) ** 2 * [0, 4], rtol=1e-13)


def test_an_infinite_part_leaves_the_other_as_it_is(framework):
    xp = mathematics(framework)
    z = np.array([complex(1, np.inf), complex(-0.0, np.nan)])
    found = gs.gradient(
        lambda z: 3 * xp.real(z), gs.Sweep(z=z), framework=framework, with_value=True
    )
    np.testing.assert_array_equal(found.f, [3, -0.0])
    np.testing.assert_array_equal(found.df_dz, [3, 0])
    assert "2 values of z are NaN" in str(gs.plan(gs.value, size, gs.Sweep(z=z, a=1.0)))


def test_single_precision_stays_single(framework):
    found = gs.gradient(
        size, gs.Sweep(z=Z.astype(np.complex64), a=2.0), framework=framework, with_value=True
    )
    assert found.dsize_dz.dtype == np.float32 and found.z.dtype == np.complex64
    np.testing.assert_allclose(found.dsize_dz, 4 * pairs(Z.real, Z.imag), rtol=1e-6)


@pytest.mark.torch
def test_tensors_that_are_not_conjugated_yet_are_read():
    torch = pytest.importorskip("torch")
    found = gs.gradient(size, gs.Sweep(z=torch.tensor(Z).conj(), a=1.0))
    np.testing.assert_allclose(found.dsize_dz, 2 * pairs(Z.real, -Z.imag), rtol=1e-13)


@pytest.mark.torch
def test_python_branches_on_a_complex_argument():
    pytest.importorskip("torch")

    def f(z):
        return abs(z) ** 2 if z.imag > 0 else z.real

    found = gs.gradient(f, gs.Sweep(z=Z), framework="torch").df_dz
    np.testing.assert_allclose(found, [[2, 4], [1, 0], [-1, 1.4]], rtol=1e-13)


def test_a_dim_has_the_name_of_no_variable():
    def f(z, w):
        return {"z_part": abs(z) ** 2, "w_part": w.real}

    found = gs.gradient(f, gs.Sweep(z=Z, w=1j), with_value=True)
    assert found.dz_part_dz.dims == ("z", "z_part_2") and found.dw_part_dw.dims == ("w_part_2",)
    np.testing.assert_array_equal(found.z_part_2, ["real", "imag"])
    np.testing.assert_allclose(found.z_part, abs(Z) ** 2, rtol=1e-13)
    axis = gs.gradient(lambda z, z_part: abs(z) * z_part, gs.Sweep(z=1j, z_part=A))
    assert axis.df_dz.dims == ("z_part", "z_part_2")


def test_ranges_are_real_and_say_so():
    for make in (gs.linspace, gs.geomspace):
        with pytest.raises(ValueError, match="for complex ones write np."):
            make(1j, 2.0, 5)


# -- stores and files


def test_a_zarr_store_keeps_complex_coordinates(tmp_path):
    pytest.importorskip("zarr")
    path = tmp_path / "found.zarr"
    returned = gs.gradient(size, gs.Sweep(z=Z, a=A), store=path)
    again = gs.gradient(size, gs.Sweep(z=Z, a=A), store=path, resume=True)
    for found in (returned, again, xarray.open_zarr(path)):
        np.testing.assert_array_equal(found.z, Z)
        np.testing.assert_array_equal(found.z_part, ["real", "imag"])
        np.testing.assert_allclose(
            found.dsize_dz.sel(z_part="imag"), 2 * A * Z.imag[:, None], rtol=1e-13
        )


@pytest.mark.parametrize("as_file", [True, False], ids=["netCDF", "reduced"])
def test_other_results_have_both_parts_of_coordinates(tmp_path, as_file):
    if as_file:
        pytest.importorskip("netCDF4")
        path = tmp_path / "found.nc"
        gs.gradient(size, gs.Sweep(z=Z, a=A), store=path)
        with xarray.open_dataset(path) as found:
            np.testing.assert_array_equal(found.z_real, Z.real)
            np.testing.assert_array_equal(found.z_imag, Z.imag)
            np.testing.assert_array_equal(found.z_part, ["real", "imag"])
            expected = 2 * A[:, None] * pairs(Z.real, Z.imag)[:, None]
            np.testing.assert_allclose(found.dsize_dz, expected, rtol=1e-13)
        return
    found = gs.gradient(size, gs.Sweep(z=Z, a=A), reduce="mean", dims="a")
    np.testing.assert_array_equal(found.z, Z)
    expected = 2 * A.mean() * pairs(Z.real, Z.imag)
    np.testing.assert_allclose(found.dsize_dz_mean, expected, rtol=1e-13)


def test_a_coordinate_whose_part_has_the_name_of_another_variable_is_refused(tmp_path):
    pytest.importorskip("netCDF4")
    with pytest.raises(OutputError, match="'z_real' would be the name of two"):
        gs.value(lambda z: {"z_real": abs(z)}, gs.Sweep(z=Z), store=tmp_path / "found.nc")
    sweep = gs.Sweep(z=Z, z_real=2.0)
    with pytest.raises(OutputError, match="'z_real' would be the name of two"):
        gs.value(lambda z, z_real: z_real * abs(z), sweep, store=tmp_path / "found.nc")


def test_parts_of_a_sweep_that_is_not_in_memory(tmp_path, monkeypatch):
    from gradsweep.running import destination

    zarr = pytest.importorskip("zarr")
    monkeypatch.setattr(destination, "STORED_PART_BYTES", 20_000)
    z = np.linspace(0.1, 2.0, 4001) * np.exp(1j * np.linspace(0, 6, 4001))
    kept = zarr.array(z)
    plan = gs.plan(gs.gradient, size, gs.Sweep(z=kept, a=2.0), store=tmp_path / "found.zarr")
    assert plan.partition.n_parts > 1
    found = plan.run()
    np.testing.assert_allclose(found.dsize_dz, 4 * pairs(z.real, z.imag), rtol=1e-13)
    np.testing.assert_array_equal(found.z, z)


# -- compile, check, compare, plot


@pytest.mark.parametrize("given", [2 * Z, list(2 * Z), np.array([1.0, 2.0])])
def test_a_compiled_kernel_takes_complex_numbers(framework, given):
    kernel = gs.compile(gs.gradient, size, gs.Sweep(z=Z, a=2.0), framework=framework)
    found = kernel(z=given)["dsize_dz"]
    z = np.asarray(given, complex)
    np.testing.assert_allclose(found, 4 * pairs(z.real, z.imag), rtol=1e-13)
    again = kernel(z=given, out={"dsize_dz": found, "dsize_da": np.empty(len(z))})
    assert again["dsize_dz"] is found


def test_a_compiled_kernel_takes_no_pairs():
    kernel = gs.compile(gs.gradient, size, gs.Sweep(z=Z, a=2.0))
    with pytest.raises(SweepError, match="'z' was compiled as 3 complex values"):
        kernel(z=pairs(Z.real, Z.imag))
    fixed = gs.compile(gs.gradient, size, gs.Sweep(z=1j, a=2.0))
    for z in (1 - 2j, 3.0):
        np.testing.assert_allclose(fixed(z=z)["dsize_dz"], [4 * z.real, 4 * z.imag])


def test_check_takes_complex_arguments(framework):
    found = gs.check(size, gs.Sweep(z=Z, a=2.0), framework=framework)
    assert found.ok and "z=1+2j" in str(found)
    assert {note.name for note in found.estimates if not note.reason} >= {"mpmath", "scipy"}
    assert {row.name for row in found.rows} == {"dsize_dz[real]", "dsize_dz[imag]", "dsize_da"}
    assert found.to_dataset().z.dtype == np.complex128 and '"z_imag": 2.0' in found.to_json()


def test_check_finds_a_part_that_was_cut_off():
    torch = pytest.importorskip("torch")

    def f(z):
        return z.real**2 + torch.complex(z.real, z.imag.detach()).imag ** 2

    assert not gs.check(f, gs.Sweep(z=Z)).ok


def test_compare_races_complex_arguments():
    pytest.importorskip("torch")
    ways = ["fused", "loop", "vmap(grad)", "loop of autograd.grad"]
    found = gs.compare(size, gs.Sweep(z=Z, a=2.0), rivals=ways, framework="torch", budget_seconds=1)
    assert all(not row.reason for row in found.rows) and len(found.rows) == 4


def test_a_figure_names_the_parts():
    pytest.importorskip("matplotlib")
    figure = gs.plot(gs.gradient(size, gs.Sweep(z=2 + 1j, a=np.linspace(0, 1, 5))))
    texts = " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))
    assert "real" in texts and "imag" in texts and "2+1j" in texts
