"""Rules for every test: which are skipped, and that none leaves anything to another."""

import importlib.util
from collections.abc import Iterator

import pytest

from gradsweep.support.cache import clear_all
from tests.support.frameworks import FRAMEWORKS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests whose framework is not installed, and begin with those that take minutes.

    The suite passes with either framework alone. A test with a longer timeout of its own would keep
    one process busy when the others are done.
    """
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
    names = ("torch", "jax")
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    for item in items:
        for framework in absent:
            if item.get_closest_marker(framework):
                item.add_marker(pytest.mark.skip(reason=f"{framework} is not installed"))


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    """Each framework, by its name."""
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture(autouse=True)
def _caches(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty the caches around a test that may replace a part of the library.

    It would find values that were made with the original part, and other tests those made without:
    when tests are spread over processes, any test may come next.
    """
    if "monkeypatch" not in request.fixturenames:
        yield
        return
    clear_all()
    yield
    clear_all()
