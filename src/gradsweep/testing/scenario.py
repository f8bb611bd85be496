"""What a scenario is, and how one is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradsweep import api
from gradsweep.request.sweep import Sweep
from gradsweep.support.errors import require

__all__ = ["Scenario", "array_namespace", "check_scenario"]

# The functions that scenarios use; torch and jax.numpy have them under the same names.
_NAMES = ("cos", "exp", "log", "maximum", "sin", "sqrt", "stack", "sum", "tanh", "where")

Expected = Mapping[str, tuple[tuple[str, ...], Any]]


@dataclass(frozen=True)
class Scenario:
    """A derivative over a sweep, and its value from a closed form.

    Attributes:
        name: a claim, as a test's name is.
        quantity: which quantity.
        function: makes the function, given an array namespace with torch's and jax.numpy's
            common names.
        sweep: makes the sweep.
        expected: for every variable of the result, its dims and values.
        direction: the tangent, cotangent or words, if the quantity takes them.
        options: further options of the quantity.
        rtol: the relative difference from the closed form that is allowed.
    """

    name: str
    quantity: str
    function: Callable[[Any], Callable]
    sweep: Callable[[], Sweep]
    expected: Callable[[], Expected]
    direction: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    rtol: float = 1e-13


def array_namespace(framework: str) -> SimpleNamespace:
    """Return the functions that scenarios are written with, from one framework."""
    module = require("torch" if framework == "torch" else "jax.numpy", "a scenario")
    return SimpleNamespace(**{name: getattr(module, name) for name in _NAMES})


def check_scenario(scenario: Scenario, framework: str, engine: str = "auto") -> None:
    """Run a scenario.

    Raises:
        AssertionError: when the variables, their dims, dtypes or values are not as expected.
    """
    function = scenario.function(array_namespace(framework))
    directions = () if scenario.direction is None else (scenario.direction,)
    plan = api.plan(
        scenario.quantity,
        function,
        scenario.sweep(),
        *directions,
        framework=framework,
        engine=engine,
        **scenario.options,
    )
    if engine != "auto":
        assert plan.engine == engine, f"asked for {engine}, ran on {plan.engine}"
    ds = plan.run()
    expected = scenario.expected()
    assert set(ds.data_vars) == set(expected), f"{set(ds.data_vars)} != {set(expected)}"
    for name, (dims, values) in expected.items():
        values = np.asarray(values)
        assert ds[name].dims == tuple(dims), f"{name} has dims {ds[name].dims}, not {dims}"
        assert ds[name].dtype == values.dtype, f"{name} is {ds[name].dtype}, not {values.dtype}"
        np.testing.assert_allclose(
            ds[name].values, values, rtol=scenario.rtol, atol=1e-300, err_msg=name
        )
