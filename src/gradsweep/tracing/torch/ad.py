"""torch's two operators, pushforward and pullback, in both of torch's forms.

Each implements `point.AD`. TorchAD goes through autograd: it is recorded, and the loop engine
runs it. FunctionalAD goes through torch.func, which vmap can vectorise.

In every mode a derivative means what torch's backward says. torch's forward formulas differ from it
under `no_grad`, for matrices that are taken to be symmetric, at some kinks, and where an
autograd.Function has no `jvp`. So the pushforward is the transpose of the pullback. Where the
pullback cannot be differentiated, may not be linear, or takes logarithms, its rows are used
instead; and torch's forward formulas are used where there is no backward at all.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from typing import Any

import torch
from torch.autograd import forward_ad

from gradsweep.request.quantities import Mode
from gradsweep.support.errors import OutputError
from gradsweep.tracing.point import RealOutput
from gradsweep.tracing.torch.graph import Graph, Rules
from gradsweep.tracing.torch.linear import (
    Seeds,
    Tensors,
    basis_first,
    contracted,
    filled,
    is_differentiable,
    require_transpose,
    shaped,
    standard_basis,
)
from gradsweep.tracing.torch.meaning import Watch

__all__ = ["FunctionalAD", "TorchAD", "float_dtype"]

_FRAMEWORKS_OWN = Rules()

# What torch raises where it has no rule.
_REFUSALS = (NotImplementedError, RuntimeError)

# Up to this many basis vectors are taken one by one. Under the vmap over points, a second vmap over
# a basis splits a product of matrices into many small ones, which takes up to five times as long.
_FEW_VECTORS = 8


def float_dtype(dtypes: Sequence[str]) -> torch.dtype:
    """Return the dtype of results: float64, unless every floating leaf is narrower."""
    floating = {dtype for dtype in dtypes if dtype.startswith("float")}
    return torch.float32 if floating == {"float32"} else torch.float64


class _Arrays:
    """The methods that both forms share.

    Args:
        dtype: of floating results.
        rules: what is known of those of the function.
    """

    outer: Mode = "reverse"
    # A pushforward, the transpose of a pullback, takes as many operations as a second pullback
    # and is NaN where a formula of torch's ends with a choice: see `trace`.
    along: Mode = "reverse"

    def __init__(self, dtype: torch.dtype, rules: Rules = _FRAMEWORKS_OWN):
        self.dtype, self.rules = dtype, rules

    @property
    def knows_rules(self) -> bool:
        return True

    @property
    def is_symmetric(self) -> bool:
        return self.rules.are_symmetric

    def jvp(self, function: Callable, x: Tensors, v: Seeds) -> tuple[Tensors, Tensors]:
        try:
            y, push = self._transposed(function, x)
            return y, push(v)
        except _REFUSALS as error:
            refusal = error
        try:
            y, rows = self._rows(function, x)
        except _REFUSALS:
            return self._by_forward_formulas(function, x, refusal)(v)
        return y, tuple(contracted(row, v) for row in rows)

    def columns(self, function: Callable, x: Tensors) -> tuple[Tensors, list[Tensors]]:
        try:
            y, push = self._transposed(function, x)
            return y, self.over_basis(push, x)
        except _REFUSALS as error:
            refusal = error
        try:
            y, rows = self._rows(function, x)
        except _REFUSALS:
            push = self._by_forward_formulas(function, x, refusal)
            return tuple(function(*x)), self.over_basis(lambda v: push(v)[1], x)
        return y, [tuple(basis_first(row[i], x[i].ndim) for row in rows) for i in range(len(x))]

    def _transposed(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        """Return y and v -> J v: the derivative along v of w J, which is linear in w.

        Reference: Townsend (2017), "A new trick for calculating Jacobian vector products".

        Raises:
            _REFUSALS: when torch cannot differentiate w J, or a rule of the function's own may not
                be linear in w.
        """
        raise NotImplementedError

    def _by_forward_formulas(
        self, function: Callable, x: Tensors, refusal: Exception
    ) -> Callable[[Seeds], tuple[Tensors, Tensors]]:
        """Return v -> (y, J v) by torch's forward formulas, which raises `refusal` without one."""
        raise NotImplementedError

    def vjp(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        raise NotImplementedError

    def over_basis(self, function: Callable, like: Tensors) -> list[Tensors]:
        raise NotImplementedError

    def _rows(self, function: Callable, x: Tensors) -> tuple[Tensors, list[Tensors]]:
        y, pull = self.vjp(function, x)
        return y, self.over_basis(pull, y)

    def as_output(self, path: str, value: Any) -> RealOutput:
        if isinstance(value, torch.Tensor) or hasattr(value, "__array__"):
            array = torch.as_tensor(value)
        elif isinstance(value, bool | int | float | complex):
            array = torch.tensor(value)
        else:
            raise OutputError(
                f"{_called(path)} is {_described(value)}.\n"
                f"Return numbers, tensors, or a dict or tuple of them."
            )
        if array.dtype is torch.bool:
            return RealOutput(array)
        is_complex = array.is_complex()
        if is_complex:
            array = torch.view_as_real(array.resolve_conj())
        # A wider dtype stays; a narrower one would lose digits silently.
        if not array.is_floating_point() or array.dtype.itemsize < self.dtype.itemsize:
            array = array.to(self.dtype)
        return RealOutput(array, is_complex)

    def paired(self, array: torch.Tensor) -> torch.Tensor:
        return torch.stack([array, torch.zeros_like(array)], -1)

    def zeros_like(self, array: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(array)

    def nothing_like(self, array: torch.Tensor) -> None:
        return None

    def total(self, array: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
        return array.sum(tuple(axes)) if axes else array

    def moveaxis(
        self, array: torch.Tensor, source: Sequence[int], target: Sequence[int]
    ) -> torch.Tensor:
        return torch.movedim(array, tuple(source), tuple(target))

    def stack(self, arrays: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.stack(tuple(arrays))

    def sqrt(self, array: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(array)

    def scale(self, arrays: Sequence[torch.Tensor]) -> torch.Tensor:
        largest = reduce(torch.maximum, [array.abs().amax(-1) for array in arrays])
        limits = torch.finfo(largest.dtype)
        is_usual = (largest >= limits.tiny) & (largest <= 1 / limits.tiny)
        return torch.where(is_usual, largest, torch.ones_like(largest))


def _called(path: str) -> str:
    return f"output {path!r}" if path else "what the function returns"


def _described(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


class TorchAD(_Arrays):
    """The operators by autograd.

    Args:
        twice: whether what `vjp` returns is differentiated again.
        rules: what is known of those of the function; None to find out.
        watch: what is seen of the function, while that is found out.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        twice: bool,
        rules: Rules | None = None,
        watch: Watch | None = None,
    ):
        super().__init__(dtype, rules or _FRAMEWORKS_OWN)
        self.twice, self._watch = twice, watch
        self._looks_for_rules = rules is None
        self._graph = Graph()
        # What was pushed starts with choices, and so does what is pulled back through it.
        self._has_pushed = False

    @property
    def knows_rules(self) -> bool:
        return not self._looks_for_rules

    def _transposed(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        twice, self.twice = self.twice, True
        try:
            y, pull = self.vjp(function, x)
            if self.rules.are_own or self.rules.take_logarithms:
                raise _no_linear_function()
            # The result is the same for every w.
            w = tuple(
                torch.ones_like(array).requires_grad_()
                if is_differentiable(array)
                else torch.ones_like(array, dtype=self.dtype)  # the derivative's dtype
                for array in y
            )
            pulled, transposed = self._vjp_at(lambda *w: pull(w), w)
        finally:
            self.twice = twice

        def push(v: Seeds) -> Tensors:
            self._has_pushed = True
            with self._linear(transposed=True):
                pushed = transposed(v)
            require_transpose(x, y, v, pulled, pushed)
            return pushed

        return y, push

    def _linear(self, transposed: bool) -> AbstractContextManager[None]:
        """Return the context for computing a pullback, or the transpose of one."""
        return nullcontext()

    def _by_forward_formulas(
        self, function: Callable, x: Tensors, refusal: Exception
    ) -> Callable[[Seeds], tuple[Tensors, Tensors]]:
        def push(v: Seeds) -> tuple[Tensors, Tensors]:
            with forward_ad.dual_level():
                duals = map(forward_ad.make_dual, x, filled(v, x))
                try:
                    pairs = [forward_ad.unpack_dual(y) for y in function(*duals)]
                except _REFUSALS:
                    raise refusal from None
            return tuple(pair.primal for pair in pairs), tuple(
                torch.zeros_like(pair.primal) if pair.tangent is None else pair.tangent
                for pair in pairs
            )

        return push

    def vjp(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        with torch.enable_grad():
            fresh = tuple(array.view_as(array) for array in x)
            for array in fresh:
                if not array.requires_grad:
                    array.requires_grad_()
            return self._vjp_at(function, fresh)

    def _vjp_at(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        with torch.enable_grad():
            y = tuple(function(*x))
        if self._looks_for_rules:
            is_hooked = self._watch is not None and self._watch.is_hooked
            self.rules = self.rules.together(self._graph.rules_of(y)).together(
                Rules(are_own=is_hooked)
            )
        connected = [i for i, array in enumerate(y) if array.requires_grad]
        wanted = [i for i, array in enumerate(x) if array.requires_grad]

        def pull(w: Seeds) -> Tensors:
            found: dict[int, torch.Tensor | None] = {}
            # Zero times the infinite slope of another output would be NaN.
            pulled = [(y[i], w[i]) for i in connected if w[i] is not None]
            if pulled and wanted:
                # w given as `grad_outputs` makes torch import its symbolic shapes: 0.4 s.
                with torch.enable_grad():
                    product = sum((output * weight).sum() for output, weight in pulled)
                with self._linear(transposed=self._has_pushed):
                    gradients = torch.autograd.grad(
                        product,
                        [x[i] for i in wanted],
                        retain_graph=True,
                        create_graph=self.twice,
                        allow_unused=True,
                    )
                found = dict(zip(wanted, gradients))
            given = (found.get(i) for i in range(len(x)))
            return tuple(torch.zeros_like(a) if g is None else g for a, g in zip(x, given))

        return y, pull

    def over_basis(self, function: Callable, like: Tensors) -> list[Tensors]:
        tables = []
        for position, (array, basis) in enumerate(zip(like, standard_basis(like))):
            rows = []
            for vector in basis.unbind():
                seeds: list[torch.Tensor | None] = [None] * len(like)
                seeds[position] = vector.reshape(array.shape)
                rows.append(function(seeds))
            if not rows:  # an array without elements: the shapes still have to be right
                rows, kept = [function([None] * len(like))], 0
            else:
                kept = len(rows)
            tables.append(tuple(shaped(torch.stack(column)[:kept], array) for column in zip(*rows)))
        return tables


def _no_linear_function() -> NotImplementedError:
    return NotImplementedError(
        "a rule of the function's own for the gradient may be no linear function of it"
    )


class FunctionalAD(_Arrays):
    """The operators by torch.func, which torch.func.vmap and torch.compile accept."""

    def _transposed(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        if self.rules.are_own:
            raise _no_linear_function()
        y = tuple(function(*x))

        def pulled(*w: torch.Tensor) -> Tensors:
            return self.vjp(function, x)[1](w)

        results, transposed = torch.func.vjp(pulled, *map(torch.ones_like, y))
        return y, lambda v: transposed(filled(v, results))

    def _by_forward_formulas(
        self, function: Callable, x: Tensors, refusal: Exception
    ) -> Callable[[Seeds], tuple[Tensors, Tensors]]:
        def push(v: Seeds) -> tuple[Tensors, Tensors]:
            try:
                return torch.func.jvp(lambda *x: tuple(function(*x)), x, filled(v, x))
            except _REFUSALS:
                raise refusal from None

        return push

    def vjp(self, function: Callable, x: Tensors) -> tuple[Tensors, Callable]:
        y, pull_all = torch.func.vjp(lambda *x: tuple(function(*x)), *x)
        if len(y) == 1:
            return y, lambda w: pull_all(filled(w, y))
        # One by one: zero times the infinite slope of another output would be NaN.
        pulls = [torch.func.vjp(lambda *x, o=o: function(*x)[o], *x)[1] for o in range(len(y))]

        def pull(w: Seeds) -> Tensors:
            rows = [pulled(weight) for pulled, weight in zip(pulls, w) if weight is not None]
            if not rows:
                return tuple(torch.zeros_like(array) for array in x)
            return tuple(sum(column[1:], column[0]) for column in zip(*rows))

        return y, pull

    def over_basis(self, function: Callable, like: Tensors) -> list[Tensors]:
        tables = []
        for position, (array, basis) in enumerate(zip(like, standard_basis(like))):

            def apply(vector: torch.Tensor, position=position, array=array) -> Tensors:
                seeds: list[torch.Tensor | None] = [None] * len(like)
                seeds[position] = vector.reshape(array.shape)
                return function(seeds)

            if 0 < array.numel() <= _FEW_VECTORS:
                rows = [apply(vector) for vector in basis.unbind()]
                columns = tuple(torch.stack(column) for column in zip(*rows))
            else:
                columns = torch.func.vmap(apply)(basis)
            tables.append(tuple(shaped(column, array) for column in columns))
        return tables
