"""Read the values on a command line, such as `S=50:150:101`.

Text enters, values for a `Sweep` leave. Knows neither files nor how results are shown.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gradsweep.cli.annotations import without_none
from gradsweep.request.argument import components
from gradsweep.request.categories import each
from gradsweep.request.lazy import Values, geomspace, linspace
from gradsweep.support.errors import SweepError, nearest

__all__ = [
    "is_complex",
    "is_number",
    "read_correlation",
    "read_direction",
    "read_fixed",
    "read_ranges",
    "read_swept",
]

_NAME = re.compile(r"(?P<name>\w+(\.\w+)*)(\[(?P<element>[0-9]+)\])?(@(?P<dim>\w+))?")

# How a word is read where its parameter is annotated; any other is a number if it can be, as Python
# reads it: 100 is an integer, 100.0 and 1e2 are floats, 1+2j is complex.
_BY_ANNOTATION: dict[Any, Callable[[str], Any]] = {int: int, complex: complex, str: str}
_WORDS = {"true": True, "false": False, "none": None}


def read_fixed(options: Iterable[str], annotations: Mapping[str, Any]) -> dict[str, Any]:
    """Read every `--at NAME=VALUE`.

    Raises:
        SweepError: when one has another form, or a name comes twice.
    """
    fixed: dict[str, Any] = {}
    for option in options:
        name, text = _split(option, "--at", "NAME=VALUE, such as --at K=100.0")
        _once(name, fixed, "--at")
        value = _read_value(f"--at {option}", text, annotations.get(name))
        fixed[name] = ((), value) if isinstance(value, np.ndarray | dict | list) else value
    return fixed


def read_swept(options: Iterable[str], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Read every `--over NAME[@DIM]=VALUES`, elements of an array argument included.

    Args:
        fixed: the result of `read_fixed`, which holds the arrays of those elements.

    Raises:
        SweepError: when one has another form, or a name comes twice.
    """
    swept: dict[str, Any] = {}
    elements: dict[str, dict[int, Any]] = {}
    for option in options:
        written, text = _split(option, "--over", "NAME=VALUES, such as --over S=50:150:101")
        match = _NAME.fullmatch(written)
        if match is None:
            raise SweepError(
                f"--over {option}: {written!r} is no argument; write NAME or NAME@DIM."
            )
        name, element = match["name"], match["element"]
        dim = match["dim"] or f"{name.replace('.', '_')}{element or ''}"
        values = _read_several(f"--over {option}", text)
        if element is None:
            _once(name, swept, "--over")
            if name in fixed:
                raise SweepError(
                    f"{name!r} is swept with --over and fixed with --at; give it once."
                )
            swept[name] = (dim, values)
        else:
            _once(int(element), elements.setdefault(name, {}), f"--over {name}")
            elements[name][int(element)] = (dim, values)
    return swept | {
        name: _put_together(name, parts, fixed.get(name)) for name, parts in elements.items()
    }


