"""What the dialect asks of a framework besides the operations in the tables.

Nothing is imported before a function is called with that framework's arrays.
"""

import importlib
import operator
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import numpy as np

from gradsweep.request.framework import FrameworkName, framework_of

__all__ = ["Library", "is_basic", "library_of", "resolve"]


class Library(Protocol):
    """A framework's arrays, as NumPy would use them."""

    name: FrameworkName

    def asarray(self, value: Any) -> Any:
        """Return the framework's array of a number, an array or nested lists of both."""

    def cast(self, value: Any, dtype: Any) -> Any:
        """Return an array with another dtype, given in NumPy's words."""

    def dtype(self, value: Any) -> np.dtype:
        """Return the dtype in NumPy's words."""

    def get(self, value: Any, index: Any) -> Any:
        """Return value[index], for an index that NumPy takes."""

    def put(self, value: Any, index: Any, new: Any) -> Any:
        """Return a copy of an array with `new` written at value[index]."""

    def permute(self, value: Any, axes: tuple[int, ...]) -> Any: ...

    def broadcast(self, value: Any, shape: tuple[int, ...]) -> Any: ...

    def complex(self, real: Any, imag: Any) -> Any: ...

    def detached(self, value: Any) -> Any:
        """Return the same numbers, which have no derivative."""


