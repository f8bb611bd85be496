"""A small neural network, in JAX: the Jacobian of its outputs for every sample.

The parameters are a pytree, and an argument like any other.
"""

import jax.numpy as jnp
import numpy as np

import gradsweep as gs

__all__ = ["make_parameters", "network"]


def network(params, x):
    """Return the 2 outputs for a sample x of shape (3,)."""
    hidden = jnp.tanh(params["hidden"]["weight"] @ x + params["hidden"]["bias"])
    return params["output"]["weight"] @ hidden + params["output"]["bias"]


def make_parameters(seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Draw the parameters of 3 inputs, one hidden layer of 5 units, 2 outputs."""
    rng = np.random.default_rng(seed)

    def layer(n_inputs: int, n_outputs: int) -> dict[str, np.ndarray]:
        return {
            "weight": rng.normal(scale=0.5, size=(n_outputs, n_inputs)),
            "bias": rng.normal(scale=0.5, size=n_outputs),
        }

    return {"hidden": layer(3, 5), "output": layer(5, 2)}


def main() -> None:
    samples = ("sample", np.random.default_rng(0).normal(size=(100, 3)))
    print(gs.jacobian(network, gs.Sweep(params=((), make_parameters()), x=samples)))


if __name__ == "__main__":
    main()