def read_ranges(options: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Read every `--range NAME=LOW:HIGH`."""
    ranges: dict[str, tuple[float, float]] = {}
    for option in options:
        name, text = _split(option, "--range", "NAME=LOW:HIGH, such as --range S=50:150")
        _once(name, ranges, "--range")
        bounds = [_real(f"--range {option}", bound) for bound in text.split(":")]
        if len(bounds) != 2:
            raise SweepError(f"--range {option} needs two bounds: --range {name}=LOW:HIGH.")
        ranges[name] = (bounds[0], bounds[1])
    return ranges


def read_direction(options: Iterable[str], kind: str, columns: Mapping[str, Any]) -> Any:
    """Read every `--along` or `--std`: a tangent or stds by argument, or a cotangent.

    Args:
        kind: "tangent", "cotangent" or "std".
        columns: the columns of --from by name; a word may be such a name.

    Returns:
        A mapping by name, or a lone cotangent.
    """
    direction: dict[str, Any] = {}
    flag = "--std" if kind == "std" else "--along"
    for option in options:
        if kind == "cotangent" and "=" not in option:
            if len(options := list(options)) > 1:
                raise SweepError("--along W is one cotangent; with several, write OUTPUT=W.")
            return _read_share(f"--along {option}", option, columns)
        written, text = _split(option, flag, f"NAME=VALUE, such as {flag} S=1")
        name, at, dim = written.partition("@")
        _once(name, direction, flag)
        said = f"{flag} {option}"
        direction[name] = (
            (dim, _read_values(said, text)) if at else _read_share(said, text, columns)
        )
    return direction


def read_correlation(options: Iterable[str], columns: Mapping[str, Any]) -> dict[Any, Any]:
    """Read every `--correlation A,B=R`, by pair of names."""
    found: dict[Any, Any] = {}
    for option in options:
        written, text = _split(option, "--correlation", "A,B=R, such as S,sigma=-0.7")
        said = f"--correlation {option}"
        pair = tuple(name.strip() for name in written.split(","))
        if len(pair) != 2:
            raise SweepError(f"{said}: name two arguments, A,B=R.")
        _once(pair, found, "--correlation")
        found[pair] = _read_share(said, text, columns)
    return found


def _read_share(said: str, text: str, columns: Mapping[str, Any]) -> Any:
    """Read a number, an array, values, or a column of --from by NAME or @NAME."""
    if text.startswith("@") and text[1:] not in columns:
        has = f"has {', '.join(columns)}" if columns else "is not given"
        raise SweepError(
            f"{said}: there is no column {text[1:]!r}; --from {has}.{nearest(text[1:], columns)}"
        )
    if text.removeprefix("@") in columns:
        return columns[text.removeprefix("@")]
    if is_number(text):
        return _number(said, text)
    if text.startswith(("[", "{")):
        return _from_json(said, text)
    return _read_values(said, text)


def _read_several(option: str, text: str) -> Any:
    """Read what an argument is swept over: numbers, words, or `each:` of what Python code reads."""
    if text.startswith("each:"):
        words = text.removeprefix("each:").split(",")
        return each([_read_value(option, word.strip(), None) for word in words])
    words = [word.strip() for word in text.split(",")]
    if ":" in text or any(map(is_number, words)) or not all(words):
        return _read_values(option, text)
    if len(words) == 1:
        raise SweepError(
            f"{option}: {text!r} is not a number. Sweep several words, such as kind=call,put, or "
            f"hold one fixed with --at."
        )
    truths = [_WORDS.get(word.lower()) for word in words]
    return truths if all(isinstance(truth, bool) for truth in truths) else words


def _read_values(option: str, text: str) -> Values:
    """Read start:stop:count, log:start:stop:count or a,b,c."""
    is_log = text.startswith("log:")
    parts = text.removeprefix("log:").split(":")
    if len(parts) == 1 and not is_log:
        return np.array([_number(option, word) for word in text.split(",")])
    if len(parts) != 3 or not parts[2].strip().isdecimal():
        raise SweepError(
            f"{option}: write start:stop:count, as in 50:150:101, log:start:stop:count, or a,b,c."
        )
    n_values = int(parts[2])
    if not is_log and any(map(is_complex, parts[:2])):
        return np.linspace(_number(option, parts[0]), _number(option, parts[1]), n_values)
    start, stop = _real(option, parts[0]), _real(option, parts[1])
    if not is_log:
        return linspace(start, stop, n_values)
    if start * stop <= 0:
        raise SweepError(f"{option}: log: needs two bounds of one sign, neither of them 0.")
    return geomspace(start, stop, n_values)


def _read_value(option: str, text: str, annotation: Any) -> Any:
    kind, is_optional = without_none(annotation)
    if is_optional and text.lower() == "none":
        return None
    if isinstance(kind, type) and kind in _BY_ANNOTATION:
        try:
            return _BY_ANNOTATION[kind](text)
        except ValueError:
            what = "complex" if kind is complex else "an int"
            raise SweepError(
                f"{option}: the parameter is {what}, and {text!r} is no such number."
            ) from None
    if is_number(text):
        return _as_python_reads(text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if text.startswith(("[", "{")):
        return _from_json(option, text)
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _from_json(option: str, text: str) -> Any:
    try:
        return _with_arrays(json.loads(text))
    except json.JSONDecodeError as error:
        failure = error
    try:  # JSON has no complex numbers, and Python has
        return _with_arrays(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        raise SweepError(f"{option}: this is no JSON: {failure}.") from None


def _with_arrays(value: Any) -> Any:
    """Turn lists of numbers into arrays, wherever they stand in a JSON value."""
    if isinstance(value, dict):
        return {key: _with_arrays(child) for key, child in value.items()}
    if not isinstance(value, list):
        return value
    try:
        array = np.array(value)
    except ValueError:  # rows of several lengths
        array = np.array(None)
    return array if array.dtype.kind in "fic" else [_with_arrays(child) for child in value]


def _put_together(name: str, parts: Mapping[int, Any], fixed: Any) -> Any:
    """Return an array argument in which some elements are swept and the others fixed."""
    array = fixed[1] if isinstance(fixed, tuple) else None
    if not isinstance(array, np.ndarray) or array.ndim != 1:
        raise SweepError(
            f"--over {name}[{min(parts)}] sweeps an element of an array; "
            f"give the others with --at {name}=[...], an array of one dimension."
        )
    if max(parts) >= len(array):
        raise SweepError(f"--over {name}[{max(parts)}]: --at {name} has {len(array)} elements.")
    return components(*(parts.get(index, value) for index, value in enumerate(array.tolist())))


def _split(option: str, flag: str, form: str) -> tuple[str, str]:
    name, equals, text = option.partition("=")
    if not (name.strip() and equals and text.strip()):
        raise SweepError(f"{flag} {option}: write {flag} {form}.")
    return name.strip(), text.strip()


def _once(name: Any, given: Mapping[Any, Any], flag: str) -> None:
    if name in given:
        raise SweepError(f"{flag} gives {name!r} twice.")


def is_number(text: str) -> bool:
    """Tell whether a text is a number, which may be complex."""
    return _is_read_by(float, text) or is_complex(text)


def is_complex(text: str) -> bool:
    """Tell whether a text is a complex number, such as 1+2j; j and infj are words."""
    has_digit = any(map(str.isdigit, text))
    return has_digit and _is_read_by(complex, text) and not _is_read_by(float, text)


def _is_read_by(kind: Callable[[str], Any], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _as_python_reads(text: str) -> complex:
    return int(text) if _is_read_by(int, text) else _number("", text)


def _number(option: str, text: str) -> complex:
    """Return a number; a float where it is real."""
    return complex(text) if is_complex(text) else _real(option, text)


def _real(option: str, text: str) -> float:
    if is_complex(text):
        raise SweepError(f"{option}: {text.strip()!r} is complex; give a real number.")
    if not is_number(text):
        raise SweepError(f"{option}: {text.strip()!r} is not a number.")
    return float(text)
