"""A small neural network, in torch: the Jacobian of its outputs for every sample.

With respect to the inputs the parameters are held fixed and the module itself is the function;
with respect to the parameters, they are an argument through torch.func.functional_call.
"""

import numpy as np
import torch

import gradsweep as gs

__all__ = ["Network", "make_network", "with_parameters"]


class Network(torch.nn.Module):
    """3 inputs, one hidden layer of 5 units, 2 outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(3, 5, dtype=torch.float64)
        self.output = torch.nn.Linear(5, 2, dtype=torch.float64)

    def forward(self, x):
        return self.output(torch.tanh(self.hidden(x)))


def make_network(seed: int = 0) -> Network:
    """Return a network whose parameters are drawn with a seed, whatever was drawn before."""
    generator = torch.Generator().manual_seed(seed)
    network = Network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5, generator=generator)
    return network


def with_parameters(network: torch.nn.Module):
    """Return the network as a function of its parameters, a dict by name, and of a sample x."""

    def outputs(params, x):
        return torch.func.functional_call(network, params, (x,))

    return outputs


def main() -> None:
    network = make_network()
    samples = ("sample", np.random.default_rng(0).normal(size=(100, 3)))
    print("By the inputs:")
    print(gs.jacobian(network, gs.Sweep(x=samples)))
    print()
    print("By the parameters:")
    params = dict(network.named_parameters())
    sweep = gs.Sweep(params=((), params), x=samples)
    print(gs.jacobian(with_parameters(network), sweep, wrt="params"))


if __name__ == "__main__":
    main()
