"""A store that is one NetCDF file, for results that fit in memory.

A Layout enters, then parts with their arrays; a Dataset leaves, and a file that is written whole
at the very end. So a run that was interrupted cannot be continued.
"""

import errno
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsweep.results.dataset import real_coordinates
from gradsweep.results.layout import NO_ATTRS, Layout
from gradsweep.results.names import real_variables, require_names_of_their_own
from gradsweep.results.stores.memory import MemoryStore
from gradsweep.support.errors import StoreError, require

if TYPE_CHECKING:
    import xarray

__all__ = ["NetCDFStore"]


class NetCDFStore(MemoryStore):
    """A store that keeps results in memory and writes them, at the end, to a NetCDF file.

    Args:
        path: the file; its folder must exist.
        overwrite: replace an existing file; it stays as it was until the new one is whole.
    """

    def __init__(self, path: str | os.PathLike[str], overwrite: bool = False):
        self._path = Path(path)
        self._overwrite = overwrite

    @property
    def _partial(self) -> Path:
        return self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")

    def begin(self, layout: Layout) -> frozenset[int]:
        """Make room in memory, and make sure that the file can be written.

        Raises:
            StoreError: when it cannot be written, or exists already.
            MissingPackage: when netCDF4 is not installed.
        """
        require("netCDF4", "writing a .nc file")
        self._refuse_to_replace()
        try:
            self._partial.touch()
        except OSError as error:
            raise self._failed(error) from error
        # netCDF has no complex numbers.
        variables = tuple(real_variables(layout.variables))
        coordinates = real_coordinates(layout.coordinates)
        require_names_of_their_own([*(variable.name for variable in variables), *coordinates])
        return super().begin(replace(layout, variables=variables, coordinates=coordinates))

    def abandon(self) -> None:
        """Forget everything; no file is left."""
        self._partial.unlink(missing_ok=True)
        super().abandon()

    def finish(self, attrs: Mapping[str, Any] = NO_ATTRS) -> "xarray.Dataset":
        """Write the file, whole, and return the Dataset.

        Raises:
            StoreError: when it cannot be written, or when another was written in the meantime.
        """
        dataset = super().finish(attrs)
        try:
            self._refuse_to_replace()
            _with_plain_attributes(dataset).to_netcdf(self._partial, engine="netcdf4")
            os.replace(self._partial, self._path)
        except StoreError:
            raise
        except (OSError, RuntimeError) as error:  # netCDF4 raises the latter when a disk is full
            raise self._failed(error) from error
        finally:
            self._partial.unlink(missing_ok=True)
        return dataset

    def _refuse_to_replace(self) -> None:
        if os.path.lexists(self._path) and not (self._overwrite and self._path.is_file()):
            advice = (
                "It is no file; choose another name."
                if not self._path.is_file()
                else "Replace it with overwrite=True, or choose another name."
            )
            raise StoreError(f"{self._path} is there already. {advice}")

    def _failed(self, error: Exception) -> StoreError:
        number = getattr(error, "errno", None) or errno.EIO
        reason = getattr(error, "strerror", None) or error
        failure = StoreError(
            f"could not write {self._path}: {reason}.\n"
            "Check that its folder is there, may be written to and has space."
        )
        failure.errno = number
        return failure


def _with_plain_attributes(dataset: "xarray.Dataset") -> "xarray.Dataset":
    """Return a Dataset whose attributes NetCDF can hold: anything but numbers becomes text."""
    plain = dataset.copy(deep=False)
    plain.attrs = {name: _plain(value) for name, value in plain.attrs.items()}
    for variable in plain.variables.values():
        variable.attrs = {name: _plain(value) for name, value in variable.attrs.items()}
    return plain


def _plain(value: Any) -> Any:
    try:
        kind = np.asarray(value).dtype.kind
    except ValueError:  # lists of different lengths
        kind = "O"
    return value if kind in "iufSU" else str(value)
