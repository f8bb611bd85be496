"""Put one function on trial: run combinations of it and judge their results.

A DrawnFunction enters; counts leave, or a `Wrong` is raised. Where the framework itself
differentiates the function, gradsweep must compute the right numbers, or refuse in words.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradsweep import api
from gradsweep.support.errors import GradsweepError
from gradsweep.testing.fuzz.combinations import Combination
from gradsweep.testing.fuzz.comparison import Judge
from gradsweep.testing.fuzz.counts import Counts
from gradsweep.testing.fuzz.drawing.functions import DrawnFunction
from gradsweep.testing.fuzz.limits import Late, at_most
from gradsweep.testing.fuzz.precision import check_programs
from gradsweep.testing.fuzz.reference.base import ByForwardMode
from gradsweep.testing.fuzz.reference.choice import make_reference
from gradsweep.testing.fuzz.wrong import kind_of

__all__ = ["Limits", "Refused", "Trial", "refuses_too"]

# Features that cut off a derivative on purpose, where modes may differ by design.
_CUTTING = {"no_grad", "other_rules", "detach", "stop_gradient", "numbers", "numpy", "out"}


class Refused(Exception):
    """The framework does not differentiate the function."""


@dataclass(frozen=True)
class Limits:
    """Bounds on a trial.

    Attributes:
        seconds: how long one combination may take.
    """

    seconds: float = 20.0


class Trial:
    """One function, judged by its framework's own derivatives.

    Raises:
        Refused: when the framework does not differentiate it.
    """

    def __init__(self, drawn: DrawnFunction, counts: Counts, limits: Limits):
        self.drawn, self.counts, self.limits = drawn, counts, limits
        self.function = drawn.make()
        names = [argument.name for argument in drawn.arguments.differentiated]
        flat = drawn.make(is_flat=True)
        reference = make_reference(drawn.framework, flat, names, drawn.dtype)
        self.judge = Judge(
            drawn.arguments,
            reference,
            drawn.n_bytes,
            counts,
            cuts=bool(drawn.features & _CUTTING),
        )
        n_points = len(drawn.arguments.points())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                shapes = [self._shapes(n) for n in range(n_points)]
            except Exception as error:
                raise Refused(f"{type(error).__name__}: {_first_line(error)}") from error
        if any(shape != shapes[0] for shape in shapes):
            raise Refused("outputs of other shapes at other points")
        self.outputs = shapes[0]

    def _shapes(self, n: int) -> dict[str, tuple[int, ...]]:
        return {path: np.shape(y) for path, y in self.judge.at(n, 1).y.items()}

    @property
    def is_scalar(self) -> bool:
        return all(shape == () for shape in self.outputs.values())

    def run(self, combination: Combination) -> None:
        """Compute one combination and judge the result.

        Raises:
            Wrong: when it is not right.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if combination.order > 1 and not self._has_second():
                return
            self.counts.n_combinations += 1
            ds = self._asked(combination)
            if ds is None:
                return
            told = self.judge.disagreement(combination, ds)
        if told:
            raise kind_of("number")(self.drawn, combination, told)

    def _has_second(self) -> bool:
        try:
            for n in range(len(self.drawn.arguments.points())):
                self.judge.at(n, 2)
        except Exception as error:
            self.counts.drawn_again[f"second order: {type(error).__name__}"] += 1
            return False
        return True

    def _asked(self, combination: Combination) -> Any:
        """Return the Dataset, or None where gradsweep refuses in words or the framework raises."""
        quantity: Callable[..., Any] = getattr(api, combination.quantity)
        drawn = self.drawn
        try:
            with at_most(self.limits.seconds):
                return quantity(
                    self.function,
                    drawn.arguments.sweep,
                    *combination.directions,
                    framework=drawn.computed_by,
                    **combination.options,
                )
        except Late as late:
            raise kind_of("time")(drawn, combination, f"took {late}") from None
        except GradsweepError as error:
            self.counts.refused[f"{type(error).__name__}: {_first_line(error)}"] += 1
            return None
        except Exception as error:
            if self._forward_refuses(combination, error):
                self.counts.refused["the framework's own forward mode raises"] += 1
                return None
            told = f"raised {type(error).__name__}: {_first_line(error)}"
            raise kind_of(f"error {type(error).__name__}")(drawn, combination, told) from error

    def _forward_refuses(self, combination: Combination, error: Exception) -> bool:
        if combination.mode != "forward":
            return False
        try:
            values = self.drawn.arguments.at(self.drawn.arguments.points()[0])
            self.judge.reference.forward_at(values, max(1, combination.order))
        except Exception as own:
            return type(own) is type(error)
        return False

    def check_precisely(self) -> None:
        """Evaluate the Programs of the value and of the first derivative in fifty digits."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with at_most(self.limits.seconds):
                    told = check_programs(self.function, self.drawn, self.judge, self.counts)
            except Late:
                self.counts.refused["mpmath: took too long"] += 1
                return
        if told:
            raise kind_of("number in mpmath")(self.drawn, None, told)


def refuses_too(drawn: DrawnFunction, counts: Counts, limits: Limits) -> None:
    """Check that gradsweep refuses the first derivative of a function that the framework refuses.

    It may instead give the derivative of the framework's forward mode, where there is one.

    Raises:
        Wrong: when it answers something else, or does not return.
    """
    function = drawn.make()
    combination = Combination("jacobian")
    jacobian: Callable[..., Any] = api.jacobian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with at_most(limits.seconds):
                ds = jacobian(function, drawn.arguments.sweep, framework=drawn.computed_by)
        except Late as late:
            raise kind_of("time")(drawn, combination, f"took {late}") from None
        except Exception:
            counts.n_refused_too += 1
            return
        if "no_grad" in drawn.features:
            counts.excluded["under no_grad, which the framework's forward mode ignores"] += 1
            return
        names = [argument.name for argument in drawn.arguments.differentiated]
        flat = drawn.make(is_flat=True)
        forward = ByForwardMode(make_reference(drawn.framework, flat, names, drawn.dtype))
        judge = Judge(drawn.arguments, forward, drawn.n_bytes, counts)
        try:
            told = judge.disagreement(combination, ds)
        except Exception as error:
            name = next(iter(ds.data_vars))
            told = f"found {name} = {ds[name].values.tolist()}, and the framework raises\n{error}"
    if told:
        raise kind_of("answer")(drawn, combination, told)
    counts.n_refused_too += 1


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
