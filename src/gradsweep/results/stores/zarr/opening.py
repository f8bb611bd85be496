"""Open a store lazily, as a Dataset.

A path enters, an xarray.Dataset leaves. Knows nothing of ledgers.
"""

import importlib.util
import os
from typing import TYPE_CHECKING

from gradsweep.support.errors import require

if TYPE_CHECKING:
    import xarray

__all__ = ["open_dataset"]

# For a coordinate named like its dim xarray keeps a pandas index, with all values in memory: 8 GB
# for a coordinate of 10^9 points. Longer coordinates stay on disk, without an index;
# `dataset.set_xindex(name)` makes one after all.
_LONGEST_INDEX = 2_000_000


def open_dataset(path: str | os.PathLike[str]) -> "xarray.Dataset":
    """Open a Zarr store without loading its data.

    With dask installed the arrays are dask arrays, a dask chunk for each chunk of the store;
    without it xarray reads what is selected. Coordinates of more than 2,000,000 values have no
    index: select along them with `isel`, or call `set_xindex` first.

    Raises:
        MissingPackage: when zarr is not installed.
    """
    import xarray

    require("zarr", "opening a Zarr store")
    chunks: dict[str, int] | None = {} if importlib.util.find_spec("dask") else None
    dataset = xarray.open_zarr(
        os.fspath(path), chunks=chunks, consolidated=True, create_default_indexes=False
    )
    short = {
        # Loaded in this thread: a forked child has none of the threads that dask began before.
        name: coordinate.variable.load(scheduler="synchronous")
        for name, coordinate in dataset.coords.items()
        if coordinate.dims == (name,) and coordinate.size <= _LONGEST_INDEX
    }
    return dataset.assign_coords(xarray.Coordinates(short))
