"""The zarr.json documents of a store: written, and checked without trust.

A Run and attributes enter, JSON leaves. JSON that was read enters, and is compared with what the
Run would write: a codec, a shape or a key that is not ours is never looked up, only refused. Knows
nothing of chunks' content.

Reference: the Zarr v3 specification, metadata documents.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradsweep.results.stores.zarr.arrays import Array, Run
from gradsweep.results.stores.zarr.coding import DTYPES
from gradsweep.results.stores.zarr.disk import read_plain
from gradsweep.support.errors import StoreError

__all__ = ["KEPT", "RUN_FOLDER", "check_documents", "documents", "dump", "parse"]

# Our own folder among the arrays: a group that holds an array, both empty, so that a program that
# lists the store as Zarr finds nothing strange. The folder of an array is never listed.
KEPT = ".gradsweep"
RUN_FOLDER = f"{KEPT}/run"

_LARGEST_BYTES = 2**28


def documents(
    run: Run, attrs: Mapping[str, Any], of_arrays: Mapping[str, Mapping[str, Any]]
) -> dict[str, bytes]:
    """Return the text of every zarr.json, by its path within the store.

    Args:
        attrs: attributes of the Dataset.
        of_arrays: attributes of each array, by its name.
    """
    arrays = {array.name: _array(array, of_arrays[array.name]) for array in run.arrays}
    # xarray tells coordinates from variables by this list; one named like its dim is not on it.
    others = [array.name for array in run.coordinates if array.dims != (array.name,)]
    marked = {"coordinates": " ".join(others)} if others else {}
    root = _group({**_jsonable(attrs), **marked}) | {
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": arrays}
    }
    about = {"about": "The ledger of gradsweep: which parts of the run are finished."}
    empty = Array("run", ("byte",), (0,), (1,), "uint8", False)
    return {
        f"{KEPT}/zarr.json": dump(_group(about)),
        f"{RUN_FOLDER}/zarr.json": dump(_array(empty, {})),
        **{f"{name}/zarr.json": dump(document) for name, document in arrays.items()},
        "zarr.json": dump(root),
    }


def check_documents(folder: Path, run: Run) -> None:
    """Make sure that a reader who opens the store as Zarr finds the run's arrays, and no others.

    Raises:
        StoreError: when a document says anything that `documents` does not write.
    """
    found = {}
    for array in run.arrays:
        path = folder / array.name / "zarr.json"
        if path.parent.is_symlink():
            raise _strange(path.parent, "is a link")
        document = found[array.name] = _read(path)
        if not isinstance(document.get("attributes"), dict) or document != _array(
            array, document["attributes"]
        ):
            raise _strange(path, _first_difference(document, _array(array, {})))
    path = folder / "zarr.json"
    root = _read(path)
    consolidated = {"kind": "inline", "must_understand": False, "metadata": found}
    expected = _group(root.get("attributes", {})) | {"consolidated_metadata": consolidated}
    if root != expected:
        raise _strange(path, _first_difference(root, expected))


def parse(text: bytes) -> Any:
    """Read JSON that may be hostile.

    Raises:
        ValueError: when it is no JSON, nested too deeply, or holds a number that is too long.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dump(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _group(attributes: Any) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _array(array: Array, attributes: Mapping[str, Any]) -> dict[str, Any]:
    row = DTYPES[array.dtype]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(array.shape),
        "data_type": array.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(array.chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": row.fill,
        "codecs": row.codecs,
        "attributes": _jsonable(attributes),
        "dimension_names": list(array.dims),
        "storage_transformers": [],
    }


def _jsonable(value: Any) -> Any:
    """Turn an attribute into a value that JSON can hold; any other value becomes its text."""
    match value:
        case np.generic() | np.ndarray():
            return _jsonable(value.tolist())
        case Mapping():
            return {str(key): _jsonable(child) for key, child in value.items()}
        case list() | tuple():
            return [_jsonable(child) for child in value]
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case str() | bool() | int() | float() | None:
            return value
    return str(value)


def _read(path: Path) -> dict[str, Any]:
    if (text := read_plain(path, _LARGEST_BYTES)) is None:
        raise StoreError(f"{path} is missing.\n{_ADVICE}")
    try:
        document = parse(text)
    except ValueError as error:
        raise _strange(path, f"is no JSON ({error})") from None
    if not isinstance(document, dict):
        raise _strange(path, "is no object")
    return document


_ADVICE = (
    "If the store is yours, `gradsweep verify STORE --repair` marks it to be written again "
    "by a run with resume=True."
)


def _strange(path: Path, what: str) -> StoreError:
    return StoreError(f"{path} {what}; it is not what gradsweep wrote.\n{_ADVICE}")


def _first_difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    for key in dict.fromkeys([*expected, *found]):
        if key != "attributes" and found.get(key) != expected.get(key):
            return f"says {key} = {str(found.get(key))[:80]}"
    return "has attributes that are none"
