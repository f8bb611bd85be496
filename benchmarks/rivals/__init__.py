"""The rivals, in the order of the table."""

from benchmarks.rivals import c, casadi, drjit, heyoka, jax, numpy, ours, torch
from benchmarks.rivals.base import Rival

__all__ = ["RIVALS"]

RIVALS: dict[str, Rival] = {
    rival.name: rival
    for module in (ours, c, drjit, heyoka, jax, torch, casadi, numpy)
    for rival in module.RIVALS
}
