"""The loop engine: the function called at one point after another, by its own framework.

It runs whatever the function does: it is what the others are compared with, and where a function
goes that nothing can vectorise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradsweep.engines.job import Job, Kernel, Leaves, groups_by_dims, reduced

__all__ = ["LoopEngine", "own_array", "stacked", "to_numpy"]


class LoopEngine:
    name = "loop"
    runs_programs = False
    is_vectorised = False
    compiles = False

    def refuses(self, job: Job) -> str:
        return ""

    def scratch_bytes(self, job: Job, block: Mapping[str, int]) -> int:
        return 0  # one point at a time

    def prepare(self, job: Job) -> Kernel:
        def kernel(leaves: Leaves, arrays: Sequence[np.ndarray]) -> None:
            with job.traced.context():
                for dims, positions in groups_by_dims(job):
                    placed = {key: reduced(leaf, dims) for key, leaf in leaves.items()}
                    lengths = arrays[positions[0]].shape[: len(dims)]
                    for index in np.ndindex(*lengths):
                        where = dict(zip(dims, index))
                        values = {
                            key: own_array(
                                job.traced.framework, values[tuple(where[dim] for dim in leaf_dims)]
                            )
                            for key, (leaf_dims, values) in placed.items()
                        }
                        results = job.traced.eager(values)
                        for position in positions:
                            arrays[position][index] = to_numpy(results[position])

        return kernel


def own_array(framework: str, value: np.ndarray) -> Any:
    """Return the value at one point as an array of the function's own framework."""
    if framework == "torch":
        import torch

        return torch.from_numpy(np.array(value))
    import jax.numpy as jnp

    return jnp.asarray(value)


def stacked(framework: str, scalars: Sequence[Any]) -> Any:
    """Return the framework's array of scalars, some of which may be plain numbers."""
    if framework == "torch":
        import torch

        return torch.stack([torch.as_tensor(scalar) for scalar in scalars])
    import jax.numpy as jnp

    return jnp.stack([jnp.asarray(scalar) for scalar in scalars])


def to_numpy(result: Any) -> np.ndarray:
    """Return a framework's array as NumPy's."""
    return (result.detach() if hasattr(result, "detach") else result).__array__()
