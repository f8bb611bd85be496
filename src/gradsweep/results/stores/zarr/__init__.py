"""A store that is a Zarr v3 folder, with a ledger of the finished parts.

    greeks.zarr/
      zarr.json                      the group, with the metadata of every array
      dprice_dS/zarr.json            one array for each variable and each coordinate
      dprice_dS/c/0/1                one chunk for each part that yields values of the array
      .gradsweep/zarr.json           an empty group, for programs that list the folder
      .gradsweep/run/zarr.json       an empty array, for the same reason
      .gradsweep/run/ledger.jsonl    the finished parts: see `ledger`
      .gradsweep/run/lock            the process that writes: see `locking/lock`
      .gradsweep/run/partial/        files being written or removed, in a folder for each session

Everything but `.gradsweep` is an ordinary Zarr store: `xarray.open_zarr(path)` reads it, and the
package `zarr` is needed for nothing else. `show`, `verify`, `unlock` and a run that continues read
JSON and plain bytes, and check them against what a store of this package may hold: no codec is
looked up by its name, nothing is decompressed and nothing is unpickled.

A process that is killed at any moment leaves a store that can be continued. Chunks are not flushed
to the device, so after a power cut `verify` tells which parts have to be computed again.
"""

from gradsweep.results.stores.zarr.locking.lock import unlock
from gradsweep.results.stores.zarr.opening import open_dataset
from gradsweep.results.stores.zarr.store import ZarrStore
from gradsweep.results.stores.zarr.summary import Summary, show, status
from gradsweep.results.stores.zarr.verification import Damage, Report, verify

__all__ = [
    "Damage",
    "Report",
    "Summary",
    "ZarrStore",
    "open_dataset",
    "show",
    "status",
    "unlock",
    "verify",
]
