"""Indices that are traced numbers: `table[i]`, where i is a tensor without dims.

torch reads such an index as a Python integer, and returns a view. A Program would then hold for
one entry of the table alone. So the entries are gathered, by torch's own operation for indices
that are tensors. What is gathered is a copy: a function that writes into it, or into the table
afterwards, runs once more, and then its indices are read.

Knows nothing of how operations are recorded.
"""

from collections.abc import Sequence
from typing import Any

import torch

from gradsweep.tracing.torch import private
from gradsweep.tracing.torch.recorder.tensor import RecordedTensor

__all__ = ["WritesIntoCopy", "gathered", "holds_places"]

# torch takes a number of another dtype for a mask.
_INTEGERS = {torch.int64, torch.int32, torch.int16, torch.int8}


class WritesIntoCopy(Exception):
    """The function writes into memory of which entries were gathered: torch's would be a view."""


def holds_places(index: Any, is_mapped: bool) -> bool:
    """Tell whether an index holds a number that is not to be read.

    Args:
        is_mapped: whether the numbers of all points at once are not to be read either, which
            torch.func.vmap could not.
    """
    if type(index) is tuple:
        return any(_is_place(entry, is_mapped) for entry in index)
    return _is_place(index, is_mapped)


def _is_place(entry: Any, is_mapped: bool = True) -> bool:
    if not isinstance(entry, torch.Tensor) or entry.ndim or entry.dtype not in _INTEGERS:
        return False
    if isinstance(entry, RecordedTensor):
        return bool(entry.depends) and entry.recorder.gathers  # type: ignore[attr-defined]
    return is_mapped and private.is_batched(entry)


def gathered(tensor: torch.Tensor, index: Any) -> torch.Tensor:
    """Return `tensor[index]`, a copy, for an index that `holds_places`."""
    entries = index if type(index) is tuple else (index,)
    dims = _dims(tensor, entries)
    if dims is None:
        return tensor[index]
    places: list[torch.Tensor | None] = [None] * tensor.ndim
    rest = []
    for entry, dim in zip(entries, dims):
        if _is_place(entry):
            places[dim] = entry.long()
        else:
            rest.append(entry)
    # torch takes numbers first, from every dim that has one, and applies the rest to what is left.
    found = torch.ops.aten.index.Tensor(tensor, places)
    for one in (tensor, found):
        if isinstance(one, RecordedTensor):
            one.recorder.keep_apart(one)  # type: ignore[attr-defined]
    return found[tuple(rest)] if rest else found


def _dims(tensor: torch.Tensor, entries: Sequence[Any]) -> list[int] | None:
    """Return the dim of a tensor that each entry of an index begins at.

    Returns:
        None where torch itself has to tell, or to refuse: masks, lists, more entries than dims.
    """
    if not all(map(_is_simple, entries)) or sum(entry is ... for entry in entries) > 1:
        return None
    n_taken = sum(entry is not None and entry is not ... for entry in entries)
    if n_taken > tensor.ndim:
        return None
    dims, dim = [], 0
    for entry in entries:
        dims.append(dim)
        if entry is not None:
            dim += tensor.ndim - n_taken if entry is ... else 1
    return dims


def _is_simple(entry: Any) -> bool:
    if isinstance(entry, torch.Tensor):
        return entry.dtype in _INTEGERS
    return entry is None or entry is ... or type(entry) in (int, slice)
