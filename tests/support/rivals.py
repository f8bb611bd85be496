"""Processes that compete for one store, as a program that prints the outcome as JSON.

    python -m tests.support.rivals race FOLDER --rounds N [--killed] [--naive]

lets 8 processes at once try for a lock whose holder was killed, in each of N rounds. With --killed
every other one of them is killed at some step of its own. With --naive they take it in the obvious
way: look whether the holder is gone, remove the lock, and make it again.

    python -m tests.support.rivals stopped FOLDER --at K,K,... [--same] [--killed] [--unended]

stops a run by SIGSTOP at the Kth operation on files, for each K. It claims to be on another host,
so that only its lease shows that it exists; the lease runs out, and another run takes over from it
and finishes. Then the first one goes on. The two overwrite the store and have no byte in common;
with --same they continue the same run. With --killed a third run comes between them, and is killed
at an operation of its own. With --unended a taker does not end the sessions of those before it.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import socket
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from gradsweep.errors import StoreError
from gradsweep.results.stores.zarr import ZarrStore, scratch, store, verify
from gradsweep.results.stores.zarr.locking import lock
from gradsweep.results.stores.zarr.locking.holder import this_process
from gradsweep.results.stores.zarr.locking.lease import Lease
from gradsweep.results.stores.zarr.locking.lock import Lock, holder_of
from gradsweep.results.stores.zarr.metadata import RUN_FOLDER
from tests.support.storing import (
    FINGERPRINT,
    PARTITION,
    Operations,
    compute,
    compute_another,
    contents,
    layout,
    write_all,
)

_N_RIVALS = 8
_LEASE = Lease(0.2, 0.05)
_REFUSED, _WENT_WRONG = 3, 4


def fork(work: Callable[[], None]) -> int:
    """Run work in a child, and return its number; it exits with 0, or 3 for a StoreError."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    status = _WENT_WRONG
    try:
        work()
        status = 0
    except StoreError:
        status = _REFUSED
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def exit_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def at_operation(folder: Path, n_wanted: int, number: int) -> None:
    """Send this process a signal before its nth operation on files."""

    def at(n, name, arguments):
        if n == n_wanted:
            os.kill(os.getpid(), number)

    counted = Operations(folder, at)
    for name in counted.names:
        setattr(os, name, counted.function(name))


# ---- a race


def leave_a_lock(folder: Path) -> None:
    """Let a process take the lock and be killed."""
    (folder / RUN_FOLDER).mkdir(parents=True)

    def hold() -> None:
        held = Lock.take(folder)
        held.check()
        os.kill(os.getpid(), signal.SIGKILL)

    assert exit_of(fork(hold)) == -signal.SIGKILL


def take_naively(folder: Path) -> None:
    holder = holder_of(folder)
    if holder is not None and holder.state != "gone":
        raise StoreError("it is held")
    time.sleep(0.002)
    (folder / RUN_FOLDER / "lock").unlink(missing_ok=True)
    whole = folder / RUN_FOLDER / f"{os.getpid()}"
    whole.write_bytes(this_process(60).to_json())
    try:
        os.link(whole, folder / RUN_FOLDER / "lock")
    except FileExistsError:
        raise StoreError("another was first") from None


def race(folder: Path, take: Callable[[Path], Lock | None], seed: int | None) -> tuple[int, int]:
    """Return how many got the lock, and how many were refused.

    Args:
        seed: chooses the moment when every other one is killed; None to kill nobody.
    """
    leave_a_lock(folder)
    begin, told, ended = os.pipe(), os.pipe(), os.pipe()
    choose = random.Random(seed)

    def rival(moment: int) -> None:
        os.close(ended[1])
        os.read(begin[0], 1)
        if moment:
            at_operation(folder, moment, signal.SIGKILL)
        try:
            held = take(folder)
        except StoreError:
            os.write(told[1], b"-")
            raise
        os.write(told[1], b"+")
        os.read(ended[0], 1)  # until all have tried
        if held is not None:
            held.check()
            held.release()

    moments = [choose.randint(1, 20) if seed is not None and n % 2 else 0 for n in range(_N_RIVALS)]
    rivals = [fork(partial(rival, moment)) for moment in moments]
    os.close(told[1])
    os.write(begin[1], b"!" * _N_RIVALS)
    answers, n_gone = b"", 0
    # A killed process has written no answer.
    while len(answers) + n_gone < _N_RIVALS:
        os.set_blocking(told[0], False)
        try:
            answers += os.read(told[0], _N_RIVALS)
        except BlockingIOError:
            time.sleep(0.001)
        states = [os.waitid(os.P_PID, p, os.WEXITED | os.WNOHANG | os.WNOWAIT) for p in rivals]
        n_gone = sum(s is not None and s.si_code == os.CLD_KILLED for s in states)
    n_got = answers.count(b"+")
    if take is not take_naively:
        # While one holds the lock nobody else gets it; when nobody does, the next one gets it.
        _check_next(folder, is_held=n_got > 0)
    os.close(ended[1])
    for pid in rivals:
        assert exit_of(pid) in (0, _REFUSED, -signal.SIGKILL)
    for descriptor in (*begin, told[0], ended[0]):
        os.close(descriptor)
    return n_got, answers.count(b"-")


