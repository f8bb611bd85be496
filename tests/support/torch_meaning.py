"""The sweep of these tests."""

import pytest

import gradsweep as gs
from tests.support.plain_loop import POINTS

torch = pytest.importorskip("torch")


SWEEP = gs.Sweep(x=POINTS)
