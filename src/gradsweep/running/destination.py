"""Where results go and where they are computed: from what the user wrote to a Destination.

Options enter, a Destination leaves; None when the sweep is simply run in memory.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradsweep.results.layout import Store
from gradsweep.results.stores.memory import MemoryStore
from gradsweep.running.run import Destination, OnError
from gradsweep.running.scheduler import Scheduler
from gradsweep.running.threads import ThreadScheduler
from gradsweep.support.errors import ArgumentError, StoreError

__all__ = ["make_destination"]


# Chunks of a few megabytes for each variable. What is reduced comes in parts large enough to make
# little of what each costs in Python, where threads wait for each other, or as a cluster's task.
_STORED_PART_BYTES = 2**26
_REDUCED_PART_BYTES = 2**27
_TASK_PART_BYTES = 2**28


def make_destination(
    store: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reduce: str | Sequence[str] | None = None,
    dims: str | Sequence[str] | None = None,
    quantiles: Sequence[float] | None = None,
    scheduler: Any = "threads",
    progress: bool | None = None,
    on_error: OnError = "raise",
) -> Destination | None:
    """Read the options that say where results go.

    Raises:
        ArgumentError: when options do not fit together.
        StoreError: when the store has a format that is not known.
        MissingPackage: when the store or the scheduler needs a package that is not installed.
    """
    if on_error not in ("raise", "mask"):
        raise ArgumentError(f"on_error={on_error!r}; it is 'raise' or 'mask'.")
    if store is not None and not isinstance(store, str | os.PathLike):
        raise ArgumentError(f"store={store!r} is no path. Give one, such as 'results.zarr'.")
    if store is None and (resume or overwrite):
        name = "resume" if resume else "overwrite"
        raise ArgumentError(f"{name}=True goes with store=..., which is not given.")
    if reduce is None and (dims is not None or quantiles is not None):
        name = "dims" if dims is not None else "quantiles"
        raise ArgumentError(f"{name}=... goes with reduce=..., which is not given.")
    if store is not None and reduce is not None:
        raise ArgumentError(
            "store= and reduce= do not go together: what is reduced fits in memory. "
            "Save the Dataset that comes back."
        )
    keeps = store is None and reduce is None
    if keeps and not (isinstance(scheduler, str) and scheduler == "threads"):
        raise ArgumentError("a cluster needs store= or reduce=: results do not come back whole.")
    if keeps and not progress and on_error == "raise":
        return None
    found: Store
    if reduce is not None:
        from gradsweep.results.stores.reduced import Reduced

        found = Reduced(reduce, dims, quantiles)
    elif store is not None:
        found = _store(Path(store), resume, overwrite)
    else:
        found = MemoryStore()
    where = _scheduler(scheduler)
    travels = not isinstance(where, ThreadScheduler)
    reduced_bytes = _TASK_PART_BYTES if travels else _REDUCED_PART_BYTES
    return Destination(
        store=found,
        scheduler=where,
        progress=progress,
        on_error=on_error,
        part_bytes=_STORED_PART_BYTES if reduce is None else reduced_bytes,
        keep_rows=reduce is not None,
        travels=travels,
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


def _scheduler(scheduler: Any) -> Scheduler:
    if isinstance(scheduler, str) and scheduler == "threads":
        return ThreadScheduler()
    from gradsweep.running.dask import DaskScheduler

    return DaskScheduler(scheduler)
