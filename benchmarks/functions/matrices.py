"""The UR5 arm by matrices of numbers and of a library's own entries, for one that has none.

The formulas and their source are those of `examples.ur5`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from examples.ur5 import JOINTS, Joint

__all__ = ["tool_position"]

_Matrix = list[list[Any]]


def tool_position(q: Sequence[Any], sincos: Callable[[Any], tuple[Any, Any]]) -> list[Any]:
    """Return x, y and z of the tool, in metres, from the six joint angles in radians.

    Args:
        sincos: returns the sine and the cosine of an entry.
    """
    rows: _Matrix = [[1.0 if i == j else 0.0 for j in range(4)] for i in range(4)]
    for angle, joint in zip(q, JOINTS, strict=True):
        rows = _product(rows, _joint_transform(*sincos(angle), joint))
    return [row[3] for row in rows[:3]]


def _joint_transform(sin: Any, cos: Any, joint: Joint) -> _Matrix:
    cos_alpha, sin_alpha = math.cos(joint.alpha), math.sin(joint.alpha)
    return [
        [cos, -sin * cos_alpha, sin * sin_alpha, joint.a * cos],
        [sin, cos * cos_alpha, -cos * sin_alpha, joint.a * sin],
        [0.0, sin_alpha, cos_alpha, joint.d],
        [0.0, 0.0, 0.0, 1.0],
    ]


def _product(A: _Matrix, B: _Matrix) -> _Matrix:
    """Return the product of two matrices, without the terms that are 0."""
    return [
        [
            sum(a * b for a, b in zip(row, column) if not (_is_zero(a) or _is_zero(b)))
            for column in zip(*B)
        ]
        for row in A
    ]


def _is_zero(entry: Any) -> bool:
    return isinstance(entry, float) and entry == 0.0
