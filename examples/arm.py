"""A UR5 robot arm, in torch: from six joint angles to the position of its tool.

Its Jacobian at many poses says how well the arm can move there. The geometry and its source are
those of `examples.ur5`.
"""

import math

import numpy as np
import torch

import gradsweep as gs
from examples.ur5 import JOINTS, Joint

__all__ = ["arm"]


def arm(q):
    """Return the position of the tool, in metres, from the joint angles in radians.

    Args:
        q: the six angles, shape (6,).

    Returns:
        x, y and z, shape (3,).
    """
    transform = torch.eye(4, dtype=q.dtype)
    for angle, joint in zip(q, JOINTS, strict=True):
        transform = transform @ _joint_transform(angle, joint)
    return transform[:3, 3]


def _joint_transform(angle, joint: Joint):
    cos, sin = torch.cos(angle), torch.sin(angle)
    cos_alpha, sin_alpha = math.cos(joint.alpha), math.sin(joint.alpha)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [
        [cos, -sin * cos_alpha, sin * sin_alpha, joint.a * cos],
        [sin, cos * cos_alpha, -cos * sin_alpha, joint.a * sin],
        [zero, one * sin_alpha, one * cos_alpha, one * joint.d],
        [zero, zero, zero, one],
    ]
    return torch.stack([torch.stack(row) for row in rows])


def main() -> None:
    poses = np.random.default_rng(0).uniform(-np.pi, np.pi, size=(1000, 6))
    J = gs.jacobian(arm, gs.Sweep(q=("pose", poses)))["darm_dq"]
    manipulability = np.sqrt(np.linalg.det(J.values @ J.values.transpose(0, 2, 1)))
    print(J.sizes)
    print(f"manipulability: {manipulability.min():.4f} to {manipulability.max():.4f} m^3")


if __name__ == "__main__":
    main()
