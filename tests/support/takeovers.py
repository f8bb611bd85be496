"""Locks of holders that are gone, or elsewhere."""

import json
import os
from pathlib import Path

import pytest

from gradsweep.results.stores.zarr import ZarrStore
from gradsweep.results.stores.zarr.locking.lease import Lease
from tests.support.storing import RUN, layout

pytest.importorskip("zarr")


LOCK = RUN / "lock"
on_posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX processes")
on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells")


def edit_lock(path: Path, **changes: object) -> None:
    """Change the entries of a lock; an entry that is None is left out."""
    found = {**json.loads((path / LOCK).read_text()), **changes}
    (path / LOCK).write_text(json.dumps({k: v for k, v in found.items() if v is not None}))


def held_elsewhere(path: Path, kept: Lease) -> ZarrStore:
    """Begin a run that claims to be on another host."""
    store = ZarrStore(path, lease=kept)
    store.begin(layout())
    edit_lock(path, host="elsewhere")
    return store
