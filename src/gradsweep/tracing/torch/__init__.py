"""The torch frontend: the aten operations of torch's own autograd, recorded at one point.

A bound function, a Derivative and a point enter; a Trace leaves. `trace` is the whole course; `ad`
and `basis` are torch's pushforward and pullback, `recorder/` writes dispatched operations as
equations, `meaning` gives the user's code its meaning for backward and `lost` finds derivatives
that get lost; `private` holds every use of a part of torch that has no public door.
Never sees a sweep's axes, stages or engines.
"""

from gradsweep.support.errors import require

require("torch", "the torch frontend")

from gradsweep.tracing.torch.dtype import Float64Mode  # noqa: E402
from gradsweep.tracing.torch.trace import trace  # noqa: E402

__all__ = ["Float64Mode", "trace"]
