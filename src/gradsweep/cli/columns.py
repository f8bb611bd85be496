"""Read a file of columns, one row for each point of a sweep.

A .csv or .parquet file and a function enter; values for a Sweep, zipped along one dim, leave.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradsweep.cli.values import is_complex, is_number
from gradsweep.request.function import parameters_of
from gradsweep.support.errors import SweepError, require

__all__ = ["choose_columns", "missing_numbers", "read_columns"]

_SUFFIXES = (".csv", ".parquet")


def read_columns(written: str) -> dict[str, Any]:
    """Read FILE[:DIM].

    Returns:
        For every column, (dim, Series); the values may be anything. Their labels are the column
        named like the dim, or the index that a .parquet file has.

    Raises:
        SweepError: when the file is missing, of another kind or not readable.
    """
    file, dim = _parted(written)
    path = Path(file)
    if path.suffix not in _SUFFIXES:
        raise SweepError(f"--from {written}: {file!r} is neither {' nor '.join(_SUFFIXES)}.")
    if not path.is_file():
        raise SweepError(f"--from {written}: there is no file {file!r}.")
    pandas = require("pandas", "--from")
    if path.suffix == ".parquet":
        require("pyarrow", "reading a .parquet file")
    try:
        frame = pandas.read_csv(path) if path.suffix == ".csv" else pandas.read_parquet(path)
    except (ValueError, OSError) as error:  # every parser's own error is a ValueError
        raise SweepError(f"--from {written}: {error}") from None
    # A column without rows has no type; as float it may be any argument.
    frame = frame if len(frame) else frame.astype(float)
    columns = {str(name).strip(): column.to_numpy() for name, column in frame.items()}
    columns = {name: c if name == dim else _as_complex(c) for name, c in columns.items()}
    labels = columns.get(dim, frame.index)
    return {name: (dim, pandas.Series(c, index=labels)) for name, c in columns.items()}


def choose_columns(
    written: str,
    columns: Mapping[str, Any],
    function: Callable[..., Any],
    given: Collection[str],
    directions: Iterable[str],
) -> tuple[dict[str, Any], list[str]]:
    """Choose the columns that are arguments of a function.

    Args:
        written: FILE[:DIM], where the columns come from.
        given: the arguments that have a value already; it takes precedence over a column.
        directions: the columns that --along, --std and --correlation name.

    Returns:
        The arguments, and the names of the columns that nothing uses; labels are used.

    Raises:
        SweepError: when the column of an argument holds neither numbers, words nor truth values.
    """
    takes = _parameters(function)
    labels = {
        name for name, (dim, _) in columns.items() if name == dim and name not in (takes or ())
    }
    chosen = {
        name: column
        for name, column in columns.items()
        if name not in {*given, *labels} and (takes is None or name.partition(".")[0] in takes)
    }
    used = {*chosen, *directions, *labels}
    if takes is None:  # **kwargs takes any column but these
        chosen = {name: column for name, column in chosen.items() if name not in set(directions)}
    file = _parted(written)[0] if columns else ""
    arguments = {
        name: _column(f"{file}: column {name!r}", *column) for name, column in chosen.items()
    }
    return arguments, [name for name in columns if name not in used]


def _as_complex(column: np.ndarray) -> np.ndarray:
    """Return a column of texts such as 1+2j as complex numbers, any other as it is.

    A real number among them, or a missing one, is complex too.
    """
    if column.dtype.kind != "O":
        return column
    texts = [*map(_spaceless, column)]
    if not any(map(is_complex, texts)) or not all(map(is_number, texts)):
        return column
    missing = complex(np.nan, np.nan)
    return np.array([missing if text == "nan" else complex(text) for text in texts])


def _parted(written: str) -> tuple[str, str]:
    """Return FILE and DIM of FILE[:DIM]."""
    # A colon may also belong to the file's own name.
    if Path(written).exists() or ":" not in written:
        return written, "row"
    file, _, dim = written.rpartition(":")
    return file, dim


def missing_numbers(written: str, columns: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each column of numbers that lacks some, whose results are NaN.

    Args:
        written: FILE[:DIM], where the columns come from.
    """
    for name, (_, column) in columns.items():
        rows = np.flatnonzero(column.isna())
        if column.dtype.kind in "fc" and len(rows):
            where = f"row {rows[0] + 1}"
            if len(rows) > 1:
                where = f"{len(rows):,} of {len(column):,} rows, the first of them {where}"
            yield (
                f"{_parted(written)[0]}: column {name!r} has no number in {where}; what depends on "
                f"it is NaN there"
            )


def _column(shown: str, dim: str, column: Any) -> tuple[str, Any]:
    """Return a column as a Sweep takes it: of numbers, of words, or of truth values.

    Args:
        shown: the file and the column, for messages.

    Raises:
        SweepError: when it holds something else, or several of these.
    """
    values = np.asarray(column)
    if values.dtype.kind in "fiuc":
        return dim, column
    words = [value for value in values if isinstance(value, str)]
    truths = [value for value in values if isinstance(value, bool | np.bool_)]
    found = words or truths
    texts = set(words)
    are_meant = bool(texts) and all(map(_is_meant, texts))
    if found and not are_meant and not any(map(_is_number, texts)):
        if len(found) == len(values):
            # As objects, truth values are swept one by one; as an array they would be numbers.
            return dim, column.astype(object) if truths else column
        missing = np.flatnonzero(column.isna())
        if len(missing) == len(values) - len(found):
            raise SweepError(
                f"{shown} is an argument, and has no {'word' if words else 'truth value'} "
                f"in row {missing[0] + 1}."
            )
    # A column of mixed values may hold numbers too; the message shows one that is none.
    row = next((row for row, value in enumerate(values) if not _is_number(value)), 0)
    wrong = values[row]
    advice = f" Write {_with_j(wrong)}." if _is_meant(wrong) else ""
    raise SweepError(
        f"{shown} is an argument, and does not hold numbers: it has {wrong!r} in row {row + 1}."
        f"{advice}"
    )


def _is_number(value: object) -> bool:
    return is_number(_spaceless(value))


def _spaceless(value: object) -> str:
    return str(value).replace(" ", "")


def _is_meant(value: object) -> bool:
    """Tell whether a text is a complex number as mathematicians write it: 2+3i or 2+3*i."""
    return not _is_number(value) and is_complex(_with_j(value))


def _with_j(value: object) -> str:
    return _spaceless(value).replace("*", "").replace("i", "j").replace("I", "j")


def _parameters(function: Callable[..., Any]) -> set[str] | None:
    """Return the names of a function's parameters; None when it takes any."""
    parameters = parameters_of(function)
    if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters}
