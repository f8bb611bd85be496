"""The command line: what it accepts, prints, saves and refuses, and its exit codes."""

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray
from scipy.stats import norm

from gradsweep.cli import main
from gradsweep.cli.epilog import epilog
from gradsweep.cli.options import make_parser

ROOT = Path(__file__).parents[2]
CALL = f"{ROOT}/examples/black_scholes.py:price"
QUESTION = f"{ROOT}/examples/question.py:f"
ONES = ["--at", "x1=1", "--at", "x2=1", "--at", "x3=1", "--at", "x4=1"]
MARKET = ["--at", "K=100", "--at", "T=1", "--at", "r=0.05"]

MODEL = '''
"""Operators alone, so that any framework can trace it."""
from dataclasses import dataclass

def area(width, height):
    return width * height

def power(x, n: int = 2, kind="plain", offset=None):
    assert isinstance(n, int), n
    assert kind in ("plain", "7"), kind
    return x**n

def anything(x, **others):
    return x * sum(others.values())

def both(x, y):
    return {"product": x * y, "ratio": x / y}

def dot(q):
    return q[0] * q[1] + q[2] ** 2

def chain(links, force):
    return sum(force / link["k"] for link in links)

def root(x):
    return x**0.5

def seventh(x):
    return x / 7

def broken(x):
    return 1 / 0 * x

constant = 3

@dataclass
class Model:
    rate: float

    def value(self, x):
        return self.rate * x

model = Model(2.0)
'''


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A folder with model.py, which the commands run in."""
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [
        n for n, m in sys.modules.items() if str(tmp_path) in str(getattr(m, "__file__", ""))
    ]:
        del sys.modules[name]


@pytest.fixture
def run(capsys):
    """Run a command that succeeds and return what it prints on stdout."""

    def call(*words: str) -> str:
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    return call


@pytest.fixture
def refuse(capsys):
    """Run a command that is not understood and return what it prints on stderr."""

    def call(*words: str, code: int = 2) -> str:
        assert main([str(word) for word in words]) == code
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Traceback" not in printed.err
        return printed.err

    return call


def variables(text: str) -> dict[str, np.ndarray]:
    """Return the numbers of a --json document by variable."""
    document = json.loads(text)
    return {name: np.array(v["data"]) for name, v in document["variables"].items()}


def process(*words: str, **options) -> subprocess.CompletedProcess:
    options = {"capture_output": True, "text": True, "timeout": 120, "cwd": ROOT, **options}
    return subprocess.run([sys.executable, "-m", "gradsweep", *words], **options)


# -- without loading a framework


def test_help_loads_no_framework_and_no_xarray():
    code = (
        "import sys, gradsweep.cli as c; c.main(['gradient', '--help']);"
        "print([m for m in ('torch', 'jax', 'xarray', 'scipy', 'pandas', 'rich') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.rstrip().endswith("[]")
    assert "--over S=50:150:101" in done.stdout


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], *([c, "--help"] for c in ("gradient", "vjp", "plan", "check"))],
)
def test_help_and_version_exit_with_0(words, capsys):
    assert main(words) == 0
    assert "gradsweep" in capsys.readouterr().out


def test_every_example_of_the_help_is_understood():
    text = make_parser().format_help() + "".join(epilog([c]) for c in ("vjp", "hvp", "unlock"))
    commands = re.findall(r"^  gradsweep (.*)", text.replace("\\\n", ""), flags=re.MULTILINE)
    assert len(commands) >= 13
    for command in commands:
        make_parser().parse_args(shlex.split(command))


@pytest.mark.parametrize("words", [[], ["gradient"], ["vjp"], ["check"], ["compare"], ["verify"]])
def test_no_line_of_the_help_is_longer_than_a_terminal(words, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, "--help"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    "words", [[], ["gradiant"], ["gradient"], ["gradient", "f.py:f", "--oops"]]
)
def test_words_that_argparse_rejects_exit_with_2(words, capsys):
    assert main(words) == 2
    assert "usage: gradsweep" in capsys.readouterr().err


# -- quantities


@pytest.mark.torch
def test_gradient_on_a_product_of_axes_is_black_scholes(run):
    out = run(
        "gradient", CALL, "--over", "S=50:150:5", "--over", "sigma=0.1,0.2,0.3", *MARKET, "--json"
    )
    S, sigma = np.linspace(50, 150, 5)[:, None], np.array([0.1, 0.2, 0.3])
    d1 = (np.log(S / 100) + 0.05 + sigma**2 / 2) / sigma
    found = variables(out)
    np.testing.assert_allclose(found["dprice_dS"], norm.cdf(d1), rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(found["dprice_dsigma"], S * norm.pdf(d1), rtol=1e-10)


def test_variables_have_only_the_dims_they_depend_on(run):
    document = json.loads(run("gradient", QUESTION, "--over", "x0=1:9:9", *ONES, "--json"))
    assert document["dims"] == {"x0": 9}
    assert document["coords"]["x0"]["data"] == list(range(1, 10))
    assert document["variables"]["df_dx0"]["dims"] == ["x0"]
    assert document["variables"]["df_dx0"]["data"] == list(range(2, 20, 2))
    assert document["variables"]["df_dx1"]["dims"] == []
    assert document["variables"]["df_dx1"]["data"] == 3.0
    assert document["attrs"]["quantity"] == "gradient"


# area(w, h) = w h at w = 1, 2, 3, 4 and h = 5; J = (h, w), H = ((0, 1), (1, 0)).
W = np.arange(1.0, 5.0)
QUANTITIES = {
    "value": ([], {"area": 5 * W}),
    "gradient": ([], {"darea_dwidth": 5, "darea_dheight": W}),
    "jacobian": ([], {"darea_dwidth": 5, "darea_dheight": W}),
    "jvp": (["--along", "width=2", "--along", "height=0.5"], {"jvp": 10 + 0.5 * W}),
    "contributions": (
        ["--along", "width=2", "--along", "height=0.5"],
        {"contribution_width": 10, "contribution_height": 0.5 * W},
    ),
    "vjp": (["--along", "3"], {"vjp_width": 15, "vjp_height": 3 * W}),
    "hessian": (
        [],
        {
            "d2area_dwidth_dwidth": 0,
            "d2area_dwidth_dheight": 1,
            "d2area_dheight_dwidth": 1,
            "d2area_dheight_dheight": 0,
        },
    ),
    "hvp": (["--along", "width=2", "--along", "height=7"], {"hvp_width": 7, "hvp_height": 2}),
}


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_quantity_is_its_closed_form(quantity, model, run):
    words, expected = QUANTITIES[quantity]
    out = run(
        quantity, "model.py:area", "--over", "width=1:4:4", "--at", "height=5", *words, "--json"
    )
    found = variables(out)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-14)


def test_plan_says_what_would_run(model, run):
    words = ["--over", "width=1:4:4", "--at", "height=5"]
    assert "gradient of area" in run("plan", "model.py:area", *words)
    out = run("plan", "model.py:area", "--quantity", "hvp", "--along", "width=1", *words)
    assert "hvp of area" in out
    assert "engine" in out


def test_cotangents_go_by_output(model, run):
    out = run(
        "vjp", "model.py:both", "--over", "x=1,2,3", "--at", "y=2",
        "--along", "product=1", "--along", "ratio=10", "--wrt", "x", "--json",
    )  # fmt: skip
    np.testing.assert_allclose(variables(out)["vjp_x"], 2 + 10 / 2, rtol=1e-14)


def test_tangents_may_be_swept(model, run):
    words = ["jvp", "model.py:area", "--over", "width@p=1,2,3", "--over", "height@p=4,5,6"]
    out = run(*words, "--along", "width@p=1,10,100", "--json")
    np.testing.assert_allclose(variables(out)["jvp"], [4, 50, 600], rtol=1e-14)


def test_wrt_with_value_engine_and_mode_are_passed_on(model, run):
    out = run(
        "gradient", "model.py:area", "--over", "width=1,2", "--at", "height=5", "--wrt", "height",
        "--with-value", "--engine", "reference", "--mode", "forward", "--json",
    )  # fmt: skip
    document = json.loads(out)
    assert document["variables"].keys() == {"area", "darea_dheight"}
    assert document["attrs"]["engine"] == "reference"


# -- values


def test_values_are_spaced_as_written(model, run):
    def x_of(text: str) -> list[float]:
        out = run("value", "model.py:root", "--over", f"x={text}", "--json")
        return json.loads(out)["coords"]["x"]["data"]

    assert x_of("0:1:5") == [0, 0.25, 0.5, 0.75, 1]
    assert x_of("log:1:1000:4") == pytest.approx([1, 10, 100, 1000], rel=1e-14)
    assert x_of("4, 9,16") == [4, 9, 16]
    assert x_of("2") == [2]


def test_arguments_of_one_dim_are_zipped(model, run):
    words = ["--over", "width@shape=1,2,3", "--over", "height@shape=4,5,6"]
    np.testing.assert_array_equal(
        variables(run("value", "model.py:area", *words, "--json"))["area"], [4, 10, 18]
    )


def test_words_become_what_the_parameter_takes(model, run):
    words = ["--at", "n=3", "--at", "kind='7'", "--at", "offset=none"]
    out = run("gradient", "model.py:power", "--over", "x=1,2,3", *words, "--json")
    np.testing.assert_allclose(variables(out)["dpower_dx"], [3, 12, 27], rtol=1e-14)


def test_array_and_nested_arguments_are_json(model, run):
    out = run("gradient", "model.py:dot", "--at", "q=[2, 3, 4]", "--json")
    np.testing.assert_allclose(variables(out)["ddot_dq"], [3, 2, 8], rtol=1e-14)
    links = '[{"k": 2}, {"k": 4}]'
    out = run(
        "gradient", "model.py:chain", "--at", f"links={links}", "--over", "force=1,2,3", "--json"
    )
    np.testing.assert_allclose(variables(out)["dchain_dforce"], 0.75, rtol=1e-14)
    np.testing.assert_allclose(
        variables(out)["dchain_dlinks_0_k"], -np.array([1, 2, 3]) / 4, rtol=1e-14
    )


def test_elements_of_an_array_argument_are_swept(model, run):
    words = ["--at", "q=[2,3,4]", "--over", "q[0]=1,2", "--over", "q[2]@c=5,6,7", "--json"]
    out = json.loads(run("value", "model.py:dot", *words))
    assert out["dims"] == {"q0": 2, "c": 3}
    expected = 3 * np.array([[1], [2]]) + np.array([5, 6, 7]) ** 2
    np.testing.assert_allclose(out["variables"]["dot"]["data"], expected, rtol=1e-14)


def test_a_sample_is_drawn_within_its_ranges_and_again_by_its_seed(model, run):
    words = ["value", "model.py:area", "--sample", 50, "--range", "width=2:3", "--at", "height=5"]
    first, again, other = (run(*words, "--seed", seed, "--json") for seed in (1, 1, 2))
    assert first == again != other
    width = np.array(json.loads(first)["coords"]["width"]["data"])
    assert width.shape == (50,)
    assert 2 <= width.min() < 2.1
    assert 2.9 < width.max() <= 3


def test_methods_of_objects_and_modules_are_found(model, run):
    assert "dvalue_dx" in run("gradient", "model.py:model.value", "--over", "x=1,2")
    assert "df_dx0" in run("gradient", "examples.question:f", "--over", "x0=1,2", *ONES)


def test_a_file_named_like_a_module_of_python_does_not_take_its_place(model, run):
    import queue

    (model / "queue.py").write_text("def double(x):\n    return 2 * x\n")
    assert "ddouble_dx" in run("gradient", "queue.py:double", "--over", "x=1,2")
    assert sys.modules["queue"] is queue


def test_a_file_imports_its_neighbours_and_leaves_the_path_as_it_was(model, run):
    (model / "neighbour_of_model.py").write_text("SCALE = 3.0\n")
    (model / "scaled.py").write_text(
        "from neighbour_of_model import SCALE\n\ndef f(x):\n    return SCALE * x\n"
    )
    before = list(sys.path)
    assert variables(run("gradient", "scaled.py:f", "--over", "x=1,2", "--json"))["df_dx"] == 3
    assert sys.path == before


# -- columns

QUOTES = "width,height,note,dw\n1,4,a,0.1\n2,5,b,0.2\n3,6,c,0.3\n"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_are_zipped_arguments(suffix, model, capsys):
    frame = pandas.read_csv(io.StringIO(QUOTES))
    if suffix == ".csv":
        frame.to_csv("quotes.csv", index=False)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet("quotes.parquet")
    words = ["gradient", "model.py:area", "--from", f"quotes{suffix}:quote", "--json"]
    assert main(words) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["dims"] == {"quote": 3}
    assert document["variables"]["darea_dwidth"]["data"] == [4, 5, 6]
    assert printed.err == "gradsweep: columns not used: note, dw\n"


def test_a_direction_may_be_a_column(model, capsys):
    Path("quotes.csv").write_text(QUOTES)
    words = ["jvp", "model.py:area", "--from", "quotes.csv", "--along", "width=dw", "--json"]
    assert main(words) == 0
    printed = capsys.readouterr()
    np.testing.assert_allclose(variables(printed.out)["jvp"], [0.4, 1.0, 1.8], rtol=1e-14)
    assert "not used: note\n" in printed.err


def test_a_value_on_the_command_line_comes_before_its_column(model, capsys):
    Path("quotes.csv").write_text(QUOTES)
    words = ["value", "model.py:area", "--from", "quotes.csv", "--at", "height=10", "--json"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert variables(printed.out)["area"].tolist() == [10, 20, 30]
    assert "not used: height, note, dw" in printed.err


def test_a_function_of_any_arguments_takes_every_column(model, run):
    Path("quotes.csv").write_text("x,a,b\n1,4,0.5\n2,5,0.25\n")
    out = run("value", "model.py:anything", "--from", "quotes.csv", "--json")
    assert variables(out)["anything"].tolist() == [4.5, 10.5]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("quotes.csv", "width,height\n1,4\n2,tall\n", "column 'height' is an argument"),
        ("absent.csv", None, "there is no file 'absent.csv'"),
        ("quotes.xls", "", "is neither .csv nor .parquet"),
        ("quotes.csv", "", "No columns"),
    ],
)
def test_columns_that_cannot_be_read_are_refused(file, content, message, model, refuse):
    if content is not None:
        Path(file).write_text(content)
    assert message in refuse("value", "model.py:area", "--from", file)


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
    out = run("gradient", "model.py:area", "--at", "width=2", "--at", "height=3", "--csv")
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
    # Columns that do not fit stand in a table below, after the same keys.
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
    # broken() would raise, if it were called.
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


# -- what is refused


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
    error = refuse("gradient", "pair.py:pair", "--at", "q=[1,2]", code=1)
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


def test_a_warning_of_gradsweeps_is_one_line_on_stderr(capsys):
    import warnings

    from gradsweep.cli import _show_warning
    from gradsweep.errors import GradsweepWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _show_warning
        warnings.warn("a plain loop runs this", GradsweepWarning, stacklevel=1)
    assert capsys.readouterr().err == "gradsweep: warning: a plain loop runs this\n"


# -- as a process


def test_a_process_prints_exits_and_needs_no_terminal():
    done = process("gradient", "examples/question.py:f", "--over", "x0=1,2", *ONES)
    assert done.returncode == 0, done.stderr
    assert "df_dx4  " in done.stdout
    assert process("gradient", "examples/question.py:g").returncode == 2


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


@pytest.mark.parametrize("words", [["--json"], []])
def test_output_is_readable_where_the_terminal_has_few_characters(words):
    command = ["gradient", "examples/question.py:f", "--over", "x0=1:9:30"]
    fixed = [word for i in range(1, 5) for word in ("--at", f"x{i}=1")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    done = process(*command, *fixed, *words, env=environment, capture_output=True)
    assert done.returncode == 0 and not done.stderr
    if words:
        found = json.loads(done.stdout)["variables"]["df_dx0"]
        assert found["attrs"]["long_name"] == "∂f/∂x0" and found["data"][-1] == 18.0


def test_arguments_may_have_greek_names(tmp_path, run):
    (tmp_path / "model.py").write_text("def f(σ, μ):\n    return σ * μ**2\n")
    found = run("gradient", f"{tmp_path}/model.py:f", "--over", "σ=1,2", "--at", "μ=3", "--json")
    assert variables(found)["df_dμ"].tolist() == [6.0, 12.0]
