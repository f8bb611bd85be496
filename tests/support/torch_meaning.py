"""The sweep of the tests of torch's meaning."""

import pytest

import gradsweep as gs
from tests.support.plain_loop import POINTS

torch = pytest.importorskip("torch")


SWEEP = gs.Sweep(x=POINTS)
