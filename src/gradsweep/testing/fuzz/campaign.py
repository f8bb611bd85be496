"""A campaign: draw and try functions until time or their number is up, and shrink failures.

A framework, features and a seed enter; Counts and the failures leave. hypothesis draws and
shrinks, in batches with a seed each, so that a batch can be run again by itself.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from gradsweep.testing.fuzz.combinations import Combination, combinations, draw_combination
from gradsweep.testing.fuzz.counts import Counts
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.dialects import dialect_of
from gradsweep.testing.fuzz.drawing.functions import DrawnFunction, draw_function
from gradsweep.testing.fuzz.growth import check_body, check_growth
from gradsweep.testing.fuzz.reduction import reduced
from gradsweep.testing.fuzz.trial import Limits, Refused, Trial, refuses_too
from gradsweep.testing.fuzz.wrong import Wrong

__all__ = ["Campaign", "Failure"]

# Functions drawn by one run of hypothesis, which remembers all of them.
_BATCH = 250

# Where the depth is "sampled", one function in this many is evaluated in mpmath. At any depth, one
# draw in this many is a body that is traced at three lengths.
_ONE_IN_MPMATH = 8
_ONE_IN_GROWTH = 40

# Of the functions that the framework refuses, one in this many is given to gradsweep.
_ONE_IN_REFUSALS = 4

_SHRINK_SECONDS = 60.0


class _Enough(BaseException):
    """Time is up. No Exception, so that hypothesis lets it pass."""


@dataclass(frozen=True, eq=False)
class Failure:
    """A failure, shrunk.

    Attributes:
        seed: the seed of its batch, which finds it again.
    """

    wrong: Wrong
    framework: str
    seed: int


@dataclass(eq=False)
class Campaign:
    """Try random functions of a framework.

    Attributes:
        depth: "sampled" for value, first derivative and one combination more; "full" for all.
        seconds: the time after which no function is begun.
        n_functions: the number of functions after which none is begun.
        keeps_going: whether it goes on after a failure.
        report: called with the counts after every batch.
    """

    framework: str
    features: frozenset[str]
    seed: int = 0
    depth: str = "sampled"
    seconds: float = float("inf")
    n_functions: int | None = None
    keeps_going: bool = False
    limits: Limits = field(default_factory=Limits)
    shrink_seconds: float = _SHRINK_SECONDS
    report: Callable[[Counts], None] = lambda counts: None

    def __post_init__(self) -> None:
        self.counts = Counts()
        self._until = time.monotonic() + self.seconds
        self._smallest: Wrong | None = None
        self._first_failed = 0.0

    def run(self) -> Iterator[Failure]:
        """Yield the failures as they are found."""
        batch = self.seed
        while not self._is_over():
            wrong = self._batch(batch)
            if wrong is not None:
                self.counts.n_failures += 1
                yield Failure(wrong, self.framework, batch)
                if not self.keeps_going:
                    return
            batch += 1
            self.report(self.counts)
            _forget(dialect_of(self.framework).computed_by)

    def _is_over(self) -> bool:
        n = self.n_functions
        return time.monotonic() > self._until or (n is not None and self.counts.n_functions >= n)

    def _batch(self, number: int) -> Wrong | None:
        """Run hypothesis once, and return the failure that it found, shrunk."""
        self._smallest = None

        @seed(number)
        @settings(
            max_examples=_BATCH,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
        )
        @given(st.data())
        def batch(data: st.DataObject) -> None:
            self._example(Choices(data.draw))

        with suppress(_Enough, Wrong, HypothesisException):
            batch()
        if self._smallest is None:
            return None
        return reduced(self._smallest, self._again, time.monotonic() + self.shrink_seconds / 2)

    def _example(self, choices: Choices) -> None:
        counts = self.counts
        if self._smallest is not None:
            # A function that is tried while shrinking is not counted.
            counts = Counts()
            if time.monotonic() > self._first_failed + self.shrink_seconds:
                raise _Enough
        elif self._is_over():
            raise _Enough
        try:
            self._try(choices, counts)
        except Wrong as wrong:
            if self._smallest is None:
                self._first_failed = time.monotonic()
            if self._smallest is None or _is_smaller(wrong, self._smallest):
                self._smallest = wrong
            raise

    def _try(self, choices: Choices, counts: Counts) -> None:
        if "growth" in self.features and choices.rarely(_ONE_IN_GROWTH):
            check_growth(choices, self.framework, self.features, counts, self.limits)
            return
        drawn = draw_function(choices, self.framework, self.features)
        try:
            trial = Trial(drawn, counts, self.limits)
        except Refused as refused:
            counts.drawn_again[str(refused)[:80]] += 1
            if "refusals" in self.features and choices.rarely(_ONE_IN_REFUSALS):
                refuses_too(drawn, counts, self.limits)
            return
        for combination in self._asked(choices, trial):
            trial.run(combination)
        is_full = self.depth == "full"
        if "mpmath" in self.features and (is_full or choices.rarely(_ONE_IN_MPMATH)):
            trial.check_precisely()
        counts.n_functions += 1
        counts.features.update(drawn.features)

    def _asked(self, choices: Choices, trial: Trial) -> Iterator[Combination]:
        arguments, outputs = trial.drawn.arguments, trial.outputs
        if self.depth == "full":
            yield from combinations(self.framework, arguments, outputs, self.features)
            return
        yield Combination("value")
        yield Combination("gradient" if trial.is_scalar else "jacobian")
        yield draw_combination(choices, self.framework, arguments, outputs, self.features)

    def _again(self, drawn: DrawnFunction, wrong: Wrong) -> Wrong | None:
        """Return the failure of a smaller function if it is of the same kind, else None."""
        try:
            if wrong.what == "growth":
                check_body(drawn, Counts(), self.limits)
                return None
            if wrong.what == "answer":
                try:
                    Trial(drawn, Counts(), self.limits)
                except Refused:
                    refuses_too(drawn, Counts(), self.limits)
                return None
            trial = Trial(drawn, Counts(), self.limits)
            if wrong.combination is None:
                trial.check_precisely()
            else:
                trial.run(wrong.combination)
        except Wrong as found:
            return found if found.what == wrong.what else None
        except Exception:
            return None
        return None


def _is_smaller(a: Wrong, b: Wrong) -> bool:
    return (a.what != b.what, len(a.text)) < (False, len(b.text))


def _forget(framework: str) -> None:
    """Drop what the framework that computes keeps of functions that are gone."""
    if framework == "jax":
        import jax

        jax.clear_caches()
    gc.collect()
