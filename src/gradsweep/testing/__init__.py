"""Scenarios that every engine must pass, with answers from closed forms.

For authors of an engine or a frontend. A scenario is a function, written once for any array
namespace, with a sweep of its arguments and its derivative. `check_scenario` runs one.

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
    def test_my_engine(scenario):
        check_scenario(scenario, framework="jax", engine="mine")

A scenario, a framework and the name of an engine enter; an AssertionError leaves, or nothing.
Never sees inside an engine.
"""

from gradsweep.testing.scenario import Scenario, array_namespace, check_scenario
from gradsweep.testing.scenarios import SCENARIOS

__all__ = ["SCENARIOS", "Scenario", "array_namespace", "check_scenario"]
