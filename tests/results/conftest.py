"""A store, its content after an undisturbed run, and how many operations that takes."""

from pathlib import Path

import pytest

from tests.support.prepared import python
from tests.support.storing import complete, contents


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "greeks.zarr"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("undisturbed") / "greeks.zarr"
    complete(path)
    return contents(path)


@pytest.fixture(scope="module")
def n_operations(tmp_path_factory) -> int:
    """Return how many operations on files a whole run takes."""
    done = python(tmp_path_factory.mktemp("counted") / "greeks.zarr")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
