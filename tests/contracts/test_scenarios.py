"""Every scenario through every engine, from both frameworks."""

import dataclasses

import numpy as np
import pytest

from gradsweep.testing import SCENARIOS, check_scenario

ENGINES = {
    "torch": ["auto", "fused", "reference", "torch", "loop"],
    "jax": ["auto", "fused", "reference", "xla", "loop"],
}

CASES = [
    pytest.param(framework, engine, marks=getattr(pytest.mark, framework))
    for framework, engines in ENGINES.items()
    for engine in engines
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name.replace(" ", "-"))
@pytest.mark.parametrize("framework, engine", CASES)
def test_scenario(scenario, framework, engine):
    check_scenario(scenario, framework, engine)


@pytest.mark.parametrize("framework, engine", CASES)
def test_a_scenario_with_one_sign_changed_fails(framework, engine):
    scenario = SCENARIOS[0]
    wrong = {**scenario.expected(), "df_dx1": ((), -3.0)}
    with pytest.raises(AssertionError, match="df_dx1"):
        check_scenario(dataclasses.replace(scenario, expected=lambda: wrong), framework, engine)


@pytest.mark.parametrize("framework, engine", CASES)
def test_a_scenario_with_a_dim_too_many_fails(framework, engine):
    scenario = SCENARIOS[0]
    wrong = {**scenario.expected(), "df_dx1": (("x0",), np.full(9, 3.0))}
    with pytest.raises(AssertionError, match="has dims"):
        check_scenario(dataclasses.replace(scenario, expected=lambda: wrong), framework, engine)
