"""Type checkers know all names: see tests/support/typed_script.py too."""

from dataclasses import fields
from typing import get_args

from gradsweep.cli.options import make_parser
from gradsweep.engines.choice import ENGINES, ComputeOptions, EngineName
from gradsweep.planning.options import DerivativeOptions, RunOptions
from gradsweep.results.statistics import REDUCTIONS, Statistic
from gradsweep.running.destination import DestinationOptions


def test_the_types_list_every_engine_and_every_statistic():
    assert set(get_args(EngineName)) == {"auto", *ENGINES}
    assert set(get_args(Statistic)) == set(REDUCTIONS)


def test_each_option_that_is_written_is_read_by_computing_or_by_the_destination():
    read = [field.name for kind in (ComputeOptions, DestinationOptions) for field in fields(kind)]
    # `compile` itself sets how often a kernel is called.
    assert sorted(read) == sorted([*RunOptions.__annotations__, "is_reused"])


def test_the_command_has_each_option_of_the_library():
    words = make_parser().parse_args(["gradient", "model.py:price"])
    # torch.compile takes seconds, and pays only for a kernel that is called again.
    assert set(DerivativeOptions.__annotations__) - vars(words).keys() == {"compile"}
