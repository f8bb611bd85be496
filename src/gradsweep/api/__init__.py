"""The functions that a user calls: the quantities, plan and compile.

A function, a Sweep and options enter; an xarray.Dataset leaves, or a Plan, or a compiled kernel. In
place of the Sweep, a call may give the arguments of the function by name:
`gs.gradient(price, S=spots, K=100.0)`.
Never sees how a quantity is traced, computed or labelled.
"""

from gradsweep.api.fields import curl, divergence, laplacian, partials
from gradsweep.api.plans import compile, plan
from gradsweep.api.quantities import (
    contributions,
    gradient,
    hessian,
    hvp,
    jacobian,
    jvp,
    value,
    vjp,
)
from gradsweep.api.uncertainties import uncertainty
from gradsweep.planning.options import (
    DerivativeOptions,
    PartialsOptions,
    RunOptions,
    UncertaintyOptions,
)

__all__ = [
    "DerivativeOptions",
    "PartialsOptions",
    "RunOptions",
    "UncertaintyOptions",
    "compile",
    "contributions",
    "curl",
    "divergence",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "laplacian",
    "partials",
    "plan",
    "uncertainty",
    "value",
    "vjp",
]
