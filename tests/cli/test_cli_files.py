"""Tables, files, refusals, and the command as a process."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray

from gradsweep.cli import main
from tests.support.command_line import ONES, QUESTION, ROOT, variables


def process(*words: str, **options) -> subprocess.CompletedProcess:
    options = {"capture_output": True, "text": True, "timeout": 120, "cwd": ROOT, **options}
    return subprocess.run([sys.executable, "-m", "gradsweep", *words], **options)


# -- tables


def test_results_of_the_same_dims_share_a_table(run):
    out = run("gradient", QUESTION, "--over", "x0=1:9:9", *ONES)
    heading, scalars, ladder = out.split("\n\n")
    assert heading == "gradient of f at x1 = 1, x2 = 1, x3 = 1, x4 = 1"
    assert [line.split() for line in scalars.splitlines()] == [
        ["value"], ["df_dx1", "3"], ["df_dx2", "4"], ["df_dx3", "5"], ["df_dx4", "6"],
    ]  # fmt: skip
    rows = [line.split() for line in ladder.splitlines()]
    assert rows[:3] == [["x0:", "9"], ["x0", "df_dx0"], ["1", "2"]]
    assert rows[-1] == ["9", "18"]


def test_a_long_table_is_cut_in_its_middle(model, run):
    words = ["value", "model.py:root", "--over", "x=1:101:101"]
    lines = run(*words).splitlines()
    assert lines[-1] == "… 81 more rows"
    assert [line.split()[0] for line in lines[4:-1]] == [
        *map(str, range(1, 11)), "…", *map(str, range(92, 102)),
    ]  # fmt: skip
    assert run(*words, "--rows", 3).splitlines()[-1] == "… 98 more rows"
    assert "more row" not in run(*words, "--rows", 0)
    assert len(run(*words, "--rows", 0).splitlines()) == 4 + 101


def test_a_grid_is_rows_of_every_pair(model, run):
    lines = run(
        "value", "model.py:area", "--over", "width=1,2", "--over", "height=3,4,5"
    ).splitlines()
    assert lines[2] == "width: 2 x height: 3"
    assert [line.split() for line in lines[4:]] == [
        [f"{w}", f"{h}", f"{w * h}"] for w in (1, 2) for h in (3, 4, 5)
    ]


def test_tables_show_six_digits_and_json_and_csv_all(model, run):
    words = ["value", "model.py:seventh", "--over", "x=2,3"]
    assert "0.285714\n" in run(*words)
    assert json.loads(run(*words, "--json"))["variables"]["seventh"]["data"] == [2 / 7, 3 / 7]
    assert run(*words, "--csv") == f"x,seventh\n2.0,{2 / 7!r}\n3.0,{3 / 7!r}\n"


def test_csv_is_one_tidy_table_with_every_result_repeated(run):
    rows = list(
        csv.DictReader(io.StringIO(run("gradient", QUESTION, "--over", "x0=1,2", *ONES, "--csv")))
    )
    assert [float(row["df_dx0"]) for row in rows] == [2, 4]
    assert [float(row["df_dx4"]) for row in rows] == [6, 6]
    assert next(iter(rows[0])) == "x0"


def test_csv_of_a_single_point_is_one_row(model, run):
    out = run("gradient", "model.py:area", "--at", "width=2.0", "--at", "height=3.0", "--csv")
    assert out.splitlines() == ["width,height,darea_dwidth,darea_dheight", "2.0,3.0,3.0,2.0"]


def test_json_writes_nan_and_infinity_as_words(model, run):
    out = run("gradient", "model.py:root", "--over", "x=0,4,nan,-1", "--json")
    data = json.loads(out)["variables"]["droot_dx"]["data"]
    assert data == ["Infinity", 0.25, "NaN", "NaN"]
    assert float(data[0]) == np.inf


def test_a_terminal_gets_rich_tables_that_fit(model, monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "45")
    swept = [word for i in range(5) for word in ("--over", f"x{i}@p=1,2,3")]
    assert main(["gradient", QUESTION, *swept]) == 0
    lines = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    # Columns that do not fit go into a table below, after the same keys.
    headers = [line.split() for line in lines if "df_dx" in line]
    assert len(headers) > 1
    assert all(header[:6] == ["p", "x0", "x1", "x2", "x3", "x4"] for header in headers)
    assert [name for header in headers for name in header[6:]] == [f"df_dx{i}" for i in range(5)]
    assert max(map(len, lines)) <= 45


# -- files


@pytest.mark.parametrize("suffix", [".nc", ".zarr", ".csv", ".parquet", ".json"])
def test_output_is_saved_with_every_digit(suffix, model, run):
    needs = {".nc": "netCDF4", ".zarr": "zarr", ".parquet": "pyarrow"}
    if suffix in needs:
        pytest.importorskip(needs[suffix])
    run("value", "model.py:seventh", "--over", "x=2,3", "--output", f"result{suffix}")
    read = {
        ".nc": lambda p: xarray.load_dataset(p).seventh,
        ".zarr": lambda p: xarray.load_dataset(p, engine="zarr").seventh,
        ".csv": lambda p: pandas.read_csv(p).seventh,
        ".parquet": lambda p: pandas.read_parquet(p).seventh,
        ".json": lambda p: json.loads(p.read_text())["variables"]["seventh"]["data"],
    }
    np.testing.assert_array_equal(read[suffix](model / f"result{suffix}"), [2 / 7, 3 / 7])
    assert not list(model.glob(".*.partial"))


def test_a_file_is_replaced_and_a_zarr_folder_only_if_told(model, run, refuse):
    pytest.importorskip("zarr")
    for n_values in (2, 3):
        words = ["value", "model.py:root", "--over", f"x=1:2:{n_values}"]
        run(*words, "--output", "result.csv")
        assert len(pandas.read_csv("result.csv")) == n_values
    run(*words, "--output", "result.zarr")
    assert "Add --overwrite" in refuse(*words, "--output", "result.zarr")
    run("value", "model.py:root", "--over", "x=1,2", "--output", "result.zarr", "--overwrite")
    assert xarray.load_dataset("result.zarr", engine="zarr").sizes == {"x": 2}
    Path("thesis.zarr").mkdir()
    Path("thesis.zarr/chapter1").write_text("years of work")
    assert "left alone" in refuse(*words, "--output", "thesis.zarr", "--overwrite")
    assert Path("thesis.zarr/chapter1").exists()


@pytest.mark.parametrize("output", ["result.xlsx", "result", "absent/result.nc"])
def test_an_output_that_cannot_be_written_is_refused_before_computing(output, model, refuse):
    # broken() would raise if it were called.
    assert output in refuse("value", "model.py:broken", "--over", "x=1,2", "--output", output)


def test_a_save_that_fails_leaves_the_old_file_and_exits_with_1(model, refuse, monkeypatch):
    Path("result.csv").write_text("old")

    def write_text(path, text, *_, **__):
        with path.open("w") as file:
            file.write(text[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_text)
    words = ["value", "model.py:root", "--over", "x=1,2", "--output", "result.csv"]
    assert "No space left on device" in refuse(*words, code=1)
    assert Path("result.csv").read_text() == "old"
    assert not list(model.glob(".*.partial"))


# -- refusals


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.py"], "names no function"),
        (["modle.py:area"], "Did you mean 'model.py'?"),
        (["model.py:aera"], "Did you mean 'area'?"),
        (["model:area.b"], "has no function"),
        (["no_such_module:f"], "there is no module 'no_such_module'"),
        (["model.py:constant"], "not a function"),
        (["model.py:area", "--over", "widht=1,2", "--at", "height=1"], "Did you mean 'width'?"),
        (["model.py:area", "--over", "width=1,2"], "'height'"),
        (["model.py:area", "--over", "width"], "--over S=50:150:101"),
        (["model.py:area", "--over", "width=1:2"], "start:stop:count"),
        (["model.py:area", "--over", "width=1:2:three"], "start:stop:count"),
        (["model.py:area", "--over", "width=1,two"], "'two' is not a number"),
        (["model.py:area", "--over", "width=log:0:1:5"], "of one sign"),
        (["model.py:area", "--over", "a b=1,2"], "NAME@DIM"),
        (["model.py:area", "--over", "width=1", "--over", "width=2"], "twice"),
        (["model.py:area", "--over", "width=1", "--at", "width=2"], "give it once"),
        (["model.py:area", "--over", "width@p=1,2", "--over", "height@p=1"], "'p'"),
        (["model.py:area", "--at", "=1"], "--at K=100"),
        (["model.py:dot", "--at", "q=[1,2"], "no JSON"),
        (["model.py:dot", "--over", "q[0]=1,2"], "--at q=[...]"),
        (["model.py:dot", "--over", "q[3]=1,2", "--at", "q=[1,2,3]"], "has 3 elements"),
        (["model.py:power", "--over", "x=1,2", "--at", "n=2.5"], "the parameter is an int"),
        (["model.py:area", "--sample", "5"], "go together"),
        (
            ["model.py:root", "--sample", "5", "--range", "x=1:2", "--at", "x=1"],
            "drawn with --range",
        ),
        (["model.py:area", "--range", "width=1:2"], "go together"),
        (["model.py:area", "--sample", "5", "--range", "width=1"], "two bounds"),
        (["model.py:area", "--sample", "0", "--range", "width=1:2"], "at least one"),
        (["model.py:root", "--over", "x=1,2", "--wrt", "y"], "'y'"),
        (["model.py:root", "--over", "x=1,2", "--engine", "warp"], "'warp'"),
    ],
)
def test_a_command_that_does_not_fit_exits_with_2_and_says_why(words, message, model, refuse):
    error = refuse("gradient", *words)
    assert error.startswith("gradsweep: ")
    assert message in error


def test_a_quantity_that_is_not_defined_exits_with_1(model, refuse):
    (model / "pair.py").write_text("def pair(q):\n    return q * 2\n")
    error = refuse("gradient", "pair.py:pair", "--at", "q=[1.0,2.0]", code=1)
    assert "jacobian" in error


def test_an_exception_of_the_users_shows_their_lines_alone(model, capsys):
    assert main(["gradient", "model.py:broken", "--over", "x=1,2"]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "return 1 / 0 * x" in error
    assert "gradsweep/" not in error


def test_a_file_that_fails_to_import_shows_its_own_lines(model, capsys):
    (model / "bad.py").write_text("import no_such_package\n")
    assert main(["gradient", "bad.py:f", "--over", "x=1,2"]) == 1
    error = capsys.readouterr().err
    assert "ModuleNotFoundError: No module named 'no_such_package'" in error
    assert "gradsweep/" not in error


def test_a_warning_of_gradsweeps_is_one_line_on_stderr(model, capsys):
    (model / "warns.py").write_text(
        "import warnings\nfrom gradsweep.errors import GradsweepWarning\n"
        "def f(x):\n"
        "    warnings.warn('a plain loop runs this', GradsweepWarning)\n"
        "    return x**2\n"
    )
    assert main(["value", "warns.py:f", "--over", "x=1,2"]) == 0
    lines = set(capsys.readouterr().err.splitlines())
    assert lines == {"gradsweep: warning: a plain loop runs this"}


# -- as a process


@pytest.mark.slow
def test_a_process_prints_exits_and_needs_no_terminal():
    done = process("gradient", "examples/question.py:f", "--over", "x0=1,2", *ONES)
    assert done.returncode == 0, done.stderr
    assert "df_dx4  " in done.stdout
    assert process("gradient", "examples/question.py:g").returncode == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes of a POSIX shell")
def test_a_reader_that_stops_early_is_not_an_error():
    words = "value examples/chain.py:length --over force=1:9:20000 --csv"
    links = """--at links='[{"rest": 1, "stiffness": 2}]'"""
    command = f"set -o pipefail; {sys.executable} -m gradsweep {words} {links} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_exits_with_130(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\n\ndef f(x):\n"
        "    print('started', flush=True)\n    time.sleep(60)\n    return x\n"
    )
    # A job that a shell starts in the background ignores SIGINT, and so would its children.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from gradsweep.cli import main; sys.exit(main())"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code, "value", "slow.py:f", "--over", "x=1,2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout.readline() == "started\n"
        time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, error = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130
    assert error == "gradsweep: interrupted\n"


def test_a_file_with_a_header_alone_is_an_empty_sweep(model, run):
    Path("quotes.csv").write_text("width,height\n")
    assert (
        variables(run("value", "model.py:area", "--from", "quotes.csv", "--json"))["area"].size == 0
    )


def test_the_value_that_is_no_number_is_shown(model, refuse):
    Path("quotes.csv").write_text("width,height\n1,4\n2,tall\n")
    assert "it has 'tall'" in refuse("value", "model.py:area", "--from", "quotes.csv")


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--json"], []])
def test_output_is_readable_where_the_terminal_has_few_characters(words):
    command = ["gradient", "examples/question.py:f", "--over", "x0=1:9:30"]
    fixed = [word for i in range(1, 5) for word in ("--at", f"x{i}=1.0")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    done = process(*command, *fixed, *words, env=environment, capture_output=True)
    assert done.returncode == 0 and not done.stderr
    if words:
        found = json.loads(done.stdout)["variables"]["df_dx0"]
        assert found["attrs"]["long_name"] == "∂f/∂x0" and found["data"][-1] == 18.0


def test_arguments_may_have_greek_names(tmp_path, run):
    (tmp_path / "model.py").write_text("def f(σ, μ):\n    return σ * μ**2\n")
    found = run("gradient", f"{tmp_path}/model.py:f", "--over", "σ=1,2", "--at", "μ=3.0", "--json")
    assert variables(found)["df_dμ"].tolist() == [6.0, 12.0]


# -- what the function itself prints

TALKING = """
print("on import")

