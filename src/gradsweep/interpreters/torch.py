"""The primitives in torch: a Program evaluated with tensors, to be differentiated there."""

from collections.abc import Callable
from typing import Any

from gradsweep.program.program import Constant
from gradsweep.support.errors import require

torch = require("torch", "evaluating a Program in torch")

__all__ = ["OPERATIONS", "constant"]


def constant(entry: Constant) -> Any:
    """Return the value of a Program's constant."""
    return torch.tensor(entry.value, dtype=getattr(torch, entry.dtype))


def _cbrt(x: Any) -> Any:
    return torch.copysign(torch.abs(x) ** (1.0 / 3.0), x)


def _sign(x: Any) -> Any:
    # torch.sign(NaN) is 0.
    return torch.where(torch.isnan(x), x, torch.sign(x))


def _polygamma(order: Any, x: Any) -> Any:
    return torch.polygamma(int(order), x)


def _wrap(bits: int, is_signed: bool) -> Callable[..., Any]:
    half = 2 ** (bits - 1) if is_signed else 0
    return lambda x: torch.remainder(x + half, 2**bits) - half


def _lookup(place: Any, *entries: Any) -> Any:
    place, *entries = torch.broadcast_tensors(place, *entries)
    nearest = torch.clamp(place, 0, len(entries) - 1)
    return torch.gather(torch.stack(entries), 0, nearest[None])[0]


_SAME_NAME = """
add sub mul div neg abs floor ceil round trunc copysign pow sqrt hypot exp exp2 expm1 log log1p log2
log10 sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh erf erfc erfinv lgamma
digamma eq ne lt le gt ge isfinite signbit
""".split()

_SAME_SPECIAL = "ndtri zeta i0 i0e i1 i1e".split()

OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch, name) for name in _SAME_NAME},
    **{name: getattr(torch.special, name) for name in _SAME_SPECIAL},
    "sign": _sign,
    "max": torch.maximum,
    "min": torch.minimum,
    "rem": torch.fmod,
    "cbrt": _cbrt,
    "polygamma": _polygamma,
    "igamma": torch.special.gammainc,
    "igammac": torch.special.gammaincc,
    "and": torch.logical_and,
    "or": torch.logical_or,
    "xor": torch.logical_xor,
    "not": torch.logical_not,
    "select": torch.where,
    "lookup": _lookup,
    "to_float64": lambda x: x.to(torch.float64),
    "to_float32": lambda x: x.to(torch.float32),
    "to_int64": lambda x: x.to(torch.int64),
    "to_bool": lambda x: x.to(torch.bool),
    "quotient": lambda x, y: torch.where(
        y == 0, 0, torch.div(x, torch.where(y == 0, 1, y), rounding_mode="trunc")
    ),
    **{f"wrap_int{bits}": _wrap(bits, True) for bits in (8, 16, 32)},
    **{f"wrap_uint{bits}": _wrap(bits, False) for bits in (8, 16, 32)},
}
