"""The JAX frontend: a derivative of a function written in JAX, traced at one point.

A bound function, a Derivative and a point enter; a Trace leaves. `trace` is the whole course;
`operators` are JAX's own jvp and vjp; `lower` and the tables of rules/ turn a jaxpr into a Program,
with loops, refs and nested jaxprs in files beside it that know it by `protocol`; `reach` finds the
inputs that each result depends on, and `explain` says what went wrong.

Knows nothing of sweeps, stages or engines.
"""

from gradsweep.support.errors import require

require("jax", "tracing a function written in JAX")

from gradsweep.tracing.jax.trace import trace  # noqa: E402

__all__ = ["trace"]
