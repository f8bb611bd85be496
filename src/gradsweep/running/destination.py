"""Read the options that say where results go and where they are computed.

Options enter, a Destination leaves; None when the sweep is simply run in memory.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradsweep.results.layout import Store
from gradsweep.results.stores.memory import MemoryStore
from gradsweep.running.run import Destination, OnError
from gradsweep.running.scheduler import Scheduler
from gradsweep.running.threads import ThreadScheduler
from gradsweep.support.errors import ArgumentError, StoreError

__all__ = ["DestinationOptions", "make_destination"]


# A stored part makes chunks of a few megabytes for each variable. A reduced part is large enough
# to outweigh what it costs in Python, where threads wait for each other, or as a cluster's task.
STORED_PART_BYTES = 2**26
REDUCED_PART_BYTES = 2**27
TASK_PART_BYTES = 2**28


@dataclass(frozen=True)
class DestinationOptions:
    """Where results go and what memory they may take, as the user says it: see `RunOptions`."""

    memory_limit: int | float | str | None = None
    store: str | os.PathLike[str] | None = None
    resume: bool = False
    overwrite: bool = False
    reduce: str | Sequence[str] | None = None
    dims: str | Sequence[str] | None = None
    quantiles: Sequence[float] | None = None
    scheduler: Any = "threads"
    progress: bool | None = None
    on_error: OnError = "raise"

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "mask"):
            raise ArgumentError(f"on_error={self.on_error!r}; it is 'raise' or 'mask'.")
        store, reduce = self.store, self.reduce
        if store is not None and not isinstance(store, str | os.PathLike):
            raise ArgumentError(f"store={store!r} is no path. Give one, such as 'results.zarr'.")
        if store is None and (self.resume or self.overwrite):
            name = "resume" if self.resume else "overwrite"
            raise ArgumentError(f"{name}=True goes with store=..., which is not given.")
        if reduce is None and (self.dims is not None or self.quantiles is not None):
            name = "dims" if self.dims is not None else "quantiles"
            raise ArgumentError(f"{name}=... goes with reduce=..., which is not given.")
        if store is not None and reduce is not None:
            raise ArgumentError(
                "store= and reduce= do not go together: what is reduced fits in memory. "
                "Save the Dataset that comes back."
            )
        if store is None and reduce is None and not self.uses_threads:
            raise ArgumentError(
                "a cluster needs store= or reduce=: results do not come back whole."
            )

    @property
    def uses_threads(self) -> bool:
        """Whether this process computes, with threads of its own."""
        return isinstance(self.scheduler, str) and self.scheduler == "threads"


def make_destination(asked: DestinationOptions) -> Destination | None:
    """Make what the options ask for; None where the sweep is simply run in memory.

    Raises:
        StoreError: when the store has a format that is not known.
        MissingPackage: when the store or the scheduler needs a package that is not installed.
    """
    found: Store
    if asked.reduce is not None:
        from gradsweep.results.stores.reduced import Reduced

        found = Reduced(asked.reduce, asked.dims, asked.quantiles)
    elif asked.store is not None:
        found = _store(Path(asked.store), asked.resume, asked.overwrite)
    elif asked.progress or asked.on_error == "mask":
        found = MemoryStore()
    else:
        return None
    where = _scheduler(asked)
    reduced_bytes = REDUCED_PART_BYTES if asked.uses_threads else TASK_PART_BYTES
    return Destination(
        store=found,
        scheduler=where,
        progress=asked.progress,
        on_error=asked.on_error,
        part_bytes=STORED_PART_BYTES if asked.reduce is None else reduced_bytes,
        keep_rows=asked.reduce is not None,
        travels=not asked.uses_threads,
    )


def _store(path: Path, resume: bool, overwrite: bool) -> Store:
    match path.suffix:
        case ".zarr":
            from gradsweep.results.stores.zarr import ZarrStore

            return ZarrStore(path, resume=resume, overwrite=overwrite)
        case ".nc":
            from gradsweep.results.stores.netcdf import NetCDFStore

            if resume:
                raise ArgumentError("a .nc file is written at the end and cannot be resumed.")
            return NetCDFStore(path, overwrite=overwrite)
        case suffix:
            what = f"{suffix!r} is not .zarr or .nc" if suffix else "a name ends in .zarr or .nc"
            raise StoreError(f"store={str(path)!r}: {what}.")


def _scheduler(asked: DestinationOptions) -> Scheduler:
    if asked.uses_threads:
        return ThreadScheduler()
    from gradsweep.running.dask import DaskScheduler

    return DaskScheduler(asked.scheduler)
