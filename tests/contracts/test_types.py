"""Type checkers know the names that there are: see tests/support/typed_script.py too."""

from typing import get_args

from gradsweep.engines.choice import ENGINES, EngineName
from gradsweep.results.statistics import REDUCTIONS, Statistic


def test_the_types_list_every_engine_and_every_statistic():
    assert set(get_args(EngineName)) == {"auto", *ENGINES}
    assert set(get_args(Statistic)) == set(REDUCTIONS)
