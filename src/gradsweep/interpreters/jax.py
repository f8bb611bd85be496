"""The primitives in JAX: a Program evaluated with jax.numpy, to be differentiated there."""

from collections.abc import Callable
from typing import Any

from gradsweep.program.primitives import WRAPS
from gradsweep.program.program import Constant
from gradsweep.support.errors import require

lax = require("jax.lax", "evaluating a Program in JAX")
jnp = require("jax.numpy", "evaluating a Program in JAX")
special = require("jax.scipy.special", "evaluating a Program in JAX")

__all__ = ["OPERATIONS", "constant"]


def constant(entry: Constant) -> Any:
    """Return the value of a Program's constant."""
    return jnp.asarray(entry.value, entry.dtype)


def _wrap(dtype: str) -> Callable[..., Any]:
    return lambda x: x.astype(dtype).astype("int64")


def _lookup(place: Any, *entries: Any) -> Any:
    place, *entries = jnp.broadcast_arrays(place, *entries)
    nearest = jnp.clip(place, 0, len(entries) - 1)
    return jnp.take_along_axis(jnp.stack(entries), nearest[None], 0)[0]


_SAME_NAME = """
sign floor ceil trunc copysign sqrt cbrt hypot exp exp2 expm1 log log1p log2 log10 sin cos tan sinh
cosh tanh isfinite signbit
""".split()

_SAME_SPECIAL = "erf erfc erfinv ndtri digamma polygamma zeta i0 i0e i1 i1e".split()

OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(jnp, name) for name in _SAME_NAME},
    **{name: getattr(special, name) for name in _SAME_SPECIAL},
    "add": jnp.add,
    "sub": jnp.subtract,
    "mul": jnp.multiply,
    "div": jnp.divide,
    "neg": jnp.negative,
    "abs": jnp.abs,
    "max": jnp.maximum,
    "min": jnp.minimum,
    "rem": jnp.fmod,
    "round": jnp.rint,
    "pow": jnp.power,
    "asin": jnp.arcsin,
    "acos": jnp.arccos,
    "atan": jnp.arctan,
    "atan2": jnp.arctan2,
    "asinh": jnp.arcsinh,
    "acosh": jnp.arccosh,
    "atanh": jnp.arctanh,
    "lgamma": special.gammaln,
    "igamma": special.gammainc,
    "igammac": special.gammaincc,
    "eq": jnp.equal,
    "ne": jnp.not_equal,
    "lt": jnp.less,
    "le": jnp.less_equal,
    "gt": jnp.greater,
    "ge": jnp.greater_equal,
    "and": jnp.logical_and,
    "or": jnp.logical_or,
    "xor": jnp.logical_xor,
    "not": jnp.logical_not,
    "select": jnp.where,
    "lookup": _lookup,
    "to_float64": lambda x: jnp.asarray(x, "float64"),
    "to_float32": lambda x: jnp.asarray(x, "float32"),
    "to_int64": lambda x: jnp.asarray(x, "int64"),
    "to_bool": lambda x: jnp.asarray(x, "bool"),
    "quotient": lambda x, y: jnp.where(y == 0, 0, lax.div(x, jnp.where(y == 0, 1, y))),
    **{name: _wrap(dtype) for dtype, name in WRAPS.items()},
}
