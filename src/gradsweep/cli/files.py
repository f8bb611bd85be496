"""Write a result as text or to a file.

A Dataset enters; JSON, CSV, netCDF, Zarr or Parquet leaves. Every digit is kept.
"""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gradsweep.results.dataset import in_real_numbers
from gradsweep.results.stacking import broadcast
from gradsweep.support.errors import GradsweepError, SweepError, require

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["OutputFileError", "check_output", "save", "to_csv", "to_json"]


class OutputFileError(GradsweepError, OSError):
    """A result could not be saved."""


class _Format(NamedTuple):
    """A row of the table of formats: the package that it needs, and how it is written."""

    needs: str
    write: Callable[["xarray.Dataset", Path], Any]


def to_json(dataset: "xarray.Dataset") -> str:
    """Return one JSON document with the keys dims, coords, variables and attrs.

    A variable is {"dims": [...], "attrs": {...}, "data": nested lists}. JSON has no NaN or
    infinity; they are the strings "NaN", "Infinity" and "-Infinity", which Python's float() and
    JavaScript's Number() both read.
    """
    dataset = in_real_numbers(dataset)
    document = {
        "dims": {str(dim): size for dim, size in dataset.sizes.items()},
        "coords": {str(n): _json_variable(v) for n, v in dataset.coords.items()},
        "variables": {str(n): _json_variable(v) for n, v in dataset.data_vars.items()},
        "attrs": dataset.attrs,
    }
    return json.dumps(document, allow_nan=False, ensure_ascii=False, default=str)


def to_csv(dataset: "xarray.Dataset") -> str:
    """Return one tidy table: a row for each point, a column for each coordinate and variable."""
    return _frame(dataset).to_csv(index=False)


def check_output(written: str, overwrite: bool) -> None:
    """Refuse, before anything is computed, a file that could not be written.

    Raises:
        SweepError: when the suffix is unknown, the folder cannot be written to, or a .zarr
            folder exists and may not be replaced.
        MissingPackage: when the format needs a package that is not installed.
    """
    path = Path(written)
    if path.suffix not in _FORMATS:
        raise SweepError(
            f"--output {written}: {path.suffix or 'no suffix'!r} is not among "
            f"{', '.join(_FORMATS)}."
        )
    if not path.parent.is_dir():
        raise SweepError(f"--output {written}: there is no folder {str(path.parent)!r}.")
    if not os.access(path.parent, os.W_OK):
        raise SweepError(f"--output {written}: {str(path.parent)!r} cannot be written to.")
    if path.is_dir() and path.suffix != ".zarr":
        raise SweepError(f"--output {written}: this is a folder.")
    if path.suffix == ".zarr" and path.exists():
        if not overwrite:
            raise SweepError(f"--output {written} exists. Add --overwrite to replace it.")
        if not any((path / name).is_file() for name in ("zarr.json", ".zgroup")):
            raise SweepError(f"--output {written} exists and is no Zarr store; it is left alone.")
    if needs := _FORMATS[path.suffix].needs:
        require(needs, f"writing a {path.suffix} file")


def save(dataset: "xarray.Dataset", written: str) -> None:
    """Write a Dataset in the format of the file's suffix.

    Raises:
        OutputFileError: when the system refuses, for example because no space is left.
    """
    path = Path(written)
    write = _FORMATS[path.suffix].write
    # The file has another name until it is whole, so that a failure leaves the old one as it was.
    partial = path if path.suffix == ".zarr" else path.with_name(f".{path.name}.partial")
    try:
        write(dataset, partial)
        if partial != path:
            os.replace(partial, path)
    except OSError as error:
        raise OutputFileError(f"--output {written} was not written: {error}") from error
    finally:
        if partial != path:
            partial.unlink(missing_ok=True)


_FORMATS: dict[str, _Format] = {
    ".nc": _Format("", lambda dataset, path: in_real_numbers(dataset).to_netcdf(path)),
    ".zarr": _Format("zarr", lambda dataset, path: dataset.to_zarr(path, mode="w")),
    ".csv": _Format("", lambda dataset, path: path.write_text(to_csv(dataset), "utf-8")),
    ".parquet": _Format(
        "pyarrow",
        lambda dataset, path: _frame(dataset).to_parquet(path, engine="pyarrow", index=False),
    ),
    ".json": _Format("", lambda dataset, path: path.write_text(to_json(dataset), "utf-8")),
}


def _frame(dataset: "xarray.Dataset") -> "pandas.DataFrame":
    """Return a table with a row for each point; dims and coordinates are the first columns."""
    import pandas

    full = broadcast(in_real_numbers(dataset))
    if not full.sizes:
        values = {str(name): [variable.values[()]] for name, variable in full.variables.items()}
        frame = pandas.DataFrame(values)
    else:
        frame = full.to_dataframe().reset_index()
    dims = [str(dim) for dim in full.sizes]
    names = [str(name) for name in (*full.coords, *full.data_vars)]
    order = dict.fromkeys([*dims, *names])
    return frame[[name for name in order if name in frame.columns]]


def _json_variable(variable: "xarray.DataArray") -> dict[str, Any]:
    return {
        "dims": [str(dim) for dim in variable.dims],
        "attrs": variable.attrs,
        "data": _json_values(variable.values.tolist()),
    }


def _json_values(value: Any) -> Any:
    if isinstance(value, list):
        return [_json_values(child) for child in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
