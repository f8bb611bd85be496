"""Programs and grids for the fused engine."""

import numpy as np

from gradsweep.engines.fused import FusedEngine
from gradsweep.engines.numpy import ReferenceEngine
from tests.support.programs import leaves_of, program_of, run

REFERENCE = ReferenceEngine()
FUSED = FusedEngine(threads=1)


def wave(b, x, y, z):
    """A value that varies along three axes, with terms that vary along fewer."""
    g = b.emit("exp", b.emit("sin", x))
    h = b.emit("sqrt", b.emit("add", b.constant(1.5, "float64"), b.emit("mul", y, y)))
    gh = b.emit("mul", g, h)
    f = b.emit("add", gh, b.emit("atan2", b.emit("mul", gh, z), b.emit("sub", x, z)))
    return [f, gh, g, h, b.emit("erf", z), b.constant(2.5, "float64"), x]


WAVE = program_of(wave, x="float64", y="float64", z="float64")


def grid(n_x, n_y, n_z, dtype="float64"):
    rng = np.random.default_rng(n_x + 10 * n_y + 100 * n_z)
    return leaves_of(
        x=(("x",), rng.normal(size=n_x).astype(dtype)),
        y=(("y",), rng.normal(size=n_y).astype(dtype)),
        z=(("z",), rng.normal(size=n_z).astype(dtype)),
    ), {"x": n_x, "y": n_y, "z": n_z}


def assert_agrees(program, leaves, axes, engine=FUSED, rtol=1e-13):
    for found, expected in zip(
        run(engine, program, leaves, axes), run(REFERENCE, program, leaves, axes)
    ):
        assert found.shape == expected.shape and found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-14)
