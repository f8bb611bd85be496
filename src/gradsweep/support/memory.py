"""How much memory there is, and amounts of it as people write them.

Knows nothing of what takes the memory.
"""

import math
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from gradsweep.support.errors import MemoryLimitError

__all__ = [
    "SCRATCH_BYTES",
    "budget_bytes",
    "format_bytes",
    "free_bytes",
    "parse_bytes",
    "present_bytes",
]

# How much an engine's intermediates may take. Larger chunks are no faster, smaller ones cost calls.
SCRATCH_BYTES = 2**28


# The share of the free memory that is taken; the rest is left to others.
_SAFE_SHARE = 0.8

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(written: int | float | str, name: str = "memory_limit") -> int:
    """Read an amount of memory: a number of bytes, or text such as "2GB" or "512 MiB".

    Args:
        name: what errors call it.

    Raises:
        MemoryLimitError: when it is neither, or not positive.
    """
    n_bytes: Any = written
    if isinstance(written, str):
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][0-9]+)?)\s*([a-zA-Z]*)\s*", written)
        unit = _UNITS.get(match[2].lower().removesuffix("b")) if match else None
        n_bytes = None if match is None or unit is None else float(match[1]) * unit
    is_number = isinstance(n_bytes, int | float | np.number) and not isinstance(n_bytes, bool)
    if not is_number or math.isnan(n_bytes):
        raise MemoryLimitError(
            f"{name}={written!r} is no amount of memory. "
            f'Give bytes, or text such as "2GB" or "512MiB".'
        )
    if not n_bytes > 0:
        raise MemoryLimitError(f"{name}={written!r} leaves no memory at all.")
    return int(min(n_bytes, sys.maxsize))


def format_bytes(n_bytes: int) -> str:
    """Write an amount of memory for a person: "40.0 kB"."""
    if n_bytes < 1000:
        return f"{n_bytes} bytes"
    units = ["kB", "MB", "GB", "TB", "PB", "EB"]
    power = min(len(units), int(math.log10(n_bytes) / 3))
    return f"{n_bytes / 1000**power:.1f} {units[power - 1]}"


def budget_bytes(limit: int | float | str | None) -> int:
    """Return how much more memory the process may take.

    Args:
        limit: how much the whole process may take; by default a safe share of the memory that is
            free on the machine and in the process's cgroup.
    """
    if limit is None:
        return int(_SAFE_SHARE * free_bytes())
    return max(0, parse_bytes(limit) - _resident_bytes())


def _resident_bytes() -> int:
    """Return how many bytes the process holds now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _page_bytes()
    except OSError:
        pass
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _page_bytes() -> int:
    import resource

    return resource.getpagesize()


def free_bytes() -> float:
    """Return how many bytes are free for the process, as far as the system tells."""
    free = _of_machine("MemAvailable")
    for limit, used in _CGROUP_FILES:
        with suppress(OSError, ValueError):  # no such file, or "max"
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    # A system that tells nothing is taken at a few gigabytes rather than at none.
    return max(0, free) if math.isfinite(free) else 4 * 2**30


def present_bytes() -> float:
    """Return how many bytes the machine and the cgroup have in all, as far as the system tells."""
    present = _of_machine("MemTotal")
    for limit, _ in _CGROUP_FILES:
        with suppress(OSError, ValueError):
            present = min(present, int(Path(limit).read_text()))
    return present if math.isfinite(present) else 4 * 2**30


def _of_machine(name: str) -> float:
    """Return a line of /proc/meminfo in bytes; infinity where there is none."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return math.inf


_CGROUP_FILES = [
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
]
