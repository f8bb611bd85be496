"""What random functions are made of: a table of features, each of which can be left out.

`--without` takes the names of features, and the grammars list their rows and blocks by them. Knows
nothing of how a statement is written.
"""

from collections.abc import Iterable
from typing import NamedTuple

from gradsweep.support.errors import ArgumentError, nearest

__all__ = ["FEATURES", "Feature", "chosen"]


class Feature(NamedTuple):
    """One row of the table.

    Attributes:
        frameworks: the frameworks whose grammars have it.
        weight: how often a statement is drawn from it, relative to the others; 0 where it is no
            kind of statement but a matter of the arguments, the outputs or the requests.
    """

    name: str
    frameworks: tuple[str, ...]
    weight: int
    meaning: str


_EVERY = ("torch", "jax", "numpy")
_BOTH = ("torch", "jax")
_TORCH = ("torch",)
_JAX = ("jax",)
_NUMPY = ("numpy",)
_TORCH_AND_NUMPY = ("torch", "numpy")

FEATURES: dict[str, Feature] = {
    row.name: row
    for row in (
        Feature("arithmetic", _EVERY, 14, "the four operations, powers, remainders"),
        Feature("elementwise", _EVERY, 14, "functions of each element"),
        Feature("reductions", _EVERY, 8, "sums, products, extrema, norms, orders"),
        Feature("shapes", _EVERY, 8, "stacked, joined, reshaped, turned"),
        Feature("indexing", _EVERY, 7, "elements and slices at fixed places"),
        Feature("where", _EVERY, 5, "a choice by a condition"),
        Feature("where_pairs", _BOTH, 2, "two states that a condition exchanges"),
        Feature("booleans", _EVERY, 2, "truth values and their logic"),
        Feature("integers", _BOTH, 3, "int64 arithmetic on what was a float"),
        Feature("narrow_integers", _BOTH, 3, "integers of 8, 16 and 32 bits, which wrap"),
        Feature("casts", _BOTH, 2, "float32 inside, and back"),
        Feature("complex", _EVERY, 4, "complex numbers between real ends"),
        Feature("cumulative", _EVERY, 3, "running sums, products, extrema"),
        Feature("linalg", _EVERY, 4, "small matrices: products, solutions, determinants"),
        Feature("special", _BOTH, 2, "special functions"),
        Feature("swept_indices", _BOTH, 4, "elements at places that a swept value decides"),
        Feature("closures", _EVERY, 3, "numbers, arrays and functions from outside"),
        Feature("containers", _EVERY, 2, "dicts and tuples on the way; arguments held by one"),
        Feature("categories", _EVERY, 3, "branches by a word, which is swept"),
        Feature("writes", _TORCH_AND_NUMPY, 10, "arrays of its own, written in place"),
        Feature("views", _TORCH_AND_NUMPY, 6, "views of them, written through"),
        Feature(
            "complex_views", _TORCH_AND_NUMPY, 2, "complex arrays seen as real, written through"
        ),
        Feature("reinterpretation", _TORCH, 1, "the bits of a float seen as an integer"),
        Feature("out", _TORCH, 2, "results written where out= says"),
        Feature("no_grad", _TORCH, 2, "statements under torch.no_grad()"),
        Feature("detach", _TORCH, 2, "values cut off from the graph"),
        Feature("numbers", _TORCH, 2, "item(), float(), tensors put together from numbers"),
        Feature("numpy", _TORCH, 1, "values that leave torch for NumPy and come back"),
        Feature("networks", _TORCH, 2, "functions of torch.nn.functional"),
        Feature("branches", _TORCH_AND_NUMPY, 3, "Python's if on a traced value"),
        Feature("loops", _TORCH_AND_NUMPY, 3, "Python's for, and while on a traced value"),
        Feature("math", _NUMPY, 5, "functions of math, and Python's own, of numbers"),
        Feature("custom_rules", _BOTH, 3, "rules of the user's own, and right"),
        Feature("other_rules", _BOTH, 1, "rules that say something else than calculus"),
        Feature("stop_gradient", _JAX, 2, "values cut off from the graph"),
        Feature("updates", _JAX, 5, "x.at[...].set, add, mul"),
        Feature("cond", _JAX, 3, "lax.cond, lax.switch, lax.select"),
        Feature("scan", _JAX, 3, "lax.scan"),
        Feature("fori_loop", _JAX, 2, "lax.fori_loop and lax.map"),
        Feature("while_loop", _JAX, 1, "lax.while_loop of what is not differentiated"),
        Feature("refs", _JAX, 3, "jax.new_ref, read and written"),
        Feature("saturating_casts", _JAX, 2, "floats too large for the integer they become"),
        Feature("transformations", _JAX, 2, "jit, vmap, checkpoint and grad within"),
        # Of the arguments and the outputs.
        Feature("special_points", _BOTH, 0, "zeros of both signs, ties, integers"),
        Feature("arrays", _EVERY, 0, "array arguments"),
        Feature(
            "complex_arguments", _EVERY, 0, "complex numbers, fixed and swept, and arrays of them"
        ),
        Feature("float32", _BOTH, 0, "arguments in single precision"),
        Feature("integer_arguments", _EVERY, 0, "fixed and swept integers, swept truth values"),
        Feature("several_outputs", _EVERY, 0, "dicts and tuples of outputs, array outputs"),
        # Of the requests.
        Feature("forward", _EVERY, 0, "mode='forward'"),
        Feature("second_order", _EVERY, 0, "hessian and hvp"),
        Feature("refusals", _BOTH, 0, "a function that the framework refuses is refused too"),
        Feature("mpmath", _EVERY, 0, "the Program in fifty digits"),
        Feature("growth", _BOTH, 0, "tracing a body repeated k, 2k and 4k times"),
    )
}


def chosen(
    framework: str, without: Iterable[str] = (), only: Iterable[str] | None = None
) -> frozenset[str]:
    """Return the names of a framework's features, but for those left out.

    Args:
        only: keep these kinds of statement alone; features without a weight stay.

    Raises:
        ArgumentError: when a name is unknown.
    """
    for name in (*without, *(only or ())):
        if name not in FEATURES:
            raise ArgumentError(
                f"there is no feature {name!r}; there are {', '.join(FEATURES)}."
                f"{nearest(name, FEATURES)}"
            )
    left_out = {*without}
    if only is not None:
        left_out |= {f.name for f in FEATURES.values() if f.weight} - {*only}
    return frozenset(
        f.name for f in FEATURES.values() if framework in f.frameworks and f.name not in left_out
    )
