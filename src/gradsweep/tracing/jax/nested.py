"""Jaxprs inside the parameters of an equation."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

__all__ = [
    "INLINED",
    "every_constant",
    "every_equation",
    "has_effects",
    "has_own_rules",
    "is_ref",
    "is_signbit",
    "needed",
    "opened",
]

# Primitives that only call a jaxpr, and the parameter that holds it. The call of a kernel language
# (pallas_call) holds one too and means something else, so the names are listed.
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
    """Return the equations that the wanted outputs need, each with a flag for each result.

    A flag tells whether the result is needed. An equation that reads or writes memory, or does
    something outside the function, is always kept.
    """
    live = {id(v) for v, is_wanted in zip(jaxpr.outvars, wanted) if is_wanted}
    kept = []
    for equation in reversed(jaxpr.eqns):
        used = [id(variable) in live for variable in equation.outvars]
        if any(used) or has_effects(equation):
            kept.append((equation, used))
            live.update(id(atom) for atom in equation.invars)
    return kept[::-1]


# Effects that JAX itself may leave out.
_FOR_DEBUGGING = ("DebugEffect", "OrderedDebugEffect")


def is_ref(atom: Any) -> bool:
    """Tell whether a variable of a jaxpr is a ref: memory that equations read and write."""
    return hasattr(atom.aval, "inner_aval")


def has_effects(equation: Any) -> bool:
    """Tell whether an equation does something besides computing its results."""
    return any(map(is_ref, equation.invars)) or any(
        type(effect).__name__ not in _FOR_DEBUGGING and not hasattr(effect, "input_index")
        for effect in equation.effects
    )


def has_own_rules(jaxpr: Any) -> bool:
    """Tell whether a jaxpr holds a derivative rule of the user's own, which may be any function."""
    return any(
        equation.primitive.name.startswith(("custom_jvp_call", "custom_vjp_call"))
        and not all(_is_of_jax(opened(called)[0]) for called in _called(equation))
        for equation in every_equation(jaxpr)
    )


def every_equation(jaxpr: Any) -> Iterator[Any]:
    """Yield the equations of a jaxpr and of those inside it."""
    for equation in opened(jaxpr)[0].eqns:
        yield equation
        for called in _called(equation):
            yield from every_equation(called)


def every_constant(jaxpr: Any) -> Iterator[Any]:
    """Yield the constants and literals of a jaxpr and of those inside it."""
    jaxpr, constants = opened(jaxpr)
    yield from constants
    for equation in jaxpr.eqns:
        yield from (atom.val for atom in equation.invars if isinstance(atom, Literal))
        for called in _called(equation):
            yield from every_constant(called)


def _called(equation: Any) -> Iterator[ClosedJaxpr | Jaxpr]:
    """Yield the jaxprs among the parameters of an equation."""
    for parameter in equation.params.values():
        for called in parameter if isinstance(parameter, tuple | list) else (parameter,):
            if isinstance(called, ClosedJaxpr | Jaxpr):
                yield called


def _is_of_jax(jaxpr: Jaxpr) -> bool:
    """Tell whether JAX itself defines the function of a jaxpr."""
    source = getattr(getattr(jaxpr, "debug_info", None), "func_src_info", None)
    return f" at {_JAX}" in str(source)


_JAX = os.path.dirname(os.path.abspath(jax.__file__)) + os.sep


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
