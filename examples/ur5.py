"""The geometry of the UR5 robot arm, which both frameworks' examples share.

Each joint is a row of standard Denavit-Hartenberg parameters. The transform of joint i is

    cos q   -sin q cos alpha    sin q sin alpha   a cos q
    sin q    cos q cos alpha   -cos q sin alpha   a sin q
        0          sin alpha          cos alpha         d
        0                  0                  0         1

Reference: Universal Robots, DH parameters for calculations of kinematics and dynamics.
"""

from math import pi
from typing import NamedTuple

__all__ = ["JOINTS", "Joint"]


class Joint(NamedTuple):
    """Attributes: a and d are lengths in metres, alpha is an angle in radians."""

    a: float
    d: float
    alpha: float


JOINTS = (
    Joint(0.0, 0.089159, pi / 2),
    Joint(-0.425, 0.0, 0.0),
    Joint(-0.39225, 0.0, 0.0),
    Joint(0.0, 0.10915, pi / 2),
    Joint(0.0, 0.09465, -pi / 2),
    Joint(0.0, 0.0823, 0.0),
)
