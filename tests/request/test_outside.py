"""Functions that read outside the program: no trace of them is kept."""

import datetime
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.program.builder import Builder

pytestmark = pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")

RATE = pathlib.Path("rate.txt")
LIMIT = [0.0]
SWEEP = gs.Sweep(x=[1.0, 2.0])


def by_open(x):
    with open(RATE) as file:
        return x * float(file.read())


def by_path(x):
    return x * float(RATE.read_text())


def by_numpy(x):
    return x * float(np.loadtxt(RATE))


def by_a_helper(x):
    return x * _rate()


def _rate():
    return float(RATE.read_text())


def by_the_environment(x):
    return x * float(os.environ["RATE"])


def by_getenv(x):
    return x * float(os.getenv("RATE"))


def by_what_is_in_a_folder(x):
    return x * len(os.listdir("."))


def by_whether_a_file_is_there(x):
    return x * (3.0 if os.path.exists("3") else 2.0)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Return a function that sets everything these functions read to a number."""
    monkeypatch.chdir(tmp_path)

    def set_to(number):
        RATE.write_text(str(number))
        monkeypatch.setenv("RATE", str(number))
        for k in range(1, number):
            pathlib.Path(str(k + 1)).touch()

    return set_to


@pytest.mark.parametrize(
    "f",
    [
        by_open,
        by_path,
        by_numpy,
        by_a_helper,
        by_the_environment,
        by_getenv,
        by_what_is_in_a_folder,
        by_whether_a_file_is_there,
    ],
    ids=lambda f: f.__name__,
)
def test_what_a_function_reads_is_read_again(f, outside):
    for number in (2, 3):
        outside(number)
        for _ in range(2):
            assert float(gs.gradient(f, SWEEP).to_array()[0]) == number


def n_traced(f, monkeypatch):
    """Return how often a Program is written in a second call."""
    gs.gradient(f, SWEEP)
    n = 0
    finish = Builder.finish

    def counted(self, outputs):
        nonlocal n
        n += 1
        return finish(self, outputs)

    with monkeypatch.context() as patch:
        patch.setattr(Builder, "finish", counted)
        gs.gradient(f, SWEEP)
    return n


def by_the_clock(x):
    return x * (2.0 if time.time() > LIMIT[0] else 3.0)


def by_the_date(x):
    return x * (2.0 if datetime.datetime.now().timestamp() > LIMIT[0] else 3.0)


@pytest.mark.parametrize("f", [by_the_clock, by_the_date, by_open, by_getenv])
def test_no_trace_is_kept_of_what_reads_the_clock_a_file_or_the_environment(
    f, outside, monkeypatch
):
    outside(2)
    assert n_traced(f, monkeypatch) > 0


def test_a_trace_is_kept_of_what_reads_nothing(monkeypatch):
    """The control: the second call writes no Program."""
    assert n_traced(lambda x: x**3, monkeypatch) == 0


def test_importing_a_module_is_no_reading(monkeypatch, tmp_path):
    (tmp_path / "rates_of_a_test.py").write_text("RATE = 3.0\n")
    monkeypatch.syspath_prepend(tmp_path)

    def f(x):
        import rates_of_a_test

        return x * rates_of_a_test.RATE

    gs.gradient(f, SWEEP)
    assert n_traced(f, monkeypatch) == 0


def test_a_kernel_holds_what_the_function_read_when_it_was_compiled(outside):
    outside(2)
    kernel = gs.compile(gs.gradient, by_path, SWEEP)
    outside(3)
    assert kernel(x=np.array([1.0, 2.0]))["dby_path_dx"] == 2.0


def test_what_importing_a_framework_reads_is_not_read_by_the_function():
    seen = subprocess.run(
        [sys.executable, "-c", _TWO_CALLS], capture_output=True, text=True, check=True
    )
    assert seen.stdout == "False 1\n"


# Prints whether a framework was imported before, and how many kernels two equal calls made.
_TWO_CALLS = """
import sys
import gradsweep as gs
from gradsweep.planning.preparing import PREPARED
def f(x):
    return x * x
was_there = not {"torch", "jax"}.isdisjoint(sys.modules)
for _ in range(2):
    gs.gradient(f, gs.Sweep(x=[1.0, 2.0]))
print(was_there, PREPARED.n_made)
"""
