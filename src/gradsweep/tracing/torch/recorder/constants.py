"""The numbers of concrete tensors, as constants of a Program.

Knows nothing of how operations are recorded.
"""

import numpy as np
import torch

from gradsweep.program.builder import Builder
from gradsweep.program.equations import PART_DTYPES
from gradsweep.tracing.torch.recorder.tensor import dtype_of, plain

__all__ = ["Constants"]


class Constants:
    """Writes tensors as constants; a complex tensor has a last dim more, for both parts."""

    def __init__(self, builder: Builder):
        self._builder = builder
        self._known: dict[int, tuple[torch.Tensor, int, np.ndarray]] = {}

    def of(self, tensor: torch.Tensor) -> np.ndarray:
        """Return the constants of a tensor that a function closes over.

        It is read once, since many operations may use it.
        """
        known = self._known.get(id(tensor))
        if known is None or known[1] != tensor._version:
            known = self._known[id(tensor)] = (tensor, tensor._version, self.new(tensor))
        return known[2]

    def new(self, value: torch.Tensor, structural: bool = False) -> np.ndarray:
        """Return a value as constants, its zeros structural or not."""
        whole = dtype_of(value)
        dtype = PART_DTYPES.get(whole, whole)
        nothing = self._builder.structural_zero(dtype)
        if value._is_zerotensor():  # without memory; its zeros are structural
            shape = (*value.shape, 2) if value.is_complex() else tuple(value.shape)
            return np.full(shape, nothing)
        array = plain(plain(value.detach().resolve_conj()).resolve_neg()).numpy()
        if value.is_complex():
            array = np.stack([array.real, array.imag], axis=-1)
        variables = self._builder.constants(array, dtype)
        if structural:
            variables[array == 0] = nothing
        return variables
