"""Skip what needs a framework that is not installed: the suite passes with either one alone."""

import importlib.util

import pytest

FRAMEWORKS = ("torch", "jax")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = [name for name in FRAMEWORKS if importlib.util.find_spec(name) is None]
    for item in items:
        for framework in absent:
            if item.get_closest_marker(framework):
                item.add_marker(pytest.mark.skip(reason=f"{framework} is not installed"))
