"""From values to the bytes of a Zarr chunk.

Arrays enter, bytes leave, each chunk compressed by Zstandard with a checksum of its content. Knows
nothing of files. numcodecs, on which zarr itself builds, is loaded for the first chunk.

Reference: the Zarr v3 specification, chunk encoding: codecs `bytes`, `vlen-utf8` and `zstd`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from gradsweep.support.errors import StoreError, require

__all__ = ["DTYPES", "Coded", "Dtype", "coded", "encode", "plain"]

# A higher level gains little on numbers of full precision, and would cost most of the time.
_LEVEL = 1
_ZSTD = {"name": "zstd", "configuration": {"level": _LEVEL, "checksum": True}}


@dataclass(frozen=True)
class Dtype:
    """A row of the table of dtypes that can be stored.

    Attributes:
        numpy: the dtype of the values before they are encoded.
        fill: the value that Zarr reads where nothing was written, as its metadata has it.
        fill_value: the same, for NumPy.
    """

    numpy: np.dtype
    fill: Any
    fill_value: Any

    @property
    def codecs(self) -> list[dict[str, Any]]:
        """The codecs of the array, in the order in which they are applied."""
        if self.numpy.kind == "O":
            return [{"name": "vlen-utf8"}, _ZSTD]
        if self.numpy.itemsize == 1:
            return [{"name": "bytes"}, _ZSTD]
        return [{"name": "bytes", "configuration": {"endian": "little"}}, _ZSTD]


_FILLS: dict[str, tuple[Any, Any]] = {
    "b": (False, False),
    "i": (0, 0),
    "u": (0, 0),
    "f": ("NaN", np.nan),
    "c": (["NaN", "NaN"], complex(np.nan, np.nan)),
}
_NUMBERS = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 "
    "complex64 complex128"
).split()

DTYPES: dict[str, Dtype] = {
    name: Dtype(np.dtype(name).newbyteorder("<"), *_FILLS[np.dtype(name).kind]) for name in _NUMBERS
} | {"string": Dtype(np.dtype(object), "", "")}


@dataclass(frozen=True)
class Coded:
    """How values are stored: their dtype in the store, and the attributes that readers need."""

    dtype: str
    attrs: Mapping[str, Any]


# The CF conventions, as xarray writes and reads them: times are whole counts of a unit.
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_NAT = int(np.iinfo(np.int64).min)


def coded(name: str, values: Any) -> Coded:
    """Return how a coordinate is stored.

    Args:
        values: an array, or something lazy with a `dtype`.

    Raises:
        StoreError: when Zarr has no type for its values.
    """
    dtype = np.dtype(values.dtype)
    match dtype.kind:
        case "M":
            units = f"{_UNITS[_time_unit(dtype)]} since 1970-01-01"
            calendar = {"calendar": "proleptic_gregorian", "_FillValue": _NAT}
            return Coded("int64", {"units": units, **calendar})
        case "m":
            unit = _time_unit(dtype)
            kept = {"dtype": f"timedelta64[{unit}]", "_FillValue": _NAT}
            return Coded("int64", {"units": _UNITS[unit], **kept})
        case "U" | "T":
            return Coded("string", {})
        case "O" if all(isinstance(value, str) for value in np.asarray(values).flat):
            return Coded("string", {})
        case _ if dtype.name in _NUMBERS:
            return Coded(dtype.name, {})
    raise StoreError(
        f"coordinate {name!r} has dtype {dtype}, which Zarr has no type for; "
        "numbers, bools, times and strings can be stored."
    )


def plain(values: np.ndarray) -> np.ndarray:
    """Turn times into counts and strings into objects, for `encode`."""
    match values.dtype.kind:
        case "M" | "m":
            kind = {"M": "datetime64", "m": "timedelta64"}[values.dtype.kind]
            return values.astype(f"{kind}[{_time_unit(values.dtype)}]").view(np.int64)
        case "U" | "T":
            return values.astype(object)
    return values


def _time_unit(dtype: np.dtype) -> str:
    unit, _ = np.datetime_data(dtype)
    return unit if unit in _UNITS else "s"


def encode(values: np.ndarray, dtype: str, chunk: tuple[int, ...]) -> bytes:
    """Encode the values of one chunk, filled up where it reaches beyond the edge of the array."""
    row = DTYPES[dtype]
    if values.shape != chunk:
        whole = np.full(chunk, row.fill_value, row.numpy)
        whole[tuple(map(slice, values.shape))] = values
        values = whole
    values = np.ascontiguousarray(values, row.numpy)
    strings, zstd = _codecs()
    return zstd.encode(strings.encode(values) if row.numpy.kind == "O" else values)


@cache
def _codecs() -> tuple[Any, Any]:
    purpose = "writing a Zarr store"
    strings = require("numcodecs.vlen", purpose).VLenUTF8()
    return strings, require("numcodecs.zstd", purpose).Zstd(level=_LEVEL, checksum=True)
