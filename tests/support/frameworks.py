"""The frameworks and their engines, as tests are parametrised by them."""

from types import ModuleType

import pytest

FRAMEWORKS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("jax", marks=pytest.mark.jax),
]

# Pairs of a framework and an engine that runs it.
ENGINES = [
    pytest.param(framework, engine, marks=getattr(pytest.mark, framework))
    for framework, own in (("torch", "torch"), ("jax", "xla"))
    for engine in ("fused", "reference", own, "loop")
]


def library(framework: str) -> ModuleType:
    """Return the module of a framework's functions of arrays."""
    return pytest.importorskip({"torch": "torch", "jax": "jax.numpy"}[framework])
