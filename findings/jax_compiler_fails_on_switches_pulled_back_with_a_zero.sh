#!/usr/bin/env bash
# jax 0.10.2, jaxlib 0.10.2 (CPU), Python 3.11.
#
# A two-state switch, `a, b = where(c, step(a), b), where(c, b, step(a))`, five times or more: its second derivative,
# taken by pulling back through its gradient, compiles with jax.jit and jax.vmap. The same pullback for a cotangent of
# one and one of zeros(1).reshape(()), in one jitted function, does not: "UNKNOWN: Unknown MLIR failure" while XLA
# compiles. With four steps it does. Without jit, without fusion, or with the compiler option
# xla_cpu_use_fusion_emitters=False the numbers are right: 4 * 1.1**(2 n) and 0.
#
# Seen:
#   4 steps, usual options: 8.574355 0
#   5 steps, usual options: JaxRuntimeError: UNKNOWN: Unknown MLIR failure
#   5 steps, a cotangent of one alone: 10.374970
#   5 steps, xla_cpu_use_fusion_emitters=False: 10.374970 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'jax==0.10.2' 'jaxlib==0.10.2' 'numpy==2.3.5'
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PY'
import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
POINTS = jnp.array([0.7, 1.3, 2.9])
OPTIONS = {"xla_cpu_use_fusion_emitters": False}


def last(y, n_steps):
    a, b = y, 0.5 * y
    for _ in range(n_steps):
        c = a > 0.2
        a, b = jnp.where(c, 1.1 * a + 0.1, b), jnp.where(c, b, 1.1 * a + 0.1)
    return 0.5 * a + 2.0 * a * a


def pulled(y, n_steps, cotangents):
    _, pull = jax.vjp(jax.grad(lambda y: last(y, n_steps)), y)
    return [pull(w)[0] for w in cotangents]


def told(n_steps, n_cotangents, options):
    def run(y):
        cotangents = jnp.array(1.0), jnp.zeros(1).reshape(())
        return pulled(y, n_steps, cotangents[:n_cotangents])

    try:
        found = jax.jit(jax.vmap(run), compiler_options=options)(POINTS)
    except jax.errors.JaxRuntimeError as error:
        return f"JaxRuntimeError: {str(error).splitlines()[0]}"
    return " ".join(f"{numbers[0]:.6f}" if numbers[0] else "0" for numbers in found)


SEEN = {
    "4 steps, usual options": ((4, 2, None), f"{4 * 1.1**8:.6f} 0"),
    "5 steps, usual options": ((5, 2, None), "JaxRuntimeError: UNKNOWN: Unknown MLIR failure"),
    "5 steps, a cotangent of one alone": ((5, 1, None), f"{4 * 1.1**10:.6f}"),
    "5 steps, xla_cpu_use_fusion_emitters=False": ((5, 2, OPTIONS), f"{4 * 1.1**10:.6f} 0"),
}
is_as_seen = True
for name, (arguments, seen) in SEEN.items():
    found = told(*arguments)
    print(f"{name}: {found}")
    is_as_seen &= found == seen
raise SystemExit(not is_as_seen)
PY
