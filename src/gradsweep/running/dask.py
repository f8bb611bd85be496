"""Compute parts on a Dask cluster: each is a task that computes, writes and returns a receipt.

Work is sent once to each worker, as data where it is a Program. Results are never sent back, only
receipts. A part that keeps killing workers is searched for the points that do so.
"""

import contextlib
import hashlib
import socket
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from gradsweep.request.partition import Part
from gradsweep.results.layout import Store, Writer
from gradsweep.running.scheduler import Outcome, Work
from gradsweep.support.cache import Cache
from gradsweep.support.errors import ClusterError, require
from gradsweep.support.progress import Meter

__all__ = ["DaskScheduler"]

# Tasks submitted at once for each worker: one that runs and some that wait beside it.
_TASKS_A_WORKER = 4

# How often a part is given to the cluster whole, before its points are suspected.
_WHOLE_ATTEMPTS = 3

# How often it is computed again when its outcome is lost on the way.
_MOST_LOSSES = 20

# The most pieces that a part is cut into when it is too large for a worker's memory.
_MOST_PIECES = 64


@dataclass(frozen=True)
class _Task:
    """A part for a worker.

    Attributes:
        points: the points that are only tried, computed and thrown away; None for a whole part.
        pieces: how many pieces it is cut into, to take less memory.
        skip: points of it that are left out.
        n_killed: how often a worker died of it.
        n_lost: how often a worker died with its outcome.
    """

    part: Part
    points: Part | None = None
    pieces: int = 1
    skip: tuple[Part, ...] = ()
    n_killed: int = 0
    n_lost: int = 0


@dataclass
class _Search:
    """The search for the points of one part that kill workers."""

    n_pending: int = 0
    deadly: list[Part] = field(default_factory=list)


class DaskScheduler:
    """Runs parts on a cluster.

    Args:
        cluster: a dask.distributed.Client, or the address of a scheduler.
    """

    def __init__(self, cluster: Any):
        distributed = require("distributed", "a cluster")
        self._address = cluster if isinstance(cluster, str) else None
        if self._address is None and not isinstance(cluster, distributed.Client):
            raise ClusterError(
                f"scheduler={cluster!r} is a {type(cluster).__name__}. Give 'threads', a "
                f"dask.distributed.Client, or the address of a scheduler, such as 'tcp://host:8786'."
            )
        if getattr(cluster, "asynchronous", False):
            raise ClusterError(
                "scheduler= is an asynchronous Client, and a sweep waits for its results. Give the "
                "scheduler's address, client.scheduler.address, and run it in a thread: "
                "await asyncio.to_thread(...)."
            )
        if getattr(cluster, "status", "") in ("closing", "closed"):
            raise ClusterError(
                "scheduler= is a Client that is closed. Give one that is connected, or the address "
                "of a scheduler."
            )
        self._client = cluster

    def run(self, work: Work, parts: Iterable[Part], store: Store, meter: Meter) -> Outcome:
        with self._connected() as client:
            return _Run(client, work, store, meter).run(parts)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        if self._address is None:
            yield self._client
            return
        from distributed import Client

        try:
            _knock(self._address)
            client = Client(self._address, set_as_default=False, timeout=_PATIENCE_SECONDS)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {self._address!r}: {error}"
            ) from error
        with client:
            yield client


_PATIENCE_SECONDS = 10


def _knock(address: str) -> None:
    """Raise an OSError if nobody listens: a Client that cannot connect lingers until the end."""
    where = urlsplit(address)
    if where.scheme == "tcp" and where.hostname and where.port:
        socket.create_connection((where.hostname, where.port), _PATIENCE_SECONDS).close()


