"""The grammar of functions written in JAX."""
