"""The benchmark: rivals agree with the closed forms, and a wrong one is not timed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("jax")

from benchmarks.cases import CASES, Problem
from benchmarks.race import race, start
from benchmarks.rivals import RIVALS, Rival
from benchmarks.rivals.base import Work
from gradsweep.comparison.clock import QUICK

pytestmark = pytest.mark.slow


def test_every_rival_computes_the_closed_form_or_says_why_it_cannot_run(tmp_path):
    # In a process of its own: the benchmark sets the frameworks' threads and JAX's x64.
    words = ["--quick", "--case", "question", "black-scholes-hessian", "--sizes", "12"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words, "--folder", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the question's f, gradient over x0: 12 points" in done.stdout
    rows = json.loads((tmp_path / "times.json").read_text())["rows"]
    status = {(row["case"], row["rival"]): row["status"] for row in rows}
    assert set(status.values()) <= {"timed", "skipped"}, status
    for case in "question", "black-scholes-hessian":
        for rival in (
            "gradsweep fused, torch",
            "gradsweep fused, jax, new arrays",
            "gradsweep labelled, jax",
            "jax, reverse",
        ):
            assert status[case, rival] == "timed"


def test_a_rival_that_is_wrong_is_told_and_not_timed():
    problem = Problem(CASES["question"], 9, 2)
    right = RIVALS["NumPy by hand"].prepare(problem)

    def prepare(_):
        return Work(right.call, lambda results: [1.0001 * a for a in right.read(results)])

    planted = Rival("planted", "NumPy", prepare)
    wrong, fine = race(problem, [planted, RIVALS["NumPy by hand"]], QUICK)
    assert (wrong.status, wrong.samples) == ("disagrees", ())
    assert "is off by" in wrong.reason
    assert fine.samples and all(np.array(fine.samples) > 0)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["Dr.Jit, reverse, frozen", "Dr.Jit, forward", "heyoka"])
def test_dr_jit_and_heyoka_compute_the_closed_form_of_every_case_that_they_can_express(case, name):
    pytest.importorskip({"D": "drjit", "h": "heyoka"}[name[0]])
    if (case, name) == ("lotka-volterra", "heyoka"):
        pytest.skip("it compiles the unrolled loop for a minute")
    row, work = start(Problem(CASES[case], 13, 2), RIVALS[name])
    if case == "black-scholes-hessian" and name != "heyoka":
        assert (row.status, row.reason) == ("skipped", "Dr.Jit has no second derivatives")
    elif "libLLVM" not in row.reason:
        assert work is not None, row


def test_dr_jit_without_llvm_is_skipped_with_the_reason(tmp_path):
    pytest.importorskip("drjit")
    words = ["--quick", "--case", "question", "--sizes", "12", "--rival", "Dr.Jit, reverse"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words, "--folder", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"DRJIT_LIBLLVM_PATH": str(tmp_path / "none.so")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "skipped: no libLLVM for Dr.Jit (DRJIT_LIBLLVM_PATH may name one" in done.stdout


def test_scaling_prints_a_line_for_each_number_of_workers_and_the_model():
    pytest.importorskip("distributed")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scaling", "--points", "1e4", "--workers", "1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    _, line, model = done.stdout.splitlines()
    assert line.startswith("  1 worker: ") and "10,648 points in 1 parts" in line
    assert model.startswith("A part is ")
