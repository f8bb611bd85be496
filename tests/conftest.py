"""What holds for every test: which are skipped, and what none leaves to another."""

import importlib.util
from collections.abc import Iterator

import pytest

from gradsweep.support.cache import clear_all

FRAMEWORKS = ("torch", "jax")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a framework that is not installed, and begin with what takes minutes.

    The suite passes with either framework alone. What has a longer time of its own to end in would
    keep one process busy when the others are done.
    """
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
    absent = [name for name in FRAMEWORKS if importlib.util.find_spec(name) is None]
    for item in items:
        for framework in absent:
            if item.get_closest_marker(framework):
                item.add_marker(pytest.mark.skip(reason=f"{framework} is not installed"))


@pytest.fixture(autouse=True)
def _caches(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty the caches around a test that may replace a part of the library.

    It would find what was made with the part, and others what was made without: in a run whose
    tests are spread over processes, any may come next.
    """
    if "monkeypatch" not in request.fixturenames:
        yield
        return
    clear_all()
    yield
    clear_all()
