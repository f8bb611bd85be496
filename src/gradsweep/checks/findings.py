"""Findings: every comparison, and the verdict on all of them.

Comparisons with their verdicts enter; counts and a sentence leave. Nothing is judged here.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradsweep.checks.judgement import SUSPICIOUS, Verdict
from gradsweep.support.words import listed

__all__ = ["MOST_NAMED", "EstimateNote", "Findings", "Row"]

# The most entries of a list in a sentence.
MOST_NAMED = 4


@dataclass(frozen=True)
class EstimateNote:
    """Whether an estimate was made.

    Attributes:
        n_points: at how many points it was made.
        reason: why it was not made, or "".
        suspicion: what it found wrong with the function's values themselves, or "".
    """

    name: str
    n_points: int
    reason: str = ""
    suspicion: str = ""


@dataclass(frozen=True)
class Row:
    """One computed number beside one estimate of it.

    Attributes:
        variable: the derivative's name in a Dataset.
        index: the number's place in the derivative's own dims; for a part of a complex number or
            argument the word "real" or "imag".
        point: the number of its point in `Findings.points`.
        estimate: which estimate; "" when none could be made.
        error: the estimate's own error.
        allowed: the difference that rounding, the tolerances and that error allow.
        reason: the reason for the verdict, as a clause, or "".
    """

    variable: str
    index: tuple[int | str, ...]
    point: int
    estimate: str
    computed: float
    estimated: float
    error: float
    allowed: float
    verdict: Verdict
    reason: str = ""

    @property
    def name(self) -> str:
        """The number, as Python would index it: "darm_dq[0, 2]"."""
        return (
            f"{self.variable}[{', '.join(map(str, self.index))}]" if self.index else self.variable
        )

    @property
    def absolute(self) -> float:
        """The difference."""
        return abs(self.computed - self.estimated)

    @property
    def relative(self) -> float:
        """The difference, relative to the larger of the two; 0 where both are 0."""
        larger = max(abs(self.computed), abs(self.estimated))
        return 0.0 if self.absolute == 0 else self.absolute / larger

    @property
    def is_suspicious(self) -> bool:
        return self.verdict in SUSPICIOUS


@dataclass(frozen=True)
class Findings:
    """Every comparison.

    Attributes:
        function, quantity, framework, engine: what was checked.
        n_sweep_points: how many points the sweep has.
        points: for each checked point, the value of every argument there.
        described: the same points as text: the swept arguments, as in a call.
        categories: the categories of each point in words, such as "kind='call'"; "" for none.
        estimates: every estimate, also those that could not be made.
        rows: every comparison.
        notes: anything else that a reader should know.
    """

    function: str
    quantity: str
    framework: str
    engine: str
    n_sweep_points: int
    points: tuple[Mapping[str, np.ndarray], ...]
    described: tuple[str, ...]
    categories: tuple[str, ...]
    estimates: tuple[EstimateNote, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether something was compared and nothing is suspicious."""
        return not self.suspicious and any(row.verdict == "agrees" for row in self.rows)

    @cached_property
    def suspicious(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.is_suspicious)

    @cached_property
    def not_finite(self) -> tuple[int, ...]:
        """The points where some computed number is NaN or infinite."""
        found = {row.point for row in self.rows if not math.isfinite(row.computed)}
        return tuple(sorted(found))

    @property
    def sentence(self) -> str:
        """The verdict."""
        what = f"the {self.quantity} of {self.function}"
        where = f"{len(self.points)} of {_count(self.n_sweep_points, 'point')}"
        categories = {*self.categories}
        if len(categories) > 1:
            where += f" of {_count(len(categories), 'category')}"
        numbers = {(row.name, row.point) for row in self.rows}
        wrong = {(row.name, row.point) for row in self.suspicious}
        names = [note.name for note in self.estimates if not note.reason]
        if not wrong:
            agreed = {(row.name, row.point) for row in self.rows if row.verdict == "agrees"}
            if not agreed:
                return f"Nothing to say of {what}: no estimate could tell at {where}."
            rest = len(numbers) - len(agreed)
            # The contributions agree, and so do the partials.
            said = "agree" if self.quantity.endswith("s") else "agrees"
            subject = f"{what[0].upper()}{what[1:]}"
            if rest:
                said = f"{len(agreed):,} of {len(numbers):,} numbers agree"
                return f"{subject}: {said} with {listed(names)} at {where}, and none differs."
            return f"{subject} {said} with {listed(names)} at {where}."
        reasons = Counter(row.reason.partition(":")[0] for row in self.suspicious)
        (most, _), *_ = reasons.most_common(1)
        float32 = " float32 arithmetic inside the function is probable."
        likely = float32 if any("float32" in reason for reason in reasons) else ""
        variables = listed([*dict.fromkeys(row.variable for row in self.suspicious)], MOST_NAMED)
        among = dict.fromkeys(self.categories[row.point] for row in self.suspicious)
        # Where they are among all categories, none is to blame.
        alone = f", all with {_either([*among])}" if len(among) < len(categories) else ""
        return (
            f"Suspicious: {len(wrong):,} of {len(numbers):,} numbers of {what}, at {where}: "
            f"{variables}, {most}{alone}.{likely}"
        )


def _count(n: int, noun: str) -> str:
    if n == 1:
        return f"{n:,} {noun}"
    return f"{n:,} {noun[:-1]}ies" if noun.endswith("y") else f"{n:,} {noun}s"


def _either(categories: list[str]) -> str:
    apart = [f"({text})" if ", " in text else text for text in categories]
    return listed(apart, MOST_NAMED, "or")
