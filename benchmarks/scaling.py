"""How a cluster scales: one sweep on workers of one thread each, and what a task costs by itself.

python -m benchmarks.scaling [--points N] [--workers N ...]

The sweep is the Black-Scholes gradient over a grid of S, sigma and T, of which only means are kept,
so that no disk is measured. What a task costs beside its work is that of parts of one point.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import gradsweep as gs
from benchmarks.machine import describe_machine, headline
from examples.black_scholes import price
from gradsweep.planning.plan import Plan
from gradsweep.request.partition import Partition
from gradsweep.support.duration import format_seconds

__all__ = ["main"]

_RUNS = 3
_MOST_TINY_PARTS = 1000


def main(words: Sequence[str] | None = None) -> None:
    """Time the sweep on each number of workers, and print what follows for more of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--points", type=float, default=1e9, metavar="N", help="about so many")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], metavar="N")
    options = parser.parse_args(words)
    print(headline(describe_machine(1)))
    side = max(2, round(options.points ** (1 / 3)))

    seconds: dict[int, float] = {}
    for n_workers in options.workers:
        with _cluster(n_workers) as client:
            plan = _plan(client, side)
            plan.run()  # each worker compiles once
            seconds[n_workers] = statistics.median(_seconds(plan) for _ in range(_RUNS))
            tiny = _in_tiny_parts(plan)
            overhead = _seconds(tiny) / len(tiny.partition)
        first = min(seconds)
        speedup = seconds[first] / seconds[n_workers]
        workers = "worker" if n_workers == 1 else "workers"
        print(
            f"{n_workers:>3} {workers}: {format_seconds(seconds[n_workers])} for {side**3:,} "
            f"points in {len(plan.partition)} parts, "
            f"{side**3 / seconds[n_workers] / 1e6:.0f} M points/s, "
            f"{speedup:.2f} times the speed of {first}; {format_seconds(overhead)} a task by itself"
        )
    of_a_part = seconds[first] * first / len(plan.partition)
    print(
        f"A part is {format_seconds(of_a_part, 2)} of work, so the scheduler and the client keep "
        f"about {of_a_part / overhead:.0f} workers busy with parts of this size."
    )


@contextmanager
def _cluster(n_workers: int) -> Iterator[Any]:
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=None, memory_limit=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def _plan(client: Any, side: int) -> Plan:
    sweep = gs.Sweep(
        S=gs.linspace(50.0, 150.0, side),
        sigma=gs.linspace(0.1, 0.5, side),
        T=gs.linspace(0.1, 2.0, side),
        K=100.0,
        r=0.05,
    )
    return gs.plan(gs.gradient, price, sweep, reduce="mean", scheduler=client, progress=False)


def _in_tiny_parts(plan: Plan) -> Plan:
    """Return a plan of parts that hold a single point each, of the first axis alone."""
    first, *others = plan.axes
    axes = {first: min(_MOST_TINY_PARTS, plan.axes[first]), **dict.fromkeys(others, 1)}
    slices = {axis: slice(0, length) for axis, length in axes.items()}
    leaves = {key: leaf.take(slices) for key, leaf in plan.leaves.items()}
    partition = Partition(axes, dict.fromkeys(axes, 1))
    return replace(plan, axes=axes, leaves=leaves, partition=partition)


def _seconds(plan: Plan) -> float:
    started = time.perf_counter()
    plan.run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
