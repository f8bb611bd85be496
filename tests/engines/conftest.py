"""Blocks that are so small that every sweep has several."""

import sys

import pytest

from gradsweep.engines.fused.runtime import frame, kernel
from gradsweep.engines.fused.runtime.team import make_team


@pytest.fixture(params=[True, False], ids=["native threads", "python threads"])
def tiny_blocks(request, monkeypatch):
    """Make blocks, and the work that threads are woken for, as small as possible."""
    if request.param and not sys.platform.startswith("linux"):
        pytest.skip("threads wait at POSIX semaphores")
    monkeypatch.setattr(kernel, "TEAM", make_team(native=request.param))
    monkeypatch.setattr(frame, "_WORK_FOR_THREADS", 0)
    monkeypatch.setattr(frame, "_BLOCK_WORK", (1, 1))
    monkeypatch.setattr(frame, "_BLOCK_MULTIPLE", 1)
