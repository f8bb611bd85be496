"""Functions for the tests of checks."""

import numpy as np

import gradsweep as gs

# Unequal lengths, so that a swapped axis shows.
GRID = gs.Sweep(x=np.linspace(0.1, 1.0, 4), y=[1.5, 2.0, 2.5])


def torch_sine(sign: float):
    """Return sin with a backward formula of sign * cos."""
    import torch

    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return sign * gradient * torch.cos(x)

    return lambda x, y: y * Sine.apply(x)
