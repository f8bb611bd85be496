"""A store, and what it holds where nobody disturbs the run."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
import numpy as np
import pytest
from gradsweep.cli import main
from gradsweep.errors import GradsweepWarning, StoreError
from gradsweep.results.stores.zarr import ZarrStore, ledger, scratch, unlock, verify
from gradsweep.results.stores.zarr.ledger import Ledger
from gradsweep.results.stores.zarr.locking import holder, lease
from gradsweep.results.stores.zarr.locking.holder import Holder, read_holder, this_process
from gradsweep.results.stores.zarr.locking.lease import Lease, Renewal
from gradsweep.results.stores.zarr.locking.lock import holder_of
from tests.support.controls import must_fail
from tests.support.storing import FULL, PARTITION, complete, compute, contents, layout
from tests.support.takeovers import LOCK, ROOT, RUN, edit_lock, held_elsewhere, on_linux, on_posix


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("undisturbed") / "greeks.zarr"
    complete(path)
    return contents(path)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "greeks.zarr"
