"""Check: how far each derivative is from independent estimates of it.

Findings enter; text, JSON and a Dataset leave.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsweep.checks.findings import Findings
from gradsweep.checks.text import describe

if TYPE_CHECKING:
    import xarray

__all__ = ["Check"]

# The columns of a row that are numbers.
_NUMBERS = ("computed", "estimated", "error", "allowed", "absolute", "relative")


@dataclass(frozen=True)
class Check(Findings):
    """The result of `gradsweep.check`: every comparison, and a verdict. It can be printed."""

    def to_json(self) -> str:
        """Return one JSON document, in which NaN and infinities are strings."""
        document = {
            "ok": self.ok,
            "sentence": self.sentence,
            "function": self.function,
            "quantity": self.quantity,
            "framework": self.framework,
            "engine": self.engine,
            "n_sweep_points": self.n_sweep_points,
            "n_suspicious": len(self.suspicious),
            "not_finite_points": list(self.not_finite),
            "estimates": [vars(note) for note in self.estimates],
            "notes": list(self.notes),
            "categories": list(self.categories),
            "points": [
                {name: _plain(value) for name, value in _real(point)} for point in self.points
            ],
            "rows": [
                {
                    "variable": row.variable,
                    "index": list(row.index),
                    "point": row.point,
                    "estimate": row.estimate,
                    **{key: _plain(getattr(row, key)) for key in _NUMBERS},
                    "verdict": row.verdict,
                    "suspicious": row.is_suspicious,
                    "reason": row.reason,
                }
                for row in self.rows
            ],
        }
        return json.dumps(document, allow_nan=False, ensure_ascii=False)

    def to_dataset(self) -> "xarray.Dataset":
        """Return the comparisons as an xarray.Dataset along one dim, `row`.

        The arguments at a row's point are coordinates; array arguments have dims of their own.
        """
        import xarray

        columns = ("variable", "index", "point", "estimate", *_NUMBERS, "verdict", "reason")
        variables: dict[str, Any] = {
            name: ("row", np.array([_cell(getattr(row, name)) for row in self.rows]))
            for name in columns
        }
        variables["suspicious"] = "row", np.array([row.is_suspicious for row in self.rows], bool)
        which = [row.point for row in self.rows]
        coordinates = {}
        for key in self.points[0]:
            values = np.array([point[key] for point in self.points])[which]
            name = key.replace(".", "_")
            own = [f"{name}_{position}" for position in range(values.ndim - 1)]
            # A column keeps its name; an argument of the same name is renamed.
            name = f"argument_{name}" if name in variables else name
            coordinates[name] = (("row", *own), values)
        attrs = {name: getattr(self, name) for name in ("function", "quantity", "framework")}
        return xarray.Dataset(variables, coordinates, attrs | {"sentence": self.sentence})

    def __str__(self) -> str:
        return describe(self)


def _real(point: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the values of a point by name; of complex ones both parts."""
    for name, value in point.items():
        if value.dtype.kind == "c":
            yield from ((f"{name}_real", value.real), (f"{name}_imag", value.imag))
        else:
            yield name, value


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: NaN and infinities as words that float() reads."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