def area(width, height):
    print("in the function")
    return width * height
"""


@pytest.mark.parametrize(
    "words",
    [
        ["gradient", "--json"],
        ["gradient", "--csv"],
        ["value", "--output", "out.csv", "--json"],
        ["check", "--json", "--estimates", "scipy"],
        ["compare", "--json", "--rivals", "reference,fused", "--budget", "0.1"],
    ],
)
def test_what_the_function_prints_does_not_come_between(words, model, capsys):
    (model / "talking.py").write_text(TALKING)
    command, *more = words
    area = ["talking.py:area", "--over", "width=1,2", "--at", "height=3.0"]
    assert main([command, *area, *more]) == 0
    printed = capsys.readouterr()
    assert {"on import", "in the function"} <= {*printed.err.splitlines()}
    if "--csv" in words:
        assert [*csv.DictReader(io.StringIO(printed.out))][1]["darea_dwidth"] == "3.0"
    else:
        json.loads(printed.out)
    assert "function\n" not in printed.out


def test_beside_a_table_the_function_prints_where_it_always_does(model, capsys):
    (model / "talking.py").write_text(TALKING)
    area = ["talking.py:area", "--over", "width=1,2", "--at", "height=3.0"]
    assert main(["value", *area]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("on import\nin the function\n") and not printed.err
