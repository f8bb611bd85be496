"""A store, and what it holds where nobody disturbs the run."""

from pathlib import Path

import pytest

from tests.support.storing import complete, contents


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("undisturbed") / "greeks.zarr"
    complete(path)
    return contents(path)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "greeks.zarr"
