"""Complex numbers on the command line and in files, there and back."""

import json

import numpy as np
import pandas
import pytest
import xarray

from tests.support.command_line import variables

MODEL = """
def power(z, a=1.0):
    return a * abs(z) ** 2

def square(z):
    return z * z

def product(q):
    return q[0] * q[1]

def annotated(z: complex):
    return abs(z) ** 2

def word(x, kind):
    assert kind in ("j", "infj"), kind
    return x * x
"""

Z = np.array([1 + 2j, 0.5 - 1j, 3j])
SWEPT = ["--over", "z=1+2j,0.5-1j,3j"]


@pytest.fixture
def complex_model(model):
    """The folder of `model`, with functions of complex numbers in waves.py."""
    (model / "waves.py").write_text(MODEL)
    return model


def test_complex_numbers_are_swept(complex_model, run):
    out = run("gradient", "waves.py:power", *SWEPT, "--at", "a=2.0", "--json")
    expected = 4 * np.stack([Z.real, Z.imag], -1)
    np.testing.assert_allclose(variables(out)["dpower_dz"], expected, rtol=1e-13)
    coordinates = json.loads(out)["coords"]
    assert coordinates["z_part"]["data"] == ["real", "imag"]
    assert coordinates["z_imag"] == {
        "dims": ["z"],
        "attrs": {"long_name": "imaginary part of z"},
        "data": [2.0, -1.0, 3.0],
    }
    lines = run("gradient", "waves.py:power", *SWEPT, "--at", "a=2.0").splitlines()
    assert lines[0] == "gradient of power at a = 2"
    assert ["0", "imag", "1", "2", "8"] in [line.split() for line in lines]


def test_complex_numbers_are_held_fixed(complex_model, run):
    for written, z in {"1+2j": 1 + 2j, "-3j": -3j, "1e1-0.5j": 10 - 0.5j}.items():
        out = run("gradient", "waves.py:square", "--at", f"z={written}", "--json")
        found = variables(out)
        slope = found["dsquare_dz_real"] + 1j * found["dsquare_dz_imag"]
        np.testing.assert_allclose(slope, [2 * z, 2j * z], rtol=1e-13)
    out = run("gradient", "waves.py:annotated", "--at", "z=2", "--json")
    np.testing.assert_allclose(variables(out)["dannotated_dz"], [4, 0], rtol=1e-13)


def test_a_line_of_complex_numbers(complex_model, run):
    out = run("value", "waves.py:power", "--over", "z=1:1+2j:5", "--at", "a=1.0", "--json")
    expected = abs(np.linspace(1, 1 + 2j, 5)) ** 2
    np.testing.assert_allclose(variables(out)["power"], expected, rtol=1e-13)


def test_arrays_of_complex_numbers(complex_model, run):
    out = run("value", "waves.py:product", "--at", "q=[1+2j, 3]", "--json")
    assert variables(out)["product_real"] == 3 and variables(out)["product_imag"] == 6
    swept = ["--at", "q=[1+2j, 3]", "--over", "q[1]=1j,2"]
    out = run("value", "waves.py:product", *swept, "--json")
    np.testing.assert_allclose(variables(out)["product_imag"], [1, 4], rtol=1e-13)


def test_directions_are_complex(complex_model, run):
    out = run("jvp", "waves.py:square", *SWEPT, "--along", "z=1-1j", "--json")
    np.testing.assert_allclose(variables(out)["jvp_real"], (2 * Z * (1 - 1j)).real, atol=1e-13)
    out = run("vjp", "waves.py:square", *SWEPT, "--along", "1-1j", "--json")
    slope = np.conj(1 - 1j) * 2 * Z
    expected = np.stack([slope.real, (1j * slope).real], -1)
    np.testing.assert_allclose(variables(out)["vjp_z"], expected, rtol=1e-13)


def test_a_column_of_complex_numbers(complex_model, run):
    (complex_model / "loads.csv").write_text("name,z,dz\na,1+2j,1j\nb,0.5-1j,2\nc,3j,1+1j\n")
    out = run("jvp", "waves.py:square", "--from", "loads.csv:name", "--along", "z=dz", "--json")
    expected = 2 * Z * np.array([1j, 2, 1 + 1j])
    np.testing.assert_allclose(variables(out)["jvp_real"], expected.real, rtol=1e-13)
    np.testing.assert_allclose(variables(out)["jvp_imag"], expected.imag, rtol=1e-13)
    assert json.loads(out)["coords"]["name"]["data"] == ["a", "b", "c"]