def _check_next(folder: Path, is_held: bool) -> None:
    try:
        Lock.take(folder).release()
    except StoreError:
        assert is_held
    else:
        assert not is_held


# ---- stopped


def run(path: Path, another: bool, same: bool, host: str = "") -> None:
    """Do one of the two runs from beginning to end."""
    if host:
        socket.gethostname = lambda: host
    begun = ZarrStore(path, resume=same, overwrite=not same, lease=_LEASE)
    of = layout(fingerprint={**FINGERPRINT, "function": "price 0000"}) if another else layout()
    write_all(begun, of, compute=compute_another if another else compute)
    begun.finish()


def stop_and_continue(
    same: bool, killed: bool, wholes: dict[str, dict[str, bytes]], path: Path, moment: int
) -> dict[str, object]:
    """Stop a run at its nth operation, and return the state when another and it have ended."""
    begun = ZarrStore(path)
    write_all(begun, parts=list(PARTITION)[:9])
    begun.abandon()

    def first() -> None:
        at_operation(path, moment, signal.SIGSTOP)
        run(path, another=False, same=same, host="elsewhere")

    stopped = fork(first)
    was_stopped = os.WIFSTOPPED(os.waitpid(stopped, os.WUNTRACED)[1])
    if killed:

        def third() -> None:
            at_operation(path, 1 + 7 * moment % 60, signal.SIGKILL)
            run(path, another=not same, same=same)

        exit_of(fork(third))
    other = exit_of(fork(lambda: run(path, another=not same, same=same)))
    own = 0
    if was_stopped:
        os.kill(stopped, signal.SIGCONT)
        own = exit_of(stopped)
    report = verify(path)
    found = contents(path)
    return {
        "moment": moment,
        "was_stopped": was_stopped,
        "exits": [own, other],
        "is_sound": report.is_sound and report.is_complete,
        "is_free": holder_of(path) is None,
        "is_of": [name for name, whole in wholes.items() if found == whole],
    }


def undisturbed(folder: Path) -> dict[str, dict[str, bytes]]:
    """Return the files that each of the two runs leaves when nobody disturbs it."""
    found = {}
    for name in ("first", "other"):
        path = folder / f"{name}.zarr"
        assert exit_of(fork(partial(run, path, name == "other", same=True))) == 0
        found[name] = contents(path)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["race", "stopped"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--at", default="")
    for option in ("--killed", "--naive", "--same", "--unended"):
        parser.add_argument(option, action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.what == "race":
        take = take_naively if options.naive else Lock.take
        counts = Counter(
            race(options.folder / f"{n}.zarr", take, n if options.killed else None)
            for n in range(options.rounds)
        )
        print(json.dumps([[got, refused, n] for (got, refused), n in counts.items()]))
    else:
        store.open_dataset = lambda folder: None  # type: ignore[assignment]
        if options.unended:
            scratch.end = lock.scratches.end = lambda session, scratch: 0
        wholes = undisturbed(options.folder)
        moments = [*map(int, options.at.split(","))]
        paths = [options.folder / f"{n}.zarr" for n in moments]
        each = partial(stop_and_continue, options.same, options.killed, wholes)
        # Most of it is waiting for a lease to run out.
        with ProcessPoolExecutor(4, multiprocessing.get_context("fork")) as several:
            print(json.dumps([*several.map(each, paths, moments)]))


if __name__ == "__main__":
    main()
