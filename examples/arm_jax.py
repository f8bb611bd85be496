"""A UR5 robot arm, in JAX, and the speed of its tool while the joints turn.

The geometry and its source are those of `examples.ur5`.
"""

import math

import jax.numpy as jnp
import numpy as np

import gradsweep as gs
from examples.ur5 import JOINTS, Joint

__all__ = ["arm"]


def arm(q):
    """Return the position of the tool, in metres, from the joint angles in radians, shape (6,)."""
    transform = jnp.eye(4)
    for angle, joint in zip(q, JOINTS, strict=True):
        transform = transform @ _joint_transform(angle, joint)
    return transform[:3, 3]


def _joint_transform(angle, joint: Joint):
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    cos_alpha, sin_alpha = math.cos(joint.alpha), math.sin(joint.alpha)
    return jnp.array(
        [
            [cos, -sin * cos_alpha, sin * sin_alpha, joint.a * cos],
            [sin, cos * cos_alpha, -cos * sin_alpha, joint.a * sin],
            [0.0, sin_alpha, cos_alpha, joint.d],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def main() -> None:
    poses = np.random.default_rng(0).uniform(-np.pi, np.pi, size=(5, 6))
    joint_speeds = {"q": np.array([0.1, 0.0, -0.2, 0.0, 0.3, 0.0])}
    print(gs.jvp(arm, gs.Sweep(q=("pose", poses)), joint_speeds))


if __name__ == "__main__":
    main()
