"""A framework's own arrays: made from NumPy's, stacked, and returned as NumPy's.

A name enters, a Framework leaves. Nothing is imported before it is used.

Uses torch's as_tensor, from_numpy, func, stack, view_as_real and zeros_like, and jax.numpy's
asarray, stack and zeros_like, in the caller's context, which decides whether 64-bit numbers keep
their bits.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

__all__ = ["Framework", "offered_by"]


class Framework(Protocol):
    """The operations of a framework outside of tracing. Arrays are its own, but for NumPy's."""

    @property
    def transforms(self) -> Any:
        """The module of its transforms: vmap, grad, jacrev, ..."""

    def array(self, values: np.ndarray) -> Any:
        """Return values as an array that shares no memory with them."""

    def asarray(self, values: np.ndarray) -> Any:
        """Return values as an array, in the same memory where the framework can."""

    def stack(self, scalars: Sequence[Any]) -> Any:
        """Return an array of scalars, some of which may be plain numbers."""

    def zeros_like(self, array: Any) -> Any: ...

    def parts(self, array: Any) -> Any:
        """Return complex numbers as their parts, along a last dim."""

    def to_numpy(self, array: Any) -> np.ndarray: ...


class _Torch:
    @property
    def transforms(self) -> Any:
        import torch

        return torch.func

    def array(self, values: np.ndarray) -> Any:
        # torch takes no array that is read-only or has negative strides.
        return self.asarray(np.array(values))

    def asarray(self, values: np.ndarray) -> Any:
        import torch

        return torch.from_numpy(values)

    def stack(self, scalars: Sequence[Any]) -> Any:
        import torch

        return torch.stack([torch.as_tensor(scalar) for scalar in scalars])

    def zeros_like(self, array: Any) -> Any:
        import torch

        return torch.zeros_like(array)

    def parts(self, array: Any) -> Any:
        import torch

        return torch.view_as_real(array.resolve_conj())

    def to_numpy(self, array: Any) -> np.ndarray:
        return array.detach().numpy()


class _Jax:
    @property
    def transforms(self) -> Any:
        import jax

        return jax

    def array(self, values: np.ndarray) -> Any:
        return self.asarray(values)

    def asarray(self, values: np.ndarray) -> Any:
        from jax import numpy as jnp

        return jnp.asarray(values)

    def stack(self, scalars: Sequence[Any]) -> Any:
        from jax import numpy as jnp

        return jnp.stack([jnp.asarray(scalar) for scalar in scalars])

    def zeros_like(self, array: Any) -> Any:
        from jax import numpy as jnp

        return jnp.zeros_like(array)

    def parts(self, array: Any) -> Any:
        from jax import numpy as jnp

        return jnp.stack([array.real, array.imag], axis=-1)

    def to_numpy(self, array: Any) -> np.ndarray:
        return np.asarray(array)


_FRAMEWORKS: dict[str, Framework] = {"torch": _Torch(), "jax": _Jax()}


def offered_by(framework: str) -> Framework:
    """Return a framework by its name."""
    return _FRAMEWORKS[framework]
