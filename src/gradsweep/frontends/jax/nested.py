"""Jaxprs inside the parameters of an equation."""

from collections.abc import Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

__all__ = ["INLINED", "is_signbit", "needed", "opened"]

# Calls of a jaxpr that do nothing else, and the parameter that holds it. A kernel language's own
# call (pallas_call) has one too and means something else, so the names are listed.
INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "core_closed_call": "call_jaxpr",
    "call": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_vmap_call": "call",
    "composite": "jaxpr",
}


def opened(jaxpr: Any) -> tuple[Jaxpr, Sequence[Any]]:
    """Return a jaxpr and its constants."""
    return (jaxpr.jaxpr, jaxpr.consts) if isinstance(jaxpr, ClosedJaxpr) else (jaxpr, ())


def needed(jaxpr: Jaxpr, wanted: Sequence[bool]) -> list[tuple[Any, list[bool]]]:
    """Return the equations that the wanted outputs need, each with which of its results are."""
    live = {id(v) for v, is_wanted in zip(jaxpr.outvars, wanted) if is_wanted}
    kept = []
    for equation in reversed(jaxpr.eqns):
        used = [id(variable) in live for variable in equation.outvars]
        if any(used):
            kept.append((equation, used))
            live.update(id(atom) for atom in equation.invars)
    return kept[::-1]


def is_signbit(jaxpr: Jaxpr) -> bool:
    """Tell whether a jaxpr is how `jnp.signbit` reads the sign of a float from its bits."""
    names = [equation.primitive.name for equation in jaxpr.eqns]
    if names != ["bitcast_convert_type", "shift_right_arithmetic", "convert_element_type"]:
        return False
    bits, shift, _ = jaxpr.eqns
    distance = shift.invars[1]
    return (
        bits.invars[0].aval.dtype.kind == "f"
        and isinstance(distance, Literal)
        and distance.val == 8 * bits.invars[0].aval.dtype.itemsize - 1
        and jaxpr.outvars[0].aval.dtype.kind == "b"
    )
