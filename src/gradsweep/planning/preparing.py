"""Kernels that are kept: a branch that was prepared before is not prepared again.

A Branch and options enter; a Prepared leaves, or the branch with the chunks that it runs in.
"""

from dataclasses import replace
from functools import partial

from gradsweep.engines.choice import ComputeOptions
from gradsweep.engines.prepared import Prepared, prepare
from gradsweep.planning.branches import Branch
from gradsweep.planning.decision import PlannedBranch
from gradsweep.request.partition import n_points
from gradsweep.support.cache import Cache

__all__ = ["PREPARED", "plan_branch", "prepared_for"]

# A shorter Program compiles in little time, also for few points.
_LONG_PROGRAM = 5000

PREPARED: Cache[Prepared] = Cache(size=256)


def plan_branch(branch: Branch, options: ComputeOptions) -> PlannedBranch:
    """Choose the engine and the chunks of a branch."""
    prepared = prepared_for(branch, options)
    return PlannedBranch(branch, prepared, *prepared.chunks(branch.axes))


def prepared_for(branch: Branch, options: ComputeOptions) -> Prepared:
    """Prepare a branch, or return the Prepared of a branch of the same form.

    A branch that was run so often that compiling would have paid is compiled from then on.
    """
    key = (
        branch.traced,
        tuple(branch.axes),
        tuple((key, leaf.dims, leaf.part_dims) for key, leaf in branch.leaves.items()),
        options,
        _magnitude(branch),
    )
    make = partial(prepare, branch.traced, branch.leaves, branch.axes, options)
    prepared = PREPARED.get(key, make)
    if prepared.n_runs >= prepared.choice.most_runs:
        return prepared_for(branch, replace(options, is_reused=True))
    return prepared


def _magnitude(branch: Branch) -> int:
    """Return the magnitude of a sweep, where it may decide the engine; else 0."""
    program = branch.traced.program
    if program is None or program.n_computed < _LONG_PROGRAM:
        return 0
    return len(str(n_points(branch.axes, branch.axes)))
