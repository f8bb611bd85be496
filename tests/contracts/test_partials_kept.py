"""Partial derivatives stored, reduced, drawn, checked, compared and asked for by the command."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.cli import main
from gradsweep.errors import OutputError, StoreError

X, Y = np.array([0.5, 1.0, 2.0, 4.0]), np.array([1.0, 3.0, 5.0])
SWEEP = gs.Sweep(x=("x", X), y=("y", Y))
WORDS = ["x", "x x", "x x y", "y x"]


def f(x, y):
    return x**3 * y**2


EXACT = {
    "df_dx": 3 * X[:, None] ** 2 * Y**2,
    "d2f_dx_dx": 6 * X[:, None] * Y**2,
    "d3f_dx_dx_dy": 12 * X[:, None] * Y,
    "d2f_dy_dx": 6 * X[:, None] ** 2 * Y,
}


def require_exact(ds):
    assert list(ds.data_vars) == list(EXACT)
    for name, exact in EXACT.items():
        np.testing.assert_allclose(ds[name], exact, rtol=1e-14, err_msg=name)


def test_a_store_has_them_and_is_another_for_other_words(tmp_path):
    pytest.importorskip("zarr")
    path = tmp_path / "f.zarr"
    require_exact(gs.partials(f, SWEEP, WORDS, store=path))
    require_exact(gs.partials(f, SWEEP, WORDS, store=path, resume=True))
    with pytest.raises(StoreError, match="of: x, x x, x x y, y x is stored"):
        gs.partials(f, SWEEP, WORDS[::-1], store=path, resume=True)


def test_statistics_of_them_are_kept():
    found = gs.partials(f, SWEEP, "x x y", reduce=["mean", "max"], dims="x")
    np.testing.assert_allclose(found.d3f_dx_dx_dy_mean, 12 * X.mean() * Y)
    np.testing.assert_allclose(found.d3f_dx_dx_dy_max, 12 * X.max() * Y)


def test_matrix_says_what_it_cannot_stack():
    with pytest.raises(OutputError, match="of order 3"):
        gs.matrix(gs.partials(f, SWEEP, "x x y"))
    with pytest.raises(OutputError, match="no derivative by x and y"):
        gs.matrix(gs.partials(f, SWEEP, "x x", "y y"))
    stacked = gs.matrix(gs.partials(f, SWEEP, "y y", "y x", "x y", "x x"))
    assert stacked.dims[-2:] == ("wrt", "wrt_2")
    np.testing.assert_allclose(stacked.sel(wrt="y", wrt_2="x"), EXACT["d2f_dy_dx"])


@pytest.mark.parametrize("kind", [None, "image", "matrix", "bars"])
def test_derivatives_of_several_orders_are_drawn_each(kind):
    pytest.importorskip("matplotlib")
    at = gs.Sweep(x=X, y=2.0) if kind != "image" else gs.Sweep(x=1.5, y=2.0)
    ds = gs.partials(f, at, "x", "x x", "x x x", "x x y", "x y x")
    figure = gs.plot(ds, kind=kind)
    titles = {axes.get_title(loc="left") for axes in figure.axes}
    titles |= {text.get_text() for axes in figure.axes for text in axes.get_yticklabels()}
    titles |= {text.get_text() for axes in figure.axes for text in axes.get_xticklabels()}
    shown = " ".join(titles).replace(" ", "")
    third = r"\mathrm{x\ x\ y}" if kind == "image" else r"\partial{x}^2\partialy"
    assert third.replace(" ", "") in shown
    with_cube = r"\mathrm{x\ x\ x}" if kind == "image" else r"\partial{x}^3"
    assert with_cube.replace(" ", "") in shown


# -- check and compare


@pytest.mark.parametrize("words", [WORDS, ["x x y y"]])
def test_check_agrees_and_says_what_has_no_estimate_of_floats(words):
    pytest.importorskip("mpmath")
    found = gs.check(f, SWEEP, words, quantity="partials", n_points=2)
    assert found.ok, found
    by_estimate = {}
    for row in found.rows:
        assert row.verdict == "agrees", row
        by_estimate.setdefault(row.estimate, set()).add(row.variable)
    whole = {row.variable for row in found.rows}
    assert by_estimate["mpmath"] == whole
    assert by_estimate.get("scipy", set()) == whole - {"d3f_dx_dx_dy", "d4f_dx_dx_dy_dy"}
    if len(words) == 1:
        assert "no digits for a derivative of third order" in str(found)


@pytest.mark.jax
def test_check_finds_a_wrong_rule_in_a_third_derivative():
    """The slope of the square is taken for a constant: right to the second order of the cube."""
    jax = pytest.importorskip("jax")
    pytest.importorskip("mpmath")

    @jax.custom_jvp
    def cube(x):
        return x**3

    @jax.custom_jvp
    def square(x):
        return x**2

    square.defjvp(lambda x, v: (square(*x), 2 * jax.lax.stop_gradient(x[0]) * v[0]))
    cube.defjvp(lambda x, v: (cube(*x), 3 * square(*x) * v[0]))
    for word, is_right in (("x x", True), ("x x x", False)):
        found = gs.check(lambda x: cube(x), gs.Sweep(x=X), word, quantity="partials", n_points=2)
        assert found.ok is is_right, found


@pytest.mark.torch
@pytest.mark.jax
def test_rivals_written_by_hand_agree():
    found = gs.compare(
        f,
        gs.Sweep(x=X, y=2.0),
        ["x x", "x y x"],
        quantity="partials",
        rivals=["fused", "loop", "vmap(jacrev)", "vmap(grad)", "jit(vmap(grad))"],
        budget_seconds=0.05,
        progress=False,
    )
    assert {row.rival: row.reason for row in found.rows if row.reason} == {}


# -- the command

MODEL = "def f(x, y):\n    return x**3 * y**2\n"


def command(capsys, *words):
    code = main([*words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "partial_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return ["partial_model.py:f", "--over", "x=0.5,1,2,4", "--at", "y=3.0"]


def test_the_command_computes_what_of_names(model, capsys):
    code, out, _ = command(capsys, "partials", *model, "--of", "x x,y", "--of", "x x y", "--csv")
    assert code == 0
    head, *rows = out.splitlines()
    assert head.split(",")[2:] == ["d2f_dx_dx", "df_dy", "d3f_dx_dx_dy"]
    np.testing.assert_allclose(float(rows[2].split(",")[4]), 12 * 2 * 3)


def test_the_command_plans_and_checks_them(model, capsys):
    code, out, _ = command(capsys, "plan", *model, "--quantity", "partials", "--of", "x x y")
    assert code == 0
    assert "partials of f" in out
    code, out, _ = command(
        capsys, "check", *model, "--quantity", "partials", "--of", "x x", "--points", "2"
    )
    assert code == 0, out


@pytest.mark.parametrize(
    "words, said",
    [
        (["--of", "x z"], "'z', which is no argument of f"),
        (["--of", "x,x"], "'x' twice"),
        (["--of", "x,"], "an empty word"),
        ([], "--of"),
    ],
)
def test_the_command_tells_a_wrong_word(model, capsys, words, said):
    try:
        code, _, err = command(capsys, "partials", *model, *words)
    except SystemExit as end:
        code, err = end.code, capsys.readouterr().err
    assert code == 2
    assert said in err
