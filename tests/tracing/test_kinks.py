"""At a kink, the answer is the framework's own; docs/kinks.md says which."""

from pathlib import Path

import numpy as np
import pytest

import gradsweep as gs

pytestmark = [pytest.mark.torch, pytest.mark.jax]

N_KINKS = 29


@pytest.fixture(scope="module")
def kinks():
    from examples.kinks import kinks

    return kinks()


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("number", range(N_KINKS))
def test_the_derivative_at_a_kink_is_the_frameworks_own(kinks, number, framework):
    from examples.kinks import own_derivatives

    kink = kinks[number]
    expected = dict(zip(["torch", "jax"], own_derivatives(kink)))[framework]
    sweep = gs.Sweep(x=[kink.at - 0.25, kink.at, kink.at + 0.25])
    function = getattr(kink, framework)
    ds = gs.gradient(lambda x: function(x), sweep, framework=framework, engine="reference")
    (found,) = [gs.broadcast(ds).df_dx.values[1]]
    np.testing.assert_array_equal(found, expected, err_msg=kink.name)


def test_the_documented_table_is_what_the_example_prints():
    from examples.kinks import table

    page = Path(__file__).parents[2] / "docs" / "kinks.md"
    assert table() in page.read_text()


def test_there_are_as_many_kinks_as_the_page_says(kinks):
    assert len(kinks) == N_KINKS
