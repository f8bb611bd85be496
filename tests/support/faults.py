"""A stored run, and what continues it."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.storing import (
    FULL,
    complete,
    contents,
)

pytest.importorskip("zarr")


RUN = Path(".gradsweep") / "run"


def resume(path: Path) -> dict[str, bytes]:
    """Continue a run whose process is gone, and return what it leaves."""
    np.testing.assert_array_equal(complete(path, resume=True).delta, FULL[0])
    return contents(path)