class _Run:
    """One run on one client."""

    def __init__(self, client: Any, work: Work, store: Store, meter: Meter):
        import cloudpickle

        self._client, self._work, self._store, self._meter = client, work, store, meter
        message = cloudpickle.dumps((work.portable, store.writer))
        self._key = hashlib.sha256(message).hexdigest()
        # The message is a task of its own, so that it is not lost when a worker dies with it.
        self._message = client.submit(_same, message, key=f"gradsweep-work-{self._key[:16]}")
        self._running: dict[Any, _Task] = {}
        self._searches: dict[int, _Search] = {}
        self._outcome = Outcome()
        self._failure: BaseException | None = None
        self._deadly: list[Part] = []

    def run(self, parts: Iterable[Part]) -> Outcome:
        from distributed import as_completed

        waiting = _Waiting(parts)
        finished = as_completed(loop=self._client.loop)
        try:
            while True:
                while len(self._running) < self._window and self._failure is None:
                    task = waiting.next(beside=self._running.values())
                    if task is None:
                        break
                    future = self._submit(task)
                    self._running[future] = task
                    finished.add(future)
                if not self._running or self._failure is not None:
                    break
                future = next(finished)
                waiting.add(self._collect(future, self._running.pop(future)))
        finally:
            self._client.cancel(list(self._running))
        if self._failure is not None:
            raise self._failure
        if self._deadly:
            where = "; ".join(point.describe() for point in self._deadly[:5])
            raise ClusterError(
                f"computing {where} kills the worker that does it. The other parts are done; "
                f"leave these points out, or pass on_error='mask'."
            )
        return self._outcome

    @property
    def _window(self) -> int:
        return _TASKS_A_WORKER * max(1, len(self._client.scheduler_info().get("workers", ())))

    def _submit(self, task: _Task) -> Any:
        options = (task.part, task.points, task.pieces, task.skip)
        # Never pure: a task that is tried again is another task.
        return self._client.submit(_compute, self._message, self._key, *options, pure=False)

    def _collect(self, future: Any, task: _Task) -> list[_Task]:
        """Take a task's outcome, and return the tasks that follow from it."""
        from distributed import KilledWorker

        if future.status == "finished":
            if task.points is not None:
                return self._searched(task, killed=False)
            try:
                receipt, outcome = future.result()
            except (CancelledError, OSError):  # its worker died before it could tell
                return self._lost(task)
            self._store.record(task.part, receipt)
            self._meter.advance(task.part.n_points)
            self._outcome += outcome
            return []
        if future.status != "error":
            return self._lost(task)
        error = future.exception()
        if isinstance(error, KilledWorker):
            return self._killed(task)
        if isinstance(error, MemoryError) and task.pieces < _MOST_PIECES:
            return [replace(task, pieces=2 * task.pieces)]
        if error is not None:
            error.add_note(f"A worker was computing {task.part.describe()}.")
        self._failure = error
        return []

    def _lost(self, task: _Task) -> list[_Task]:
        """Compute a lost part again, unless it was lost too often or the client has stopped."""
        if self._client.status == "running" and task.n_lost < _MOST_LOSSES:
            return [replace(task, n_lost=task.n_lost + 1)]
        self._failure = ClusterError(
            f"the cluster lost {task.part.describe()}. What is stored stays; run again with "
            f"resume=True."
        )
        return []

    def _killed(self, task: _Task) -> list[_Task]:
        if task.points is not None:
            return self._searched(task, killed=True)
        if task.n_killed + 1 < _WHOLE_ATTEMPTS:
            # Perhaps memory ran out; perhaps a task beside it killed the worker.
            pieces = min(4 * task.pieces, _MOST_PIECES)
            return [replace(task, pieces=pieces, n_killed=task.n_killed + 1)]
        self._searches[task.part.number] = _Search()
        return self._halves(task.part, task.part)

    def _halves(self, part: Part, points: Part) -> list[_Task]:
        halves = points.halves()
        self._searches[part.number].n_pending += len(halves)
        return [_Task(part, half) for half in halves]

    def _searched(self, task: _Task, killed: bool) -> list[_Task]:
        """Go on with the search after one of its tasks, and end it after the last."""
        assert task.points is not None
        search = self._searches[task.part.number]
        search.n_pending -= 1
        follow: list[_Task] = []
        if killed and task.points.n_points > 1:
            follow = self._halves(task.part, task.points)
        elif killed:
            search.deadly.append(task.points)
        if search.n_pending:
            return follow
        if self._work.on_error == "mask" or not search.deadly:
            return [_Task(task.part, pieces=_MOST_PIECES, skip=tuple(search.deadly))]
        self._deadly += search.deadly
        return []


class _Waiting:
    """The tasks that wait: those to repeat, then whole parts, then those that only try points.

    A task that only tries points has the cluster to itself: Dask blames a death on every task that
    the worker held, and a point must not be blamed for the work beside it.
    """

    def __init__(self, parts: Iterable[Part]):
        self._parts = iter(parts)
        self._again: deque[_Task] = deque()
        self._tried: deque[_Task] = deque()

    def add(self, tasks: Iterable[_Task]) -> None:
        for task in tasks:
            (self._again if task.points is None else self._tried).append(task)

    def next(self, beside: Collection[_Task]) -> _Task | None:
        """Return a task that may run beside the running ones; None to wait for those."""
        if any(task.points is not None for task in beside):
            return None
        if self._again:
            return self._again.popleft()
        part = next(self._parts, None)
        if part is not None:
            return _Task(part)
        return self._tried.popleft() if self._tried and not beside else None


def _same(message: bytes) -> bytes:
    return message


# -- on a worker

_OPENED: Cache[tuple[Work, Writer]] = Cache(size=8)


def _compute(
    message: bytes,
    key: str,
    part: Part,
    points: Part | None,
    pieces: int,
    skip: tuple[Part, ...],
) -> tuple[Any, Outcome]:
    """Compute a part and put it into the store; only compute, where `points` are given.

    Returns:
        The store's receipt, and what came of the part.
    """
    work, writer = _OPENED.get(key, lambda: _open(message))
    if points is not None:
        work.compute(points, work.allocate(points, []))
        return None, Outcome()
    arrays = work.allocate(part, [])
    outcome = work.compute(part, arrays, pieces, skip)
    return writer.write(part, arrays), outcome


def _open(message: bytes) -> tuple[Work, Writer]:
    import cloudpickle

    portable, writer = cloudpickle.loads(message)
    return portable.open(), writer
