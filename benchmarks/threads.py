"""The same number of threads for every rival, and the frameworks made ready for a fair race."""

import importlib
import importlib.util
import os
import tempfile
from contextlib import suppress

__all__ = ["available", "import_frameworks", "use_threads"]

# Empty, and removed when the process ends.
_NO_KERNELS = tempfile.TemporaryDirectory(prefix="benchmarks-")


def available() -> int:
    """Count the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_threads(n_threads: int) -> None:
    """Have every rival use `n_threads`. To be called before any of them is imported."""
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    os.environ["GRADSWEEP_NUM_THREADS"] = str(n_threads)
    # XLA has no setting for it: it takes as many as there are processors to run on.
    if hasattr(os, "sched_setaffinity") and n_threads < available():
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_threads])
    # What torch.compile and Dr.Jit left on disk in an earlier run would make their first results
    # look quick.
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    os.environ["DRJIT_CACHE_DIR"] = _NO_KERNELS.name


def import_frameworks(n_threads: int) -> None:
    """Import those that are installed; let JAX compute in double precision."""
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(n_threads)
    if importlib.util.find_spec("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
    for name in ("drjit", "heyoka"):
        with suppress(ImportError):  # their rivals will say so
            importlib.import_module(name)
