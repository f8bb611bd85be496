"""Texts that identify a run, for a store that is continued.

A Decision enters; texts leave, by readable names.
"""

from gradsweep._version import __version__
from gradsweep.planning.decision import Decision
from gradsweep.request.identity import code_hash, reach_hash

__all__ = ["fingerprint"]


def fingerprint(decision: Decision) -> dict[str, str]:
    """Return texts that identify a run: equal texts mean equal results."""
    program = decision.branches[0].branch.traced.program
    derivative = decision.derivative
    assert decision.partition is not None
    return {
        "function": f"{decision.bound.name}, {code_hash(decision.bound.function)}",
        "what it refers to": reach_hash(decision.bound.function),
        **{
            f"argument {a.name}": f"{a.written}, {reach_hash(a.form)}"
            for a in decision.bound.arguments
        },
        **{
            f"categories of {a.name}": f"{a.categories}, {reach_hash(a.categories.values)}"
            for a in decision.bound.arguments
            if a.categories is not None
        },
        "program": program.fingerprint if program is not None else "none",
        **{
            f"program of {planned.branch.category}": traced.program.fingerprint
            for planned in decision.branches
            if (traced := planned.branch.traced).program is not None and planned.branch.category
        },
        "quantity": derivative.quantity,
        "wrt": ", ".join(derivative.wrt),
        **({"of": ", ".join(map(" ".join, derivative.of))} if derivative.of else {}),
        **({"expansion": str(derivative.expansion)} if derivative.expansion else {}),
        **({"output_covariance": "True"} if derivative.output_covariance else {}),
        "with_value": str(derivative.with_value),
        "mode": derivative.mode,
        **{f"argument {key}": leaf.fingerprint for key, leaf in decision.leaves.items()},
        "parts": " x ".join(f"{axis}: {n}" for axis, n in decision.partition.block.items()),
        "dtype": decision.dtype,
        "engine": decision.engine,
        "framework": decision.framework,
        "gradsweep": __version__,
    }
