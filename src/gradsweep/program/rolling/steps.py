"""Find equations that are the same at every step, and read the same or what the step before left.

A Table and a Repeat enter, Steps leave, which a Loop can stand for exactly.
Never sees how a Loop is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gradsweep.program.rolling.repeats import Repeat, find_repeats
from gradsweep.program.rolling.table import Table

__all__ = ["Steps", "find_steps"]

# A step may read what up to so many steps before it left.
_DEEPEST = 4

# Several steps that are alike may be taken for one, so that fewer variables come from far away.
_TOGETHER = (2, 3, 4)

# What copying a number into a row costs, in equations.
_COPY = 4


@dataclass(frozen=True)
class Steps:
    """Consecutive steps of equally many equations.

    What a step reads at some place comes from the same place of the same step at every step, or
    of the same number of steps before, or from before all steps.

    Attributes:
        start: the first equation of the first step.
        size: how many equations a step has.
        n_copied: how many numbers of every step have to be copied into rows.
    """

    table: Table
    start: int
    size: int
    n_steps: int
    n_copied: int = 0

    @property
    def end(self) -> int:
        return self.start + self.n_steps * self.size

    @cached_property
    def base(self) -> np.ndarray:
        """The variable of the first equation of each step."""
        return self.table.first + self.start + self.size * np.arange(self.n_steps)

    @cached_property
    def read(self) -> np.ndarray:
        """The variables that are read: a row for each step, a column for each place."""
        return self.table.read(self.start, self.end).reshape(self.n_steps, -1)

    @property
    def n_saved(self) -> int:
        """How many equations less there are to compile."""
        return (self.n_steps - 1) * self.size - _COPY * self.n_steps * self.n_copied


def find_steps(table: Table, repeat: Repeat, least: int) -> list[Steps]:
    """Return the Steps among equations that are alike, each of which saves `least` or more."""
    best: list[Steps] = []
    found: list[Steps]
    for n_together in _how_many_together(table, repeat):
        size = n_together * repeat.period
        if repeat.end - repeat.start < 3 * size:
            continue
        found = []
        for steps in _of_size(table, repeat, size):
            if steps.n_saved >= least:
                if found and steps.start < found[-1].end:
                    found[-1] = replace(found[-1], n_steps=found[-1].n_steps - 1)
                found.append(steps)
        best = max(best, found, key=_n_saved)
        if 2 * _n_saved(best) >= repeat.end - repeat.start and not any(s.n_copied for s in best):
            break
    return best


def _how_many_together(table: Table, repeat: Repeat) -> Iterator[int]:
    """Yield how many steps that are alike to take for one, the likeliest first.

    A variable from far away is told by its row, or by how many steps ago it was read last.

    Reference: Baker (1993), A theory of parameterized pattern matching.
    """
    yield 1
    whole = Steps(table, repeat.start, repeat.period, (repeat.end - repeat.start) // repeat.period)
    place = _find_sources(whole).place
    row, _ = table.places_in_rows(whole.read)
    n_variables = table.first + len(table.tokens)
    named = (whole.read + n_variables * np.arange(place.shape[1])).T
    order = np.argsort(named, axis=None, kind="stable")
    is_again = np.diff(named.ravel()[order]) == 0
    ago = np.zeros(named.size, dtype=np.int64)
    ago[order[1:][is_again]] = np.diff(order)[is_again]
    told = np.where(row >= 0, row, ago.reshape(named.shape).T)
    told = np.where(place != _FAR, place, told)
    kind = np.where(place != _FAR, 0, np.where(row >= 0, 1, 2))
    forms = np.unique(np.hstack([kind, told]), axis=0, return_inverse=True)[1].ravel()
    repeats = sorted(find_repeats(forms, 3), key=lambda r: r.start - r.end)
    periods = [r.period for r in repeats[:3] if r.period > 1]
    yield from dict.fromkeys([*periods, *_TOGETHER])


def _n_saved(found: list[Steps]) -> int:
    return sum(steps.n_saved for steps in found)


def _of_size(table: Table, repeat: Repeat, size: int) -> Iterator[Steps]:
    """Yield the Steps of one size; the first step of one may be the last of the one before."""
    start = _best_start(table, repeat, size)
    if (table.ahead[start : start + size] > np.arange(size)).any():
        return  # no step has all results of a Loop
    whole = Steps(table, start, size, (repeat.end - start) // size)
    marks = table.marks[start : whole.end].reshape(-1, size)
    sources = _find_sources(whole)
    is_same = (marks[1:] == marks[:-1]).all(axis=1) & sources.go_on.all(axis=1)
    is_same &= (sources.place[1:] == sources.place[:-1]).all(axis=1)
    edges = np.flatnonzero(~is_same) + 1
    for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), whole.n_steps]):
        begin = _outside(whole, sources.place, begin, end)
        if end - begin > 1:
            is_alike = begin > 0 and bool((marks[begin - 1] == marks[begin]).all())
            begin -= is_alike and _may_begin_before(whole, sources, begin, end)
            copied = whole.read[begin:end, sources.is_copied & (sources.place[end - 1] == _FAR)]
            n_copied = np.unique(copied, axis=1).shape[1]
            yield Steps(table, start + begin * size, size, end - begin, n_copied)


class _Sources(NamedTuple):
    """Where the variables that steps read come from.

    Attributes:
        place: the place in the reading step; negative, in a step before; or _FAR.
        go_on: for each step after the first and each column, whether a variable from far away is
            the one that the step before read, or the next or last one in its row.
        is_copied: for each column, whether most variables from far away are not.
    """

    place: np.ndarray
    go_on: np.ndarray
    is_copied: np.ndarray


_FAR = np.iinfo(np.int64).min


def _find_sources(steps: Steps) -> _Sources:
    table, read = steps.table, steps.read
    distance = read - steps.base[:, None]
    is_near = (read >= steps.base[0]) & (distance >= -_DEEPEST * steps.size)
    place = np.where(is_near, distance, _FAR)
    here, before = read[1:], read[:-1]
    is_constant = (table.n_inputs <= read) & (read < table.first)
    row, along = table.places_in_rows(read)
    is_in_row = (row[1:] == row[:-1]) & (row[1:] >= 0)
    ways = np.stack(
        [
            here == before,
            is_in_row & (along[1:] == along[:-1] + 1),
            is_in_row & (along[1:] == along[:-1] - 1),
            is_constant[1:] & is_constant[:-1],
        ]
    )
    is_far = (place[1:] == _FAR) & (place[:-1] == _FAR)
    counts = (ways & is_far).sum(axis=1)
    usual = counts.argmax(axis=0)
    is_copied = 2 * counts.max(axis=0) <= is_far.sum(axis=0)
    go_on = np.take_along_axis(ways, usual[None, None, :], axis=0)[0]
    return _Sources(place, go_on | ~is_far | is_copied, is_copied)


def _outside(whole: Steps, place: np.ndarray, begin: int, end: int) -> int:
    """Return the first step from which on nothing far away is one of the steps' own variables."""
    while end - begin > 1:
        last = whole.read[begin:end, place[begin] == _FAR].max(initial=-1)
        if last < whole.base[begin]:
            break
        begin = (int(last) - int(whole.base[0])) // whole.size + 1
    return begin


