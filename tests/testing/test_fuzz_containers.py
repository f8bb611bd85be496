"""Random functions of containers: what is drawn can be pasted, and a planted fault is found."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import gradsweep as gs
from gradsweep.request import function as function_module
from gradsweep.request import pytree
from gradsweep.testing.fuzz import chosen
from gradsweep.testing.fuzz.combinations import Combination, combinations
from gradsweep.testing.fuzz.counts import Counts
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.containers import Container, draw_container
from gradsweep.testing.fuzz.drawing.functions import draw_function
from gradsweep.testing.fuzz.reduction import reduced
from gradsweep.testing.fuzz.trial import Limits, Trial
from gradsweep.testing.fuzz.wrong import Wrong
from tests.support.random_functions import drawn_function

NESTED = Container("p", "dict", (("a", "x"), ("q", Container("q", "named tuple", (("i", "y"),)))))
RECORD = Container("p", "dataclass", (("rate", "y"), ("i", "x")))


def of_container(container, framework="torch"):
    """Return f = x^2 y + w_0 as the machine draws it, with x and y in a container."""
    values = {"x": np.array([0.5, 1.5, 2.0]), "y": 3.0, "w": np.array([[1.0], [2.0], [4.0]])}
    drawn = drawn_function(framework, ["z = x * x * y"], "z + w[0]", **values)
    return replace(drawn, arguments=replace(drawn.arguments, container=container))


def of_pasted(text: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "pasted"}
    exec(compile(text, "<pasted>", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("container", [NESTED, RECORD], ids=["nested", "record"])
def test_the_text_is_the_function_and_the_sweep(container):
    drawn = of_container(container)
    pasted = of_pasted(Wrong(drawn, None, "").text)
    found = gs.gradient(pasted["f"], pasted["sweep"])
    x = drawn.arguments.every[0].values
    names = {n: f"df_d{drawn.arguments.called(n)}" for n in "xyw"}
    np.testing.assert_allclose(found[names["x"]], 2 * x * 3)
    np.testing.assert_allclose(found[names["y"]], x**2)
    assert set(found.data_vars) == {*names.values()}
    assert list(drawn.arguments.sweep.arguments) == ["w", "p"]


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("container", [NESTED, RECORD], ids=["nested", "record"])
def test_every_request_of_a_container_is_right(framework, container):
    pytest.importorskip(framework)
    drawn = of_container(container, framework)
    trial, features = Trial(drawn, Counts(), Limits()), chosen(framework) - {"forward"}
    every = [*combinations(framework, drawn.arguments, trial.outputs, features)]
    for combination in every[::5]:
        trial.run(combination)
    trial.check_precisely()
    assert trial.counts.n_points > 20 and not trial.counts.excluded


def exchanged(call: Callable[..., Any], tree: Any, path: pytree.Path = ()) -> Any:
    """Put the first two leaves of a container into each other's places."""
    leaves = [leaf for _, leaf in pytree.flatten(tree)]
    if len(leaves) > 1:
        others = {id(leaves[0]): leaves[1], id(leaves[1]): leaves[0]}
        return pytree.map_leaves(lambda p, leaf: call(p, others.get(id(leaf), leaf)), tree, path)
    return pytree.map_leaves(call, tree, path)


@pytest.mark.torch
def test_entries_that_are_exchanged_are_found(monkeypatch):
    class Wrongly:
        Path, flatten, map_leaves = pytree.Path, pytree.flatten, staticmethod(exchanged)

    drawn = of_container(NESTED)
    Trial(drawn, Counts(), Limits()).run(Combination("gradient", paths=drawn.arguments.paths))
    monkeypatch.setattr(function_module, "pytree", Wrongly)
    with pytest.raises(Wrong) as caught:
        Trial(drawn, Counts(), Limits()).run(Combination("gradient", paths=drawn.arguments.paths))
    assert "df_dp_" in caught.value.told
    # The container is left out first, where the fault stays without it.
    kept = reduced(caught.value, lambda smaller, wrong: None, float("inf"))
    assert kept.drawn.arguments.container is not None
    plain = reduced(caught.value, lambda smaller, wrong: Wrong(smaller, None, ""), float("inf"))
    assert plain.drawn.arguments.container is None


def test_all_forms_are_drawn_and_their_text_is_their_value():
    seen: set[str] = set()

    @seed(0)
    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        names = ["x", "y", "z", "w"][: data.draw(st.integers(1, 4))]
        container = draw_container(Choices(data.draw), names)
        values = {name: float(n) for n, name in enumerate(names)}
        lines = ["from collections import namedtuple", "from dataclasses import make_dataclass"]
        text = container.text({name: repr(value) for name, value in values.items()})
        pasted = of_pasted(
            "\n".join([*lines, *container.definitions, f"{container.name} = {text}"])
        )
        for read in (pasted, {container.name: container.value(values)}):
            found = {name: eval(text, dict(read)) for name, text in container.reads.items()}
            assert found == values
        seen.add(container.kind)
        seen.update("nested" for _, entry in container.entries if not isinstance(entry, str))

    draw()
    assert seen == {"dict", "dataclass", "named tuple", "nested"}


@pytest.mark.torch
def test_functions_of_containers_are_among_those_that_are_drawn():
    features, held = chosen("torch", (), ("containers", "arithmetic")), []

    @seed(0)
    @settings(
        max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        drawn = draw_function(Choices(data.draw), "torch", features)
        held.append(drawn.arguments.container)
        assert drawn.is_closed
        assert drawn.arguments.container is None or "containers" in drawn.features
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert drawn.arguments.sweep.axes == drawn.arguments.axes

    draw()
    assert 3 < sum(container is not None for container in held) < 30
