"""Functions that return complex numbers: closed forms, from every engine and in every file."""

import json

import numpy as np
import pandas
import pytest
import xarray

import gradsweep as gs
from gradsweep.errors import OutputError, SweepError
from gradsweep.testing import array_namespace

W, ZETA = np.array([0.1, 0.7, 2.0]), np.array([0.2, 0.5])


def response(w, zeta):
    """A transfer function, of operators alone."""
    return 1 / (1 - w**2 + 2j * zeta * w)


def sweep():
    return gs.Sweep(w=W, zeta=ZETA)


def exact():
    """Return the value, its first and its second derivatives."""
    w, zeta = np.meshgrid(W, ZETA, indexing="ij")
    h = 1 / (1 - w**2 + 2j * zeta * w)
    p, q = -2 * w + 2j * zeta, 2j * w  # of the denominator
    second = {
        "d2response_dw_dw": 2 * p * p * h**3 + 2 * h**2,
        "d2response_dw_dzeta": 2 * p * q * h**3 - 2j * h**2,
        "d2response_dzeta_dw": 2 * p * q * h**3 - 2j * h**2,
        "d2response_dzeta_dzeta": 2 * q * q * h**3,
    }
    return h, {"dresponse_dw": -p * h**2, "dresponse_dzeta": -q * h**2}, second


@pytest.mark.parametrize("engine", ["auto", "fused", "reference", "loop", "own"])
def test_values_and_derivatives_are_complex(framework, engine):
    own = {"torch": "torch", "jax": "xla"}[framework]
    options = {"framework": framework, "engine": own if engine == "own" else engine}
    value, first, second = exact()
    found = gs.gradient(response, sweep(), with_value=True, **options)
    for name, expected in {"response": value, **first}.items():
        assert found[name].dims == ("w", "zeta") and found[name].dtype == np.complex128
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, err_msg=name)
    hessian = gs.hessian(response, sweep(), **options)
    assert set(hessian) == set(second)
    for name, expected in second.items():
        np.testing.assert_allclose(hessian[name], expected, rtol=1e-11, err_msg=name)


def test_along_a_direction(framework):
    _, first, second = exact()
    v = {"w": 0.3, "zeta": -2.0}
    options = {"framework": framework}
    along = 0.3 * first["dresponse_dw"] - 2 * first["dresponse_dzeta"]
    np.testing.assert_allclose(gs.jvp(response, sweep(), v, **options).jvp, along, rtol=1e-12)
    shares = gs.contributions(response, sweep(), v, **options)
    np.testing.assert_allclose(shares.contribution_w, 0.3 * first["dresponse_dw"], rtol=1e-12)
    hvp = gs.hvp(response, sweep(), v, **options)
    expected = 0.3 * second["d2response_dw_dw"] - 2 * second["d2response_dw_dzeta"]
    np.testing.assert_allclose(hvp.hvp_w, expected, rtol=1e-11)


def test_arrays_of_complex_numbers_have_dims_of_their_own(framework):
    xp = array_namespace(framework)

    def f(q, s):
        first, second = q[0], q[1]
        row = xp.stack([xp.exp(1j * first), second * (1 + 0j), first * second * 1j])
        return {"row": s * row, "size": first * s}

    q = np.array([[0.3, 1.2], [0.9, -0.4], [2.0, 0.1], [1.1, 0.8]])
    swept = gs.Sweep(q=("pose", q), s=[1.0, 3.0])
    found = gs.jacobian(f, swept, framework=framework, with_value=True)
    assert found.row.dims == ("pose", "s", "row_0") and found.row.shape == (4, 2, 3)
    assert found.drow_dq.dims == ("pose", "s", "row_0", "q_0")
    assert found["size"].dtype == np.float64 and found.drow_ds.dtype == np.complex128
    a, b = q.T
    row = np.stack([np.exp(1j * a), b + 0j, 1j * a * b], -1)
    s = np.array([1.0, 3.0])[:, None]
    np.testing.assert_allclose(found.row, s * row[:, None], rtol=1e-13)
    np.testing.assert_allclose(found.drow_ds.transpose("pose", "row_0"), row, rtol=1e-13)
    zero, one = np.zeros(4), np.ones(4)
    by_a = np.stack([1j * np.exp(1j * a), zero, 1j * b], -1)
    by_b = np.stack([zero, one, 1j * a], -1)
    expected = s[..., None] * np.stack([by_a, by_b], -1)[:, None]
    np.testing.assert_allclose(found.drow_dq, expected, rtol=1e-13)


