"""What the benchmark ran on: a dict of plain values leaves, for the JSON and the table's head."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rivals.c import COMPILE_FLAGS
from benchmarks.threads import available

__all__ = ["describe_machine", "headline"]

_PACKAGES = tuple("gradsweep numpy scipy llvmlite torch jax jaxlib drjit heyoka casadi".split())


def describe_machine(n_threads: int) -> dict[str, object]:
    """Describe the processor, the system, the versions, and when."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "processors": available(),
        "threads": n_threads,
        "memory_bytes": _memory_bytes(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "c_compiler": _compiler(),
        "c_flags": " ".join(COMPILE_FLAGS),
    }


def headline(machine: dict[str, object]) -> str:
    """Return the machine in one line."""
    return (
        f"{machine['processor']}, {machine['threads']} threads of {machine['processors']} "
        f"processors; {machine['system']}; {machine['date']}"
    )


def _processor() -> str:
    """Return the processor's name, and its model where the name alone says little."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    lines = cpuinfo.read_text().splitlines()
    facts = {name.strip(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    name = facts.get("model name", platform.machine())
    if "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts.get('model')})"
    wide = [width for width in ("avx512f", "avx2") if width in facts.get("flags", "").split()]
    return f"{name} {wide[0]}" if wide else name


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _compiler() -> str | None:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True)
    return done.stdout.splitlines()[0] if done.stdout else compiler
