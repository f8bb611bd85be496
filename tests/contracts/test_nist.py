"""NIST StRD: the certified standard deviations of 27 fits come out of our Jacobians.

At the certified parameters b, with J = dmodel/db at every observation and s the certified residual
standard deviation, the standard deviation of parameter i is s sqrt(((J^T J)^-1)_ii). NIST gives 11
digits of each.
"""

import importlib

import numpy as np
import pytest
from scipy import linalg

import gradsweep as gs
from tests.support.nist import DATA_SETS, MODELS, DataSet, model, read

FRAMEWORKS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("jax.numpy", marks=pytest.mark.jax),
]
RELATIVE_TOLERANCE = 1e-7


def sweep_of(data: DataSet, parameters: np.ndarray) -> gs.Sweep:
    return gs.Sweep(b=((), parameters), x=("observation", data.x))


def standard_deviations(J: np.ndarray, residual_deviation: float) -> np.ndarray:
    """Return s sqrt(diag((J^T J)^-1)) from the QR decomposition of J with columns of length 1.

    J^T J would square a condition number that reaches 1e10 here.
    """
    lengths = np.linalg.norm(J, axis=0)
    (R,) = linalg.qr(J / lengths, mode="r")
    inverse = linalg.solve_triangular(R[: len(lengths)], np.eye(len(lengths)))
    return residual_deviation * np.linalg.norm(inverse, axis=1) / lengths


def jacobian(name: str, module: str, data: DataSet, parameters: np.ndarray) -> np.ndarray:
    f = model(name, importlib.import_module(module))
    J = gs.jacobian(f, sweep_of(data, parameters), wrt="b").dresponse_db
    assert J.dims == ("observation", "b_0")
    return J.values


def test_there_are_27_data_sets_and_each_has_a_model():
    assert len(DATA_SETS) == 27
    assert set(DATA_SETS) == set(MODELS)


@pytest.mark.parametrize("module", FRAMEWORKS)
@pytest.mark.parametrize("name", DATA_SETS)
def test_the_certified_standard_deviations_are_reproduced(name, module):
    data = read(name)
    J = jacobian(name, module, data, data.parameters)
    found = standard_deviations(J, data.residual_deviation)
    np.testing.assert_allclose(found, data.deviations, rtol=RELATIVE_TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("module", FRAMEWORKS)
@pytest.mark.parametrize("name", DATA_SETS)
def test_the_certified_residual_sum_of_squares_is_reproduced(name, module):
    data = read(name)
    f = model(name, importlib.import_module(module))
    fitted = gs.value(f, sweep_of(data, data.parameters)).response.values
    found = np.sum((data.y - fitted) ** 2)
    # Parameters of 11 digits leave residuals of that order; Lanczos1 has no larger ones.
    rounding = data.y.size * (5e-11 * abs(data.y).max()) ** 2
    np.testing.assert_allclose(found, data.residual_sum_of_squares, rtol=1e-8, atol=rounding)


@pytest.mark.parametrize("module", FRAMEWORKS)
@pytest.mark.parametrize("name", DATA_SETS)
def test_parameters_that_are_off_by_a_millionth_would_be_noticed(name, module):
    data = read(name)
    J = jacobian(name, module, data, data.parameters * (1 + 1e-6))
    found = standard_deviations(J, data.residual_deviation)
    assert not np.allclose(found, data.deviations, rtol=RELATIVE_TOLERANCE, atol=0.0)