class _Jax:
    name: FrameworkName = "jax"

    def asarray(self, value: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(value)

    def cast(self, value: Any, dtype: Any) -> Any:
        return self.asarray(value).astype(np.dtype(dtype))

    def dtype(self, value: Any) -> np.dtype:
        return np.dtype(value.dtype)

    def get(self, value: Any, index: Any) -> Any:
        if _is_known(index):
            return value[index]
        # NaN, not the nearest element, where an index lies outside: NumPy raises an error.
        return value.at[index].get(mode="fill")

    def put(self, value: Any, index: Any, new: Any) -> Any:
        return value.at[index].set(self.cast(new, value.dtype))

    def permute(self, value: Any, axes: tuple[int, ...]) -> Any:
        return value.transpose(axes)

    def broadcast(self, value: Any, shape: tuple[int, ...]) -> Any:
        return resolve("jnp.broadcast_to")(value, shape)

    def complex(self, real: Any, imag: Any) -> Any:
        return resolve("jax.lax.complex")(real, imag)

    def detached(self, value: Any) -> Any:
        return resolve("jax.lax.stop_gradient")(value)


class _Torch:
    name: FrameworkName = "torch"

    def asarray(self, value: Any) -> Any:
        import torch

        if isinstance(value, torch.Tensor):
            return value
        if isinstance(value, list | tuple) and not _is_known(value):
            return resolve("own.stack")([self.asarray(item) for item in value])
        # torch takes no array that is read-only or has negative strides.
        return torch.from_numpy(np.array(value))

    def cast(self, value: Any, dtype: Any) -> Any:
        import torch

        return self.asarray(value).to(getattr(torch, np.dtype(dtype).name))

    def dtype(self, value: Any) -> np.dtype:
        return np.dtype(str(value.dtype).removeprefix("torch."))

    def get(self, value: Any, index: Any) -> Any:
        index, flipped = _without_negative_steps(index, tuple(value.shape))
        found = value[self._index(index)]
        return found.flip(flipped) if flipped else found

    def put(self, value: Any, index: Any, new: Any) -> Any:
        import torch

        new = self.asarray(new).to(value.dtype)
        if not _is_known(index):
            copy = value.clone()
            copy[self._index(index)] = new
            return copy
        # Not in place: under vmap a value of each point cannot be written into a constant.
        shape = tuple(value.shape)
        places = np.arange(value.numel()).reshape(shape)[index]
        written = np.zeros(shape, dtype=bool)
        written.reshape(-1)[places] = True
        if new.numel() > 1:
            source = np.zeros(shape, dtype=np.int64)
            source.reshape(-1)[places] = _spread(tuple(new.shape), places.shape)
            new = new.reshape(-1)[torch.from_numpy(source)]
        elif new.numel() == 1:
            new = new.reshape(())
        else:
            return value
        return torch.where(torch.from_numpy(written), new, value)

    def permute(self, value: Any, axes: tuple[int, ...]) -> Any:
        return value.permute(axes)

    def broadcast(self, value: Any, shape: tuple[int, ...]) -> Any:
        return value.expand(shape)

    def complex(self, real: Any, imag: Any) -> Any:
        return resolve("torch.complex")(real, imag)

    def detached(self, value: Any) -> Any:
        return value.detach()

    def _index(self, index: Any) -> Any:
        """Return an index with torch's arrays in place of NumPy's and of lists."""
        if isinstance(index, tuple):
            return tuple(map(self._index, index))
        if isinstance(index, np.ndarray | list):
            return self.asarray(index)
        if isinstance(index, np.integer):
            return int(index)
        return index


def is_basic(index: Any) -> bool:
    """Tell whether NumPy makes a view for an index: of integers, slices, None and Ellipsis."""
    items = index if isinstance(index, tuple) else (index,)
    return all(
        item is None
        or item is Ellipsis
        or isinstance(item, slice)
        or (isinstance(item, int | np.integer) and not isinstance(item, bool))
        for item in items
    )


def _is_known(index: Any) -> bool:
    """Tell whether an index or a list consists of Python's and NumPy's values alone."""
    if isinstance(index, list | tuple):
        return all(map(_is_known, index))
    return not framework_of(index)


def _spread(shape: tuple[int, ...], wanted: tuple[int, ...]) -> np.ndarray:
    """Return, for each element of an array to be written, which of the new elements it gets.

    Raises:
        ValueError: as NumPy does, when the shapes do not fit.
    """
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    while numbers.ndim > len(wanted) and numbers.shape[0] == 1:
        numbers = numbers[0]
    return np.broadcast_to(numbers, wanted)


def _without_negative_steps(index: Any, shape: tuple[int, ...]) -> tuple[Any, list[int]]:
    """Return an index without negative steps, and the dims of the result that are to be reversed.

    torch has no negative strides. An index that has an array besides is left as it is: where its
    dims come out depends on where the array stands.
    """
    items = index if isinstance(index, tuple) else (index,)
    steps = [i.step for i in items if isinstance(i, slice) and i.step is not None]
    if not is_basic(index) or not any(step < 0 for step in steps):
        return index, []
    n_named = sum(item is not None and item is not Ellipsis for item in items)
    if Ellipsis in items:
        at = items.index(Ellipsis)
        rest = (slice(None),) * (len(shape) - n_named)
        items = (*items[:at], *rest, *items[at + 1 :])
    found: list[Any] = []
    flipped: list[int] = []
    axis = dim = 0
    for item in items:
        if isinstance(item, slice) and (item.step or 1) < 0:
            places = range(*item.indices(shape[axis]))
            item = slice(0, 0)
            if places:
                item = slice(places[-1], places[0] + 1, -places.step)
            flipped.append(dim)
        found.append(item)
        axis += item is not None
        dim += item is None or isinstance(item, slice)
    return tuple(found), flipped


_LIBRARIES: dict[str, Library] = {"torch": _Torch(), "jax": _Jax()}


def library_of(value: Any) -> Library | None:
    """Return the library whose array a value is; None for anything else."""
    if not hasattr(value, "dtype"):
        return None
    return _LIBRARIES.get(framework_of(value))


# Short names of modules in the tables: `own` is what torch lacks, written in torch.
_MODULES = {
    "jnp": "jax.numpy",
    "jsp": "jax.scipy.special",
    "own": "gradsweep.tracing.numpy.on_torch",
}


@cache
def resolve(name: str) -> Callable[..., Any]:
    """Return what a dotted name in a table stands for, such as "torch.special.ndtr"."""
    module, _, rest = name.partition(".")
    if module == "operator":
        return getattr(operator, rest)
    found: Any = importlib.import_module(_MODULES.get(module, module))
    for part in rest.split("."):
        found = getattr(found, part)
    return found
