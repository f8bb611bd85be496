"""The torch frontend: the aten operations of torch's own autograd, recorded at one point.

trace       a bound function and a Derivative become a Program
ad          torch's pushforward and pullback, in both of its forms
basis       the pushforward and pullback applied to a whole basis, recorded once
record      the mode that records what is done to tensors
tensor      the tensor without data that stands for each
operation   what torch's schema says of an operation
rules       what each operation means in scalar equations
expression  the arithmetic that rules are written in
dtype       float64 where torch would create float32
source      the user's own line
private     what has no public door in torch
"""

from gradsweep.support.errors import require

require("torch", "the torch frontend")

from gradsweep.tracing.torch.dtype import Float64Mode  # noqa: E402
from gradsweep.tracing.torch.trace import trace  # noqa: E402

__all__ = ["Float64Mode", "trace"]
