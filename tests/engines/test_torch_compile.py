"""The torch engine through torch.compile, with a backend that runs what was traced."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import GradsweepWarning

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from gradsweep.tracing.torch.solved.looped import looped  # noqa: E402

X = np.array([1.0, 2.0, 9.0])


def smooth(x):
    return torch.sin(x) * x


def partly_constant(x):
    with torch.no_grad():
        factor = x * 2
    return factor * x.detach() * torch.stack([x, x * x])[1] * torch.ones_like(x)


def root(x):
    with torch.no_grad():
        (y,) = looped(
            lambda y: (y * y - x).abs() > 1e-14 * x, lambda y: (0.5 * (y + x / y),), (x,), 60
        )
    return y - (y * y - x) / (2 * y)


def solved(x):
    return gs.find_root(lambda y: y * y - x, x)


SLOPES = {
    smooth: np.sin(X) + X * np.cos(X),
    partly_constant: 4 * X**3,
    root: 0.5 / np.sqrt(X),
    solved: 0.5 / np.sqrt(X),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Run what torch.compile traces as it is: to generate code for it takes long."""
    compile_it = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **kw: compile_it(f, backend="eager", **kw))


def slope(f):
    (found,) = gs.gradient(f, gs.Sweep(x=X), engine="torch", compile=True).values()
    return found


@pytest.mark.filterwarnings("error::gradsweep.errors.GradsweepWarning")
@pytest.mark.parametrize("f", [smooth, partly_constant], ids=lambda f: f.__name__)
def test_a_derivative_is_compiled_as_a_whole(f):
    np.testing.assert_allclose(slope(f), SLOPES[f], rtol=1e-14)


@pytest.mark.jax
@pytest.mark.filterwarnings("error::gradsweep.errors.GradsweepWarning")
def test_a_derivative_is_compiled_as_a_whole_where_jax_is_imported():
    pytest.importorskip("jax")

    def f(p):
        return {"y": torch.sin(p["x"]) * p["x"], "z": 2.0}

    sweep = gs.Sweep(p={"x": ("x", X)})
    found = gs.jacobian(f, sweep, framework="torch", engine="torch", compile=True)
    np.testing.assert_allclose(found.dy_dp_x, SLOPES[smooth], rtol=1e-14)


@pytest.mark.parametrize("f", [root, solved], ids=lambda f: f.__name__)
def test_a_derivative_that_cannot_be_compiled_runs_as_it_is_with_a_warning(f):
    with pytest.warns(GradsweepWarning, match="without torch.compile, which cannot compile it"):
        found = slope(f)
    np.testing.assert_allclose(found, SLOPES[f], rtol=1e-14)