def test_single_precision_gives_single_complex_numbers(framework):
    xp = array_namespace(framework)
    x = np.array([0.3, 0.7], dtype=np.float32)
    found = gs.gradient(lambda x: xp.exp(1j * x), gs.Sweep(x=x), framework=framework)
    (slope,) = found.values()
    assert slope.dtype == np.complex64
    np.testing.assert_allclose(slope, 1j * np.exp(1j * x), rtol=1e-6)


@pytest.mark.torch
def test_a_conjugate_that_torch_has_not_computed_yet():
    pytest.importorskip("torch")

    def f(x):
        return ((1 + 2j) * x).conj()

    found = gs.gradient(f, gs.Sweep(x=[1.0, 2.0]), framework="torch", with_value=True)
    np.testing.assert_allclose(found.f, (1 - 2j) * np.array([1.0, 2.0]))
    assert found.df_dx == 1 - 2j


def test_a_result_has_the_dims_that_either_part_depends_on(framework):
    found = gs.gradient(lambda x, y: x + 1j * y**2, gs.Sweep(x=W, y=ZETA), framework=framework)
    by_x, by_y = found.values()
    assert by_x.dims == () and by_x == 1.0
    assert by_y.dims == ("y",)
    np.testing.assert_allclose(by_y, 2j * ZETA)


@pytest.mark.torch
def test_one_kind_of_number_must_come_back_from_every_branch():
    torch = pytest.importorskip("torch")

    def f(x):
        return x * 1j if x > 1 else torch.stack([x, x])

    with pytest.raises(OutputError, match=r"\(\) of complex numbers"):
        gs.value(f, gs.Sweep(x=[0.5, 2.0]), framework="torch")


def test_a_figure_has_a_panel_for_each_part():
    pytest.importorskip("matplotlib")
    found = gs.value(response, sweep())
    panels = gs.plot(found.isel(zeta=0)).axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        r"$\mathrm{response}_{\mathrm{real}}$",
        r"$\mathrm{response}_{\mathrm{imag}}$",
    ]
    value, _, _ = exact()
    for axes, part in zip(panels, (value.real, value.imag)):
        drawn = max(axes.lines, key=lambda line: len(line.get_ydata()))
        np.testing.assert_allclose(drawn.get_ydata(), part[:, 0])


# -- compile, check, compare


def test_a_compiled_kernel_returns_complex_numbers(framework):
    kernel = gs.compile(gs.gradient, response, sweep(), framework=framework, with_value=True)
    value, first, _ = exact()
    assert kernel.dims["response"] == ("w", "zeta")
    found = kernel()
    for name, expected in {"response": value, **first}.items():
        assert found[name].dtype == np.complex128
        np.testing.assert_allclose(found[name], expected, rtol=1e-12)
    w = np.array([0.3, 4.0, 1.0, 0.1])
    found = kernel(w=w, zeta=ZETA)
    again = kernel(w=w + 1, out=found)
    assert all(again[name] is found[name] for name in found)
    np.testing.assert_allclose(found["response"], response(w[:, None] + 1, ZETA), rtol=1e-12)


def test_a_compiled_hessian_of_many_points_writes_into_what_it_is_given(framework):
    def f(w, zeta):
        return {"h": response(w, zeta), "size": w * zeta}

    kernel = gs.compile(gs.hessian, f, sweep(), framework=framework)
    w = np.linspace(0.2, 2.0, 3000)
    found = kernel(w=w)
    names = ["d2h_dw_dw", "d2h_dw_dzeta", "d2h_dzeta_dw", "d2size_dw_dzeta", "d2size_dzeta_dw"]
    p, q, h = -2 * w[:, None] + 2j * ZETA, 2j * w[:, None], response(w[:, None], ZETA)
    mixed = 2 * p * q * h**3 - 2j * h**2
    for wanted in (None, {name: np.full_like(found[name], np.nan) for name in found}):
        out = kernel(w=w, out=wanted)
        assert set(names) <= set(out)
        np.testing.assert_allclose(out["d2h_dw_dzeta"], mixed, rtol=1e-11)
        np.testing.assert_allclose(out["d2h_dzeta_dw"], mixed, rtol=1e-11)
        np.testing.assert_array_equal(out["d2size_dw_dzeta"], 1.0)
        np.testing.assert_array_equal(out["d2size_dzeta_dw"], 1.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.empty(3), r"dtype float64; these values give \(3,\) and complex128"),
        (np.empty(4, complex), r"shape \(4,\) and dtype complex128"),
        ([1j, 2j, 3j], "is list, which cannot be written into"),
    ],
)
def test_arrays_that_cannot_take_complex_results_are_refused(given, words):
    kernel = gs.compile(gs.value, response, gs.Sweep(w=W, zeta=0.5))
    with pytest.raises(SweepError, match=words):
        kernel(out={"response": given})


