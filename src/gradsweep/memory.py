"""Project the bytes that a derivative needs, and find blocks of a sweep that fit.

Knows nothing of engines or stores.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradsweep.errors import MemoryLimitError
from gradsweep.loop import reads
from gradsweep.program import Program
from gradsweep.stages import Stage

__all__ = [
    "SCRATCH_BYTES",
    "budget_bytes",
    "choose_block",
    "format_bytes",
    "n_points",
    "parse_bytes",
    "project_bytes",
]

# What an engine's intermediates may take. Larger chunks are no faster, smaller ones cost calls.
SCRATCH_BYTES = 2**28


def n_points(axes: Iterable[str], sizes: Mapping[str, int]) -> int:
    """Count the points of some axes."""
    return math.prod(sizes[axis] for axis in axes)


def project_bytes(program: Program, stages: Sequence[Stage], sizes: Mapping[str, int]) -> int:
    """Bound the bytes of intermediates alive at once, every one held as an array.

    A variable that varies along axes (a, b) counts sizes[a] * sizes[b] numbers.

    Reference: Appel (1998), Modern Compiler Implementation, ch. 10, liveness.
    """
    order = [(v, equation, stage.axes) for stage in stages for v, equation in stage.equations]
    read = {v: operands for v, _, operands in reads((v, equation) for v, equation, _ in order)}
    last = {operand: variable for variable in read for operand in read[variable]}
    kept = {v for output in program.outputs for v in output.variables}
    alive: dict[int, int] = {}
    total = peak = 0
    for variable, equation, axes in order:
        alive[variable] = n_points(axes, sizes) * np.dtype(equation.dtype).itemsize
        total += alive[variable]
        peak = max(peak, total)
        for operand in set(read[variable]):
            if last[operand] == variable and operand not in kept:
                total -= alive.pop(operand, 0)
    return peak


def choose_block(
    axes: Mapping[str, int],
    bytes_of: Callable[[Mapping[str, int]], int],
    limit_bytes: int,
    keep_rows: bool = False,
) -> dict[str, int]:
    """Cut the axes in halves until a block of them fits; return its length along each.

    Args:
        bytes_of: projects the bytes of a block, from its length along each axis.
        keep_rows: whether to cut the outer axes first, so that rows stay long.
    """
    block = dict(axes)
    while bytes_of(block) > limit_bytes and any(size > 1 for size in block.values()):
        longest = max(block, key=lambda axis: block[axis])
        outermost = next(axis for axis in block if block[axis] > 1)
        axis = outermost if keep_rows else longest
        block[axis] = -(-block[axis] // 2)
    return block


# Of what is free, so much is left to others.
_SAFE_SHARE = 0.8

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(written: int | float | str) -> int:
    """Read an amount of memory: a number of bytes, or text such as "2GB" or "512 MiB".

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
            f"memory_limit={written!r} is no amount of memory. "
            f'Give bytes, or text such as "2GB" or "512MiB".'
        )
    if not n_bytes > 0:
        raise MemoryLimitError(f"memory_limit={written!r} leaves no memory at all.")
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
        limit: what all of the process may take; by default a safe share of what the machine and
            the process's cgroup have free.
    """
    if limit is None:
        return int(_SAFE_SHARE * _free_bytes())
    return max(0, parse_bytes(limit) - _resident_bytes())


def _resident_bytes() -> int:
    """Return what the process holds now."""
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


def _free_bytes() -> float:
    """Return what is free for the process, as far as the system tells."""
    free = math.inf
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = 1024 * int(line.split()[1])
    except OSError:
        pass
    for limit, used in _CGROUP_FILES:
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    # A system that tells nothing is taken at a few gigabytes rather than at none.
    return max(0, free) if math.isfinite(free) else 4 * 2**30


_CGROUP_FILES = [
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
]
