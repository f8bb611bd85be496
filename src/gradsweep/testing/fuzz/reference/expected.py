"""Every quantity at a point, from the value, J and H there.

The reference's numbers at a point and a Combination enter; the values that the Dataset should have
there leave, by variable name. The formulas are those of the table of quantities, in NumPy.
"""

from collections.abc import Mapping

import numpy as np

from gradsweep.testing.fuzz.combinations import Combination
from gradsweep.testing.fuzz.drawing.arguments import Arguments
from gradsweep.testing.fuzz.reference.base import At, in_parts

__all__ = ["expected_at"]


def expected_at(
    combination: Combination, at: At, arguments: Arguments, where: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Return the value that each variable of the result should have at a point.

    Args:
        where: the point's index along every axis.
    """
    every = [argument.name for argument in arguments.differentiated]
    wrt = list(combination.wrt or every)
    called = arguments.called
    v, _ = in_parts(
        {
            name: values[tuple(where[dim] for dim in dims)]
            for name, (dims, values) in combination.direction.items()
        }
    )
    found: dict[str, np.ndarray] = {}
    if combination.with_value or combination.quantity == "value":
        found |= {_output(path): y for path, y in at.y.items()}
    match combination.quantity:
        case "value":
            pass
        case "gradient" | "jacobian":
            for path in at.y:
                found |= {f"d{_output(path)}_d{called(n)}": at.J[path, n] for n in wrt}
        case "contributions":
            # A tangent that names a container names all that is in it.
            held = set(arguments.paths) if {*arguments.paths} & {*v} else set()
            named = [name for name in wrt if combination.wrt or name in {*v, *held}]
            for path, y in at.y.items():
                for name in named:
                    J = at.J[path, name]
                    tangent = np.broadcast_to(v.get(name, 0.0), J.shape[y.ndim :])
                    found[_joined("contribution", path, called(name))] = J * tangent
        case "jvp":
            for path, y in at.y.items():
                terms = [_times(at.J[path, name], v[name], y.ndim) for name in v]
                found[_joined("jvp", path)] = np.sum(terms, axis=0)
        case "vjp":
            for name in wrt:
                terms = [
                    np.tensordot(w, at.J[path, name], w.ndim)
                    for path, w in ((path, np.asarray(w)) for path, w in v.items())
                ]
                found[f"vjp_{called(name)}"] = np.sum(terms, axis=0)
        case "hessian":
            for path in at.y:
                for first in wrt:
                    for second in wrt:
                        name = f"d2{_output(path)}_d{called(first)}_d{called(second)}"
                        found[name] = at.H[path, first, second]
        case "hvp":
            for path in at.y:
                for first in wrt:
                    n = at.J[path, first].ndim
                    terms = [_times(at.H[path, first, second], v[second], n) for second in v]
                    found[_joined("hvp", path, called(first))] = np.sum(terms, axis=0)
    return found


def _times(J: np.ndarray, v: np.ndarray, n_dims: int) -> np.ndarray:
    """Return J v, where the first dims of J are those of the result."""
    v = np.broadcast_to(v, J.shape[n_dims:])
    return np.tensordot(J, v, v.ndim)


def _output(path: str) -> str:
    if not path:
        return "f"
    return path if path.isidentifier() else f"f_{path}"


def _joined(kind: str, path: str, *names: str) -> str:
    return "_".join([kind, *([_output(path)] if path else []), *names])