def test_a_missing_complex_number_is_not_a_number(complex_model, run):
    (complex_model / "loads.csv").write_text("row,z\n0,1+2j\n1,\n2,(0.5 - 1j)\n")
    out = run("value", "waves.py:power", "--from", "loads.csv", "--json")
    first, missing, last = json.loads(out)["variables"]["power"]["data"]
    assert missing == "NaN"
    np.testing.assert_allclose([first, last], [5, 1.25], rtol=1e-13)
    table = run("value", "waves.py:power", "--from", "loads.csv", "--csv").splitlines()
    at = [table[0].split(",").index(name) for name in ("z_real", "z_imag")]
    assert [table[2].split(",")[i] for i in at] == ["", ""]


@pytest.mark.parametrize(
    ("column", "row", "wrong", "meant"),
    [
        (["(1+2j)", "2+3i"], 2, "2+3i", "2+3j"),
        (["1 + 2i", "2+3i"], 1, "1 + 2i", "1+2j"),
        (["1", "1-2*I"], 2, "1-2*I", "1-2j"),
    ],
)
def test_a_misspelt_complex_number_is_shown(column, row, wrong, meant, complex_model, refuse):
    (complex_model / "loads.csv").write_text("\n".join(["z", *column]) + "\n")
    message = refuse("value", "waves.py:power", "--from", "loads.csv")
    assert "loads.csv: column 'z' is an argument, and does not hold numbers" in message
    assert f"it has {wrong!r} in row {row}. Write {meant}." in message


@pytest.mark.parametrize("suffix", ["nc", "csv", "parquet", "zarr"])
def test_files_keep_complex_coordinates(suffix, complex_model, run):
    needed = {"nc": "netCDF4", "parquet": "pyarrow", "zarr": "zarr"}
    pytest.importorskip(needed.get(suffix, "numpy"))
    run("gradient", "waves.py:square", *SWEPT, "--output", f"found.{suffix}")
    path = complex_model / f"found.{suffix}"
    match suffix:
        case "zarr":
            found = xarray.open_zarr(path)
            np.testing.assert_array_equal(found.z, Z)
            np.testing.assert_allclose(found.dsquare_dz.sel(z_part="imag"), 2j * Z, rtol=1e-13)
            return
        case "nc":
            with xarray.open_dataset(path) as dataset:
                frame = dataset.to_dataframe().reset_index()
        case _:
            frame = pandas.read_csv(path) if suffix == "csv" else pandas.read_parquet(path)
    frame = frame[frame.z_part == "imag"]
    np.testing.assert_array_equal(frame.z_real + 1j * frame.z_imag, Z)
    slope = frame.dsquare_dz_real + 1j * frame.dsquare_dz_imag
    np.testing.assert_allclose(slope, 2j * Z, rtol=1e-13)


def test_check_and_plan_take_complex_numbers(complex_model, run):
    assert "agrees" in run("check", "waves.py:square", *SWEPT)
    assert '"z_real": 1.0' in run("check", "waves.py:square", *SWEPT, "--json")
    assert "dsquare_dz  z, shape (2,), complex" in run("plan", "waves.py:square", *SWEPT)


@pytest.mark.parametrize("kind", ["j", "infj"])
def test_words_without_a_digit_stay_words(kind, complex_model, run):
    out = run("gradient", "waves.py:word", "--at", "x=2.0", "--at", f"kind={kind}", "--json")
    assert variables(out)["dword_dx"] == 4


def test_an_annotation_is_named_where_a_word_does_not_fit(complex_model, refuse):
    message = refuse("value", "waves.py:annotated", "--at", "z=two")
    assert "the parameter is complex, and 'two' is no such number" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--over", "z=log:1j:2:5"], "'1j' is complex; give a real number"),
        (["--sample", "4", "--range", "z=0:1j"], "'1j' is complex; give a real number"),
        (["--over", "z=1+2j,x"], "'x' is not a number"),
        (["--at", "z=[1+2k]"], "no JSON"),
    ],
)
def test_what_is_no_complex_number_is_refused(words, message, complex_model, refuse):
    assert message in refuse("value", "waves.py:square", *words)