def test_arrays_that_share_memory_are_refused():
    kernel = gs.compile(gs.gradient, response, gs.Sweep(w=W, zeta=0.5))
    same = np.empty(3, complex)
    with pytest.raises(SweepError, match="share memory"):
        kernel(out={"dresponse_dw": same, "dresponse_dzeta": same})


@pytest.mark.torch
def test_a_compiled_kernel_returns_tensors_to_tensors():
    torch = pytest.importorskip("torch")
    kernel = gs.compile(gs.value, response, gs.Sweep(w=torch.tensor(W), zeta=0.5))
    found = kernel(w=torch.tensor(2 * W))["response"]
    assert found.dtype is torch.complex128
    held = {"response": found}
    assert kernel(w=torch.tensor(W), out=held)["response"].data_ptr() == found.data_ptr()
    np.testing.assert_allclose(found.numpy(), response(W, 0.5), rtol=1e-12)


@pytest.mark.parametrize("quantity", [gs.gradient, gs.hessian])
def test_check_looks_at_both_parts(framework, quantity):
    found = gs.check(response, sweep(), quantity=quantity, framework=framework, n_points=3)
    assert found.ok
    assert {row.index for row in found.rows} == {("real",), ("imag",)}
    assert {note.name for note in found.estimates if not note.reason} >= {"mpmath", "scipy"}
    assert "d" in found.to_json() and found.to_dataset().sizes["row"] == len(found.rows)


@pytest.mark.parametrize("w", [2.0, 1 - 3j])
def test_check_takes_cotangents_of_complex_results(w):
    assert gs.check(response, sweep(), w, quantity="vjp", n_points=3).ok


@pytest.mark.torch
def test_check_finds_a_wrong_imaginary_part():
    torch = pytest.importorskip("torch")

    def f(w, zeta):
        h = response(w, zeta)
        return torch.complex(h.real, h.imag.detach() + 0 * w)

    found = gs.check(f, sweep(), n_points=3)
    assert {row.index for row in found.suspicious} == {("imag",)}


@pytest.mark.torch
@pytest.mark.parametrize(
    ("quantity", "directions", "rivals"),
    [
        ("gradient", (), ["fused", "labelled call", "vmap(jacrev)", "vmap(jacfwd)"]),
        ("vjp", (1 - 2j,), ["fused", "vmap(vjp)", "loop of autograd.functional"]),
    ],
)
def test_compare_races_complex_results(quantity, directions, rivals):
    pytest.importorskip("torch")
    options = {"quantity": quantity, "rivals": rivals, "framework": "torch", "budget_seconds": 1}
    found = gs.compare(response, sweep(), *directions, **options)
    assert [row.reason for row in found.rows] == [""] * len(rivals)


@pytest.mark.torch
def test_ways_that_need_real_results_do_not_take_part():
    pytest.importorskip("torch")
    ways = ["vmap(grad)", "grad of the sum", "loop of autograd.grad"]
    found = gs.compare(response, sweep(), rivals=ways, framework="torch", budget_seconds=1)
    no_grad = "grad is for a real number, and the function returns complex numbers"
    assert [row.reason for row in found.rows] == [
        no_grad,
        "the function returns complex numbers",
        no_grad,
    ]
    found = gs.compare(response, sweep(), 2.0, quantity="vjp", rivals="vmap(vjp)", budget_seconds=1)
    assert "the cotangent is real" in found.rows[0].reason


@pytest.mark.torch
def test_real_numbers_of_one_category_and_complex_of_another_are_an_error_that_says_so():
    def f(x, kind):
        return x if kind == "a" else np.exp(1j * x)

    with pytest.raises(OutputError, match=r"kind='a' and complex numbers at.*'b'.\nReturn complex"):
        gs.value(f, gs.Sweep(x=[1.0], kind=["a", "b"]))
    gs.value(lambda x, kind: f(x, kind) + 0j, gs.Sweep(x=[1.0], kind=["a", "b"]))


# -- stores and files


