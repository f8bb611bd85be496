"""The same conditions for all rivals: frameworks loaded, equal threads, memory given back.

Knows nothing of problems or rivals.
"""

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gradsweep.engines.fused.runtime.pool import available_threads

__all__ = ["alike", "peak_bytes", "why_xla_has_more_threads"]


@contextmanager
def alike(families: Iterable[str], threads: int | None) -> Iterator[None]:
    """Load and start the frameworks, and let torch use as many threads as gradsweep does.

    Args:
        families: the families of the rivals, such as "torch" and "JAX".
        threads: how many threads gradsweep uses; None for all that it may use.
    """
    import xarray  # noqa: F401  A first result is not to wait for the import of a library.

    started = {"JAX": _start_jax, "torch": _start_torch}
    for family in {*families} & started.keys():
        with suppress(ImportError):  # those who need it will say so
            started[family]()
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads or available_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _start_jax() -> None:
    import jax

    from gradsweep.tracing.jax.operators import scoped_x64

    with scoped_x64():
        jax.block_until_ready(jax.jit(jax.vmap(jax.grad(lambda x: x * x)))(jax.numpy.ones(2)))


def _start_torch() -> None:
    import torch

    for derive in torch.func.grad, torch.func.jacrev, torch.func.jacfwd:
        torch.func.vmap(derive(lambda x: x * x))(torch.ones(2))


def why_xla_has_more_threads(threads: int | None) -> str:
    """Return why XLA cannot be held to as many threads as the others, as a clause, or ""."""
    given, everything = threads or available_threads(), available_threads(ignore_setting=True)
    if given >= everything:
        return ""
    return (
        f"XLA takes all {everything} processors and the others are held to {given}; have the "
        f"system hold Python to {given}, as taskset does"
    )


def peak_bytes(call: Callable[[], Any]) -> int | None:
    """Return how far the process's resident memory rises during a call, its results included.

    None where the system does not tell, which is anywhere but on Linux.
    """
    try:
        _give_memory_back()
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        before = _status_bytes("VmRSS")
        call()
        return max(0, _status_bytes("VmHWM") - before)
    except (OSError, StopIteration):
        return None


def _give_memory_back() -> None:
    # Memory that the allocator keeps from earlier calls would be used again without being counted.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
