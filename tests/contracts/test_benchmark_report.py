"""What the benchmark says of times that are given: who is faster, what is shown, what is kept."""

import json

import pytest

from benchmarks.cases import CASES, Problem
from benchmarks.race import Row, race
from benchmarks.record import DifferentMachine, Record
from benchmarks.report.page import page
from benchmarks.report.tables import summary, table
from benchmarks.report.verdict import compared, ratio
from benchmarks.rivals import RIVALS
from gradsweep.comparison.clock import QUICK

MACHINE = {
    "processor": "an abacus",
    "processors": 2,
    "threads": 2,
    "packages": {},
    "effort": "full",
    "system": "wood",
    "date": "1800",
}


def row(rival, family, *samples, n_points=1_000, reuses=False, reason="", case="black-scholes"):
    return Row(
        case,
        n_points,
        rival,
        family,
        reuses_buffers=reuses,
        is_ours=family.startswith("gradsweep"),
        status="timed" if samples else "skipped",
        reason=reason,
        first_seconds=0.5,
        samples=samples,
    )


def rows(n_points=1_000):
    """Return rows whose ratios are whole: ours takes 2 ms into out=, 4 into new arrays."""
    return [
        row("jax", "gradsweep, out=", 1e-3, 1e-3, 1e-3, n_points=n_points, reuses=True),
        row("torch", "gradsweep, out=", 2e-3, 2e-3, 2e-3, n_points=n_points, reuses=True),
        row("torch, new arrays", "gradsweep, new arrays", *[4e-3] * 3, n_points=n_points),
        row("labelled", "gradsweep, labelled", *[8e-3] * 3, n_points=n_points),
        row("C", "C", 1e-3, 1e-3, 1e-3, n_points=n_points, reuses=True),
        row("Dr.Jit, reverse", "Dr.Jit", 6e-3, 6e-3, 6e-3, n_points=n_points),
        row("Dr.Jit, forward", "Dr.Jit", 9e-3, 9e-3, 9e-3, n_points=n_points),
        row("heyoka", "heyoka", n_points=n_points, reason="it was not wanted"),
    ]


def test_a_ratio_is_the_median_over_rounds_and_not_the_ratio_of_medians():
    one, other = row("a", "C", 1.0, 4.0, 9.0), row("b", "JAX", 2.0, 2.0, 18.0)
    assert ratio(one, other) == 0.5  # of 0.5, 2 and 0.5; the medians are 4 and 2


@pytest.mark.parametrize(
    "samples, words",
    [
        ((1.0, 1.1, 1.2), "1.8 times faster than"),
        ((4.0, 4.4, 4.1), "2.0 times slower than"),
        ((60.0, 60.0, 62.0), "30 times slower than"),
        ((2.04, 2.05, 2.03), "as fast as"),  # by less than the last digit
        ((1.0, 2.6, 3.0, 1.2, 2.9), "as fast as"),  # now this, now that: neither is
        ((1.0,), "2.0 times faster than"),
    ],
)
def test_neither_is_faster_where_the_rounds_do_not_agree(samples, words):
    assert compared(row("a", "C", *samples), row("b", "JAX", *[2.0] * len(samples))) == words


@pytest.mark.parametrize(
    "before, status",
    [
        ([(1_000, 0.1)], "skipped"),  # 10 s at 100,000 points
        ([(1_000, 0.1), (10_000, 0.11)], "timed"),  # most of it was no work of the points
        ([(10_000, 10.0), (1_000, 0.001)], "skipped"),
        ([(10, 1.0)], "timed"),  # so few points tell nothing
    ],
)
def test_the_largest_size_so_far_tells_who_would_take_too_long(before, status):
    problem = Problem(CASES["question"], 100_000, 1)
    rival = RIVALS["NumPy by hand"]
    rows = [row(rival.name, rival.family, seconds, n_points=n) for n, seconds in before]
    (found,) = race(problem, [rival], QUICK, rows)
    assert found.status == status


def test_the_page_shows_the_slower_of_ours_and_the_fastest_of_a_rival():
    text = page([*rows(), *rows(100_000)], [], "an abacus")
    assert "| points | 1,000 | 100,000 |" in text
    assert "| gradsweep, into out= | 2 ms | 2 ms |" in text
    assert "| Dr.Jit | 6 ms | 6 ms |" in text
    assert "Not in the table: heyoka (it was not wanted)." in text


def test_new_arrays_and_labelled_results_stand_beside_what_makes_new_arrays():
    text = page(rows(), [], "an abacus")
    into, anew, labelled = (line for line in text.splitlines() if line.startswith("- A call"))
    assert (
        "takes 2 ms: 2.0 times slower than C by hand (1 ms), 3.0 times faster than Dr.Jit" in into
    )
    assert anew.endswith("makes new arrays takes 4 ms: 1.5 times faster than Dr.Jit (6 ms).")
    assert labelled.endswith("labelled result takes 8 ms: 1.3 times slower than Dr.Jit (6 ms).")


def test_the_tables_of_the_terminal_measure_like_by_like():
    lines = {line.split("  ")[1]: line for line in table(rows()).splitlines()[2:]}
    assert lines["Dr.Jit, reverse"].split()[-2:] == ["1.5", "6"]  # beside new arrays, and C
    assert lines["C"].split()[-2:] == ["0.5", "1"]  # beside reused ones
    assert lines["heyoka"].endswith("skipped: it was not wanted")
    assert summary(rows()).endswith("1.5 times faster than Dr.Jit, reverse")


def test_a_run_continues_where_another_stopped(tmp_path):
    begun = Record(tmp_path, MACHINE)
    begun.put(rows(100_000))
    continued = Record.continued(tmp_path, MACHINE | {"date": "1801"})
    names = [row.rival for row in rows()]
    assert continued.has("black-scholes", 100_000, names)
    assert not continued.has("black-scholes", 1_000, names)
    assert not continued.has("black-scholes", 100_000, [*names, "another"])
    continued.put(rows())
    continued.put(rows()[:2])  # timed anew, so the others of that size are gone
    assert [row.n_points for row in continued.rows] == [1_000] * 2 + [100_000] * 8
    assert continued.rows[2:] == rows(100_000)


def test_times_of_two_machines_do_not_stand_in_one_table(tmp_path):
    Record(tmp_path, MACHINE).put(rows())
    with pytest.raises(DifferentMachine, match="measured with another threads: 2, not 1"):
        Record.continued(tmp_path, MACHINE | {"threads": 1})


def test_a_run_publishes_its_numbers_its_tables_and_its_page(tmp_path):
    record = Record(tmp_path, MACHINE, rows(), [row("jax", "JAX", 0.5)])
    files = {file.name for file in record.publish()}
    assert files >= {"times.json", "times.txt", "page.md"}
    document = json.loads((tmp_path / "times.json").read_text())
    assert [kept["median_seconds"] for kept in document["rows"][:2]] == [1e-3, 2e-3]
    assert "500 ms" in (tmp_path / "page.md").read_text()
