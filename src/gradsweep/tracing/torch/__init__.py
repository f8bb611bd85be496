"""The torch frontend: the aten operations of torch's own autograd, recorded at one point.

A bound function, a Derivative and a point enter; a Trace leaves. `trace` tells the story; `ad` and
`basis` are torch's pushforward and pullback, `recorder/` makes equations of what torch dispatches,
`meaning` says what the user's code means and `lost` what it loses; `private` has every use of what
has no public door in torch.
Never sees a sweep's axes, stages or engines.
"""

from gradsweep.support.errors import require

require("torch", "the torch frontend")

from gradsweep.tracing.torch.dtype import Float64Mode  # noqa: E402
from gradsweep.tracing.torch.trace import trace  # noqa: E402

__all__ = ["Float64Mode", "trace"]
