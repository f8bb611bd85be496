"""gradsweep: derivatives of a function over a sweep of its arguments.

    import numpy as np, gradsweep as gs

    def f(x0, x1):
        return x0**2 + x1**3

    gs.gradient(f, gs.Sweep(x0=np.arange(1.0, 10.0), x1=1.0))

Names are imported when they are first used, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

from gradsweep._version import __version__

if TYPE_CHECKING:
    from gradsweep.api import (
        compile,
        contributions,
        curl,
        divergence,
        gradient,
        hessian,
        hvp,
        jacobian,
        jvp,
        laplacian,
        partials,
        plan,
        uncertainty,
        value,
        vjp,
    )
    from gradsweep.checks import check
    from gradsweep.comparison import compare
    from gradsweep.figures import plot
    from gradsweep.request.argument import components
    from gradsweep.request.categories import each
    from gradsweep.request.lazy import geomspace, linspace
    from gradsweep.request.sweep import Sweep
    from gradsweep.results.stacking import broadcast, matrix
    from gradsweep.tracing.solving.equations import find_root, fixed_point

__all__ = [
    "Sweep",
    "__version__",
    "broadcast",
    "check",
    "compare",
    "compile",
    "components",
    "contributions",
    "curl",
    "divergence",
    "each",
    "find_root",
    "fixed_point",
    "geomspace",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "laplacian",
    "linspace",
    "matrix",
    "partials",
    "plan",
    "plot",
    "uncertainty",
    "value",
    "vjp",
]

# Where names stand; all others are the quantities, `plan` and `compile`, in `api`.
_HOMES = {
    "checks": ["check"],
    "comparison": ["compare"],
    "figures": ["plot"],
    "request.categories": ["each"],
    "request.lazy": ["geomspace", "linspace"],
    "request.argument": ["components"],
    "request.sweep": ["Sweep"],
    "results.stacking": ["broadcast", "matrix"],
    "tracing.solving.equations": ["find_root", "fixed_point"],
}
_HOME = dict.fromkeys(__all__, "api") | {
    name: home for home, names in _HOMES.items() for name in names
}


def __getattr__(name: str):
    if name == "errors":
        return importlib.import_module("gradsweep.errors")
    if name in _HOME:
        found = getattr(importlib.import_module(f"gradsweep.{_HOME[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'gradsweep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
