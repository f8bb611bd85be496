"""Words, truth values and integers on the command line and in files, there and back."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray

from gradsweep.cli import main
from tests.support.command_line import variables

MODEL = """
def profit(S, K, kind):
    return S**2 - K if kind == "call" else K - S**2

def power(x, n):
    y = 1.0
    for _ in range(n):
        y = y * x
    return y

def signed(x, negative):
    assert negative is True or negative is False
    return -(x**2) if negative else x**2
"""

SPOTS = np.array([90.0, 100.0, 110.0])
SLOPES = np.stack([2 * SPOTS, -2 * SPOTS], axis=1)  # of a call, of a put
GRID = ["--over", "S=90:110:3", "--over", "kind=call,put", "--at", "K=100"]
BOOK = "S,K,kind\n90,100,put\n100,95,call\n110,105,put\n"
BOOK_SLOPES = np.array([-180.0, 200.0, -220.0])


@pytest.fixture
def options(model):
    """The folder of `model`, with functions of words and integers in options.py."""
    (model / "options.py").write_text(MODEL)
    return model


def test_words_are_swept(options, run):
    out = run("gradient", "options.py:profit", *GRID, "--json")
    np.testing.assert_array_equal(variables(out)["dprofit_dS"], SLOPES)
    assert json.loads(out)["coords"]["kind"] == {
        "dims": ["kind"],
        "attrs": {},
        "data": ["call", "put"],
    }
    table = run("gradient", "options.py:profit", *GRID)
    assert [line.split() for line in table.splitlines()][-1] == ["110", "put", "-220"]


def test_words_are_zipped_along_a_dim(options, run):
    words = ["--over", "S@t=90,100,110", "--over", "kind@t=put, call, put", "--at", "K=100"]
    out = run("gradient", "options.py:profit", *words, "--json")
    np.testing.assert_array_equal(variables(out)["dprofit_dS"], BOOK_SLOPES)


def test_integers_and_truth_values_are_swept(options, run):
    words = ["gradient", "options.py:power", "--over", "x=0.5,1.5", "--over", "n=each:1,2,4"]
    x, n = np.array([[0.5], [1.5]]), np.array([1, 2, 4])
    found = variables(run(*words, "--json"))["dpower_dx"]
    np.testing.assert_allclose(found, n * x ** (n - 1), rtol=1e-15)
    words = ["value", "options.py:signed", "--over", "x=1,2", "--over", "negative=true,false"]
    np.testing.assert_array_equal(
        variables(run(*words, "--json"))["signed"], [[-1.0, 1.0], [-4.0, 4.0]]
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_of_words_are_arguments(suffix, options, run):
    frame = pandas.read_csv(io.StringIO(BOOK)).assign(negative=[True, False, True])
    if suffix == ".csv":
        frame.to_csv("book.csv", index=False)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet("book.parquet")
    out = run("gradient", "options.py:profit", "--from", f"book{suffix}:trade", "--json")
    np.testing.assert_array_equal(variables(out)["dprofit_dS"], BOOK_SLOPES)
    assert json.loads(out)["coords"]["kind"]["data"] == ["put", "call", "put"]
    out = run("gradient", "options.py:signed", "--from", f"book{suffix}", "--json", "--at", "x=3.0")
    np.testing.assert_array_equal(variables(out)["dsigned_dx"], [-6.0, 6.0, -6.0])


def test_a_column_of_truth_values_keeps_the_labels(options, run):
    Path("book.csv").write_text("trade,negative\nb,true\na,false\nc,true\n")
    words = ["--from", "book.csv:trade", "--at", "x=3.0", "--json"]
    out = run("gradient", "options.py:signed", *words)
    np.testing.assert_array_equal(variables(out)["dsigned_dx"], [-6.0, 6.0, -6.0])
    coords = json.loads(out)["coords"]
    assert coords["trade"]["data"] == ["b", "a", "c"]
    assert coords["negative"]["data"] == [True, False, True]


EMPTY = "S,K,kind\n90,100,put\n,95,call\n110,,put\n,,call\n"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_empty_numbers_are_nan_and_a_line_says_where(suffix, options, capsys):
    if suffix == ".csv":
        Path("book.csv").write_text(EMPTY)
    else:
        pytest.importorskip("pyarrow")
        pandas.read_csv(io.StringIO(EMPTY)).to_parquet("book.parquet")
    words = ["gradient", "options.py:profit", "--from", f"book{suffix}:trade", "--json"]
    assert main([*words, "--at", "K=100"]) == 0
    printed = capsys.readouterr()
    assert (
        f"gradsweep: warning: book{suffix}: column 'S' has no number in 2 of 4 rows, the "
        "first of them row 2; what depends on it is NaN there\n"
    ) in printed.err
    assert "column 'K'" not in printed.err  # which --at gives
    assert json.loads(printed.out)["variables"]["dprofit_dS"]["data"] == [-180, "NaN", -220, "NaN"]
    Path("whole.csv").write_text(BOOK)
    assert main(["gradient", "options.py:profit", "--from", "whole.csv"]) == 0
    assert "no number" not in capsys.readouterr().err


def test_empty_numbers_of_a_tangent_are_told_too(options, capsys):
    Path("moves.csv").write_text("S,K,move\n90,100,1\n95,100,\n")
    words = ["--from", "moves.csv", "--at", "kind=put", "--along", "S=move", "--json"]
    assert main(["jvp", "options.py:profit", *words]) == 0
    printed = capsys.readouterr()
    assert "moves.csv: column 'move' has no number in row 2;" in printed.err
    assert variables(printed.out)["jvp"].tolist()[0] == "-180.0"  # NaN makes them words


@pytest.mark.parametrize("suffix", [".nc", ".zarr", ".csv", ".parquet", ".json"])
def test_files_keep_the_words(suffix, options, run):
    for needed in {".nc": ["netCDF4"], ".zarr": ["zarr"], ".parquet": ["pyarrow"]}.get(suffix, []):
        pytest.importorskip(needed)
    run("gradient", "options.py:profit", *GRID, "--output", f"out{suffix}")
    read = {
        ".nc": lambda: xarray.open_dataset("out.nc").to_dataframe().reset_index(),
        ".zarr": lambda: (
            xarray.open_zarr("out.zarr", consolidated=False).to_dataframe().reset_index()
        ),
        ".csv": lambda: pandas.read_csv("out.csv"),
        ".parquet": lambda: pandas.read_parquet("out.parquet"),
    }
    if suffix == ".json":
        text = Path("out.json").read_text()
        assert json.loads(text)["coords"]["kind"]["data"] == ["call", "put"]
        np.testing.assert_array_equal(variables(text)["dprofit_dS"], SLOPES)
        return
    frame = read[suffix]()
    for column, kind in enumerate(["call", "put"]):
        rows = frame[frame["kind"] == kind].sort_values("S")
        np.testing.assert_array_equal(rows["dprofit_dS"], SLOPES[:, column])


def test_words_are_checked_and_compared(options, run):
    Path("book.csv").write_text(BOOK)
    for words in (GRID, ["--from", "book.csv:trade"]):
        said = run("check", "options.py:profit", *words, "--estimates", "scipy", "--points", "3")
        assert "points of 2 categories" in said and "kind='" in said
        rivals = ["--rivals", "fused,reference", "--budget", "0.1", "--json"]
        found = json.loads(run("compare", "options.py:profit", *words, *rivals))
        assert not any(row["reason"] for row in found["rows"])


def test_a_figure_names_the_words(options, run):
    pytest.importorskip("matplotlib")
    run("gradient", "options.py:profit", *GRID, "--plot", "out.svg")
    assert {"call", "put"} <= set(re.findall(r"\w+", Path("out.svg").read_text("utf-8")))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--over", "kind=call"], "'call' is not a number. Sweep several words"),
        (["--over", "kind=call,1"], "'call' is not a number"),
        (["--over", "kind=call,,put"], "'call' is not a number"),
        (["--over", "kind=a:b:c"], "start:stop:count"),
    ],
)
def test_what_are_no_words_is_refused(words, message, options, refuse):
    assert message in refuse("value", "options.py:profit", "--at", "S=1", "--at", "K=1", *words)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "S,K,kind\n90,100,put\n100,95,\n",
            "column 'kind' is an argument, and has no word in row 2",
        ),
        ("S,K,kind\n90,100,put\n100,95,7\n", "column 'kind' is an argument, and does not hold"),
        (
            "S,K,kind\n90,100,true\n100,95,\n105,95,false\n",
            "column 'kind' is an argument, and has no truth value in row 2",
        ),
    ],
)
def test_columns_with_holes_are_refused(content, message, options, refuse):
    Path("book.csv").write_text(content)
    assert message in refuse("value", "options.py:profit", "--from", "book.csv")


def test_a_word_that_the_function_does_not_know_is_the_functions_own_error(options, capsys):
    (options / "options.py").write_text("def f(x, kind):\n    return {'a': x}[kind]\n")
    assert main(["value", "options.py:f", "--at", "x=1", "--over", "kind=a,b"]) == 1
    assert "kind='b'" in capsys.readouterr().err
