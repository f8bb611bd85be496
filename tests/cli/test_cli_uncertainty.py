"""The command `uncertainty`: its stds and correlations, from words and from columns."""

from pathlib import Path

import numpy as np
import pytest

from gradsweep.cli import main
from gradsweep.cli.epilog import epilog
from tests.support.command_line import variables

AREA = ["uncertainty", "model.py:area", "--over", "width=1:4:4", "--at", "height=5.0"]
W = np.arange(1.0, 5.0)
MEASURED = "width,height,width_error,r\n1,4,0.1,0\n2,5,0.2,0.5\n3,6,0.3,-1\n"


def test_stds_and_correlations_are_words(model, run):
    words = ["--std", "width=0.1", "--std", "height=0.2", "--correlation", "width,height=-0.5"]
    found = variables(run(*AREA, *words, "--json"))
    assert found.keys() == {"area", "area_std", "variance_share_width", "variance_share_height"}
    variance = 0.25 + (0.2 * W) ** 2 - 0.5 * 0.2 * W
    np.testing.assert_allclose(found["area_std"], np.sqrt(variance), rtol=1e-14)
    np.testing.assert_allclose(
        found["variance_share_width"], (0.25 - 0.25 * 0.2 * W) / variance, rtol=1e-13
    )


def test_they_may_be_columns_of_the_table(model, run):
    Path("measured.csv").write_text(MEASURED)
    words = ["uncertainty", "model.py:area", "--from", "measured.csv", "--json"]
    words += ["--std", "width=@width_error", "--std", "height=0.5"]
    out = run(*words, "--correlation", "width,height=@r")
    d, e, r = (
        np.array([4, 5, 6]) * [0.1, 0.2, 0.3],
        np.array([1, 2, 3]) * 0.5,
        np.array([0, 0.5, -1]),
    )
    expected = np.sqrt(d**2 + 2 * r * d * e + e**2)
    np.testing.assert_allclose(variables(out)["area_std"], expected, rtol=1e-13)


def test_the_second_order_is_an_option(model, run):
    words = ["--std", "width=0.1", "--std", "height=0.2", "--order", "2", "--json"]
    found = variables(run(*AREA, *words))
    np.testing.assert_allclose(found["area_std"] ** 2, 0.25 + (0.2 * W) ** 2 + 0.0004, rtol=1e-13)
    np.testing.assert_allclose(found["area_expectation"], 5 * W, rtol=1e-15)


def test_outputs_may_have_their_covariance(model, run):
    Path("two.py").write_text("def two(x):\n    return {'y': 2 * x, 'z': -3 * x}\n")
    words = ["uncertainty", "two.py:two", "--at", "x=1.0", "--std", "x=0.1"]
    found = variables(run(*words, "--output-covariance", "--json"))
    np.testing.assert_allclose(found["covariance_y_z"], -0.06, rtol=1e-13)


def test_plan_takes_them_too(model, run):
    words = ["plan", *AREA[1:], "--quantity", "uncertainty", "--std", "width=0.1"]
    assert "uncertainty of area" in run(*words)


@pytest.mark.parametrize(
    "words, said",
    [
        (["--std", "widht=0.1"], "Did you mean 'width'?"),
        (["--std", "width=-1"], "the std of 'width' is -1"),
        (["--std", "width=@error"], "there is no column 'error'; --from is not given"),
        (["--std", "width=0.1", "--std", "width=0.2"], "--std gives 'width' twice"),
        (["--std", "width"], "write --std NAME=VALUE, such as --std S=1"),
        (["--std", "width=1", "--correlation", "width=1"], "name two arguments, A,B=R"),
        (["--std", "width=1", "--correlation", "width,height=1"], "'height', which has no std"),
    ],
)
def test_what_is_wrong_is_said(words, said, model, capsys):
    assert main([*AREA, *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_column_that_is_not_there_has_the_nearest(model, capsys):
    Path("measured.csv").write_text(MEASURED)
    words = ["uncertainty", "model.py:area", "--from", "measured.csv", "--std"]
    assert main([*words, "width=@width_eror"]) == 2
    assert "Did you mean 'width_error'?" in capsys.readouterr().err


def test_the_help_shows_an_example_and_fits_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["uncertainty", "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "--std sigma=@sigma_error --correlation S,sigma=-0.7" in text
    assert "--wrt A" not in text and "--std NAME=S" in text
    assert "gradsweep uncertainty" in epilog(["uncertainty"])