def test_a_zarr_store_keeps_complex_numbers(tmp_path):
    pytest.importorskip("zarr")
    path = tmp_path / "found.zarr"
    value, first, _ = exact()
    returned = gs.gradient(response, sweep(), with_value=True, store=path)
    for found in (returned, xarray.open_zarr(path)):
        assert found.response.dtype == np.complex128
        np.testing.assert_allclose(found.response, value, rtol=1e-12)
        np.testing.assert_allclose(found.dresponse_dw, first["dresponse_dw"], rtol=1e-12)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_a_point_that_cannot_be_computed_is_nan_in_both_parts():
    pytest.importorskip("torch")

    def f(x):
        if x > 1:
            raise ValueError("too large")
        return x * (1 + 1j)

    found = gs.value(f, gs.Sweep(x=[0.5, 2.0]), engine="loop", framework="torch", on_error="mask")
    assert found.f[0] == 0.5 + 0.5j
    assert np.isnan(found.f[1].values.real) and np.isnan(found.f[1].values.imag)


def test_a_netcdf_file_has_both_parts_by_name(tmp_path):
    pytest.importorskip("netCDF4")
    path = tmp_path / "found.nc"
    gs.hessian(response, sweep(), store=path)
    with xarray.open_dataset(path) as found:
        for name, expected in exact()[2].items():
            np.testing.assert_allclose(found[f"{name}_real"], expected.real, rtol=1e-11)
            np.testing.assert_allclose(found[f"{name}_imag"], expected.imag, rtol=1e-11)


def test_statistics_are_of_both_parts():
    value, _, _ = exact()
    found = gs.value(response, sweep(), reduce=["mean", "max"])
    np.testing.assert_allclose(found.response_real_mean, value.real.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.response_imag_mean, value.imag.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.response_imag_max, value.imag.max(), rtol=1e-12)


def test_parts_that_would_share_a_name_with_another_output_are_refused():
    def f(w):
        return {"z": w * 1j, "z_real": w}

    with pytest.raises(OutputError, match="'z_real' would be the name of two"):
        gs.value(f, gs.Sweep(w=W), reduce="mean")


MODEL = """
def response(w, zeta):
    return 1 / (1 - w**2 + 2j * zeta * w)
"""


@pytest.mark.parametrize("suffix", ["nc", "csv", "json", "parquet"])
def test_the_command_writes_both_parts(tmp_path, suffix, monkeypatch):
    from gradsweep.cli import main

    pytest.importorskip({"nc": "netCDF4", "parquet": "pyarrow"}.get(suffix, "numpy"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    path = tmp_path / f"found.{suffix}"
    words = ["--over", "w=0.1,0.7,2", "--at", "zeta=0.2", "--output", str(path)]
    assert main(["value", "model.py:response", *words]) == 0
    match suffix:
        case "nc":
            with xarray.open_dataset(path) as dataset:
                parts = [dataset[f"response_{part}"].values for part in ("real", "imag")]
        case "json":
            variables = json.loads(path.read_text())["variables"]
            parts = [variables[f"response_{part}"]["data"] for part in ("real", "imag")]
        case _:
            frame = pandas.read_csv(path) if suffix == "csv" else pandas.read_parquet(path)
            parts = [frame[f"response_{part}"] for part in ("real", "imag")]
    expected = exact()[0][:, 0]
    np.testing.assert_allclose(parts, [expected.real, expected.imag], rtol=1e-12)


def test_the_command_prints_both_parts(tmp_path, capsys, monkeypatch):
    from gradsweep.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    assert main(["value", "model.py:response", "--over", "w=0.1,2", "--at", "zeta=0.5"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["w", "response_real", "response_imag"] in lines


def test_parts_of_a_sweep_are_joined_in_a_store(tmp_path, monkeypatch):
    from gradsweep.running import destination

    pytest.importorskip("zarr")
    monkeypatch.setattr(destination, "STORED_PART_BYTES", 20_000)
    swept = gs.Sweep(w=gs.linspace(0.1, 2.0, 3001), zeta=ZETA)
    plan = gs.plan(gs.gradient, response, swept, store=tmp_path / "found.zarr")
    assert plan.partition.n_parts > 1
    found = plan.run()
    grid = np.linspace(0.1, 2.0, 3001)[:, None]
    h = 1 / (1 - grid**2 + 2j * ZETA * grid)
    np.testing.assert_allclose(found.dresponse_dw, -(2j * ZETA - 2 * grid) * h**2, rtol=1e-10)


def test_a_constant_may_be_complex(framework):
    found = gs.gradient(lambda x, y=1j: y, gs.Sweep(x=W), framework=framework, with_value=True)
    value, slope = found.values()
    assert value.dims == () and value == 1j and slope == 0