def _may_begin_before(whole: Steps, sources: _Sources, begin: int, end: int) -> bool:
    """Tell whether the step before the first may be one too: it reads other initial values."""
    first, place = whole.base[begin - 1], sources.place
    is_own, is_far = place[begin] >= 0, place[begin] == _FAR
    return bool(
        sources.go_on[begin - 1].all()
        and (place[begin - 1, is_own] == place[begin, is_own]).all()
        and (whole.read[begin - 1, ~is_own] < first).all()
        and (whole.read[begin:end, is_far] < first).all()
    )


def _best_start(table: Table, repeat: Repeat, size: int) -> int:
    """Return where steps begin such that the fewest variables pass from one to the next.

    A product that passes is no longer added in one operation, so it counts a little more.
    """
    n_steps = (repeat.end - repeat.start) // size
    middle = repeat.start + n_steps // 2 * size
    read = table.read(middle, middle + size)
    distance = table.readers(middle, middle + size) + table.first - read
    near = (distance <= _DEEPEST * size) & (read >= table.first + repeat.start)
    reach = np.zeros(size, dtype=np.int64)
    np.maximum.at(reach, (read[near] - table.first - repeat.start) % size, distance[near])
    one_step = slice(repeat.start, repeat.start + size)
    weight = 2 + table.is_product[one_step]
    begins = np.arange(size) + 1
    passing = np.zeros(2 * size + 1, dtype=np.int64)
    np.add.at(passing, begins, weight)
    np.add.at(passing, begins + reach % size, -weight)
    passing = np.cumsum(passing)
    cost = passing[:size] + passing[size : 2 * size]
    cost[table.ahead[one_step] > 0] = np.iinfo(np.int64).max
    return repeat.start + int(np.argmin(cost))
