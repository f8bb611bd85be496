"""The command line: its words, values and columns, its output, and its exit codes."""

import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray
from scipy.stats import norm

from gradsweep.cli import main
from gradsweep.cli.epilog import epilog
from gradsweep.cli.options import make_parser
from tests.support.command_line import ONES, QUESTION, ROOT, variables

CALL = f"{ROOT}/examples/black_scholes.py:price"
MARKET = ["--at", "K=100.0", "--at", "T=1.0", "--at", "r=0.05"]


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
        quantity, "model.py:area", "--over", "width=1:4:4", "--at", "height=5.0", *words, "--json"
    )
    found = variables(out)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-14)


def test_plan_says_what_would_run(model, run):
    words = ["--over", "width=1:4:4", "--at", "height=5.0"]
    assert "gradient of area" in run("plan", "model.py:area", *words)
    out = run("plan", "model.py:area", "--quantity", "hvp", "--along", "width=1", *words)
    assert "hvp of area" in out
    assert "engine" in out


def test_cotangents_go_by_output(model, run):
    out = run(
        "vjp", "model.py:both", "--over", "x=1,2,3", "--at", "y=2.0",
        "--along", "product=1", "--along", "ratio=10", "--wrt", "x", "--json",
    )  # fmt: skip
    np.testing.assert_allclose(variables(out)["vjp_x"], 2 + 10 / 2, rtol=1e-14)


def test_tangents_may_be_swept(model, run):
    words = ["jvp", "model.py:area", "--over", "width@p=1,2,3", "--over", "height@p=4,5,6"]
    out = run(*words, "--along", "width@p=1,10,100", "--json")
    np.testing.assert_allclose(variables(out)["jvp"], [4, 50, 600], rtol=1e-14)


def test_wrt_with_value_engine_and_mode_are_passed_on(model, run):
    out = run(
        "gradient", "model.py:area", "--over", "width=1,2", "--at", "height=5.0", "--wrt", "height",
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
    out = run("gradient", "model.py:dot", "--at", "q=[2.0, 3.0, 4.0]", "--json")
    np.testing.assert_allclose(variables(out)["ddot_dq"], [3, 2, 8], rtol=1e-14)
    links = '[{"k": 2.0}, {"k": 4.0}]'
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
    words = ["value", "model.py:area", "--sample", 50, "--range", "width=2:3", "--at", "height=5.0"]
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
    words = ["value", "model.py:area", "--from", "quotes.csv", "--at", "height=10.0", "--json"]
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


# -- numbers, as Python reads them


def test_an_integer_is_held_fixed_and_one_line_says_so(model, capsys):
    words = ["gradient", "model.py:area", "--over", "width=1,2", "--json"]
    assert main([*words, "--at", "height=5"]) == 0
    printed = capsys.readouterr()
    assert set(variables(printed.out)) == {"darea_dwidth"}
    assert json.loads(printed.out)["coords"]["height"] == {"dims": [], "attrs": {}, "data": 5}
    assert printed.err == (
        "gradsweep: warning: area is not differentiated with respect to the integer height. "
        "To do so, write height=5.0, or name it in wrt.\n"
    )
    for more in (["--at", "height=5.0"], ["--at", "height=5e0"]):
        assert main([*words, *more]) == 0
        printed = capsys.readouterr()
        assert variables(printed.out)["darea_dheight"].tolist() == [1, 2] and not printed.err
    assert main([*words, "--at", "height=5", "--wrt", "width,height"]) == 0
    printed = capsys.readouterr()
    assert variables(printed.out)["darea_dheight"].tolist() == [1, 2] and not printed.err


def test_an_array_of_integers_is_one_in_json_too(model, capsys):
    assert main(["gradient", "model.py:dot", "--at", "q=[2, 3, 4]"]) == 2
    assert "nothing to differentiate" in capsys.readouterr().err
    assert main(["gradient", "model.py:dot", "--at", "q=[2, 3, 4]", "--wrt", "q", "--json"]) == 0
    assert variables(capsys.readouterr().out)["ddot_dq"].tolist() == [3, 2, 8]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_column_named_like_the_dim_becomes_its_labels(suffix, model, capsys):
    frame = pandas.DataFrame({"quote": ["A1", "B1"], "width": [1.0, 2.0], "height": [4.0, 5.0]})
    if suffix == ".csv":
        frame.to_csv("quotes.csv", index=False)
    else:  # which keeps an index
        pytest.importorskip("pyarrow")
        frame.set_index("quote").to_parquet("quotes.parquet")
    words = ["gradient", "model.py:area", "--from", f"quotes{suffix}:quote", "--json"]
    assert main(words) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["coords"]["quote"]["data"] == ["A1", "B1"] and not printed.err
    assert found["variables"]["darea_dwidth"]["data"] == [4, 5]


def test_labels_are_no_argument_of_a_function_that_takes_any(model, run):
    Path("quotes.csv").write_text("row,x,a\nfirst,1,4\nsecond,2,5\n")
    out = json.loads(run("value", "model.py:anything", "--from", "quotes.csv", "--json"))
    assert out["variables"]["anything"]["data"] == [4, 10]
    assert out["coords"]["row"]["data"] == ["first", "second"]


def test_words_and_integers_are_saved_with_the_results(model, run):
    words = ["--over", "x=1,2", "--at", "n=3", "--at", "kind='7'"]
    table = run("value", "model.py:power", *words, "--csv").splitlines()
    assert table == ["x,n,kind,power", "1.0,3,7,1.0", "2.0,3,7,8.0"]
    for suffix in (".json", ".csv"):
        run("value", "model.py:power", *words, "--output", f"power{suffix}")
        assert "7" in Path(f"power{suffix}").read_text()
    run("value", "model.py:power", *words, "--output", "power.nc")
    with xarray.open_dataset("power.nc") as stored:
        assert (stored.kind.values.item(), stored.n.values.item()) == ("7", 3)
