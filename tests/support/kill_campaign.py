"""Kill a run at random moments, and give the same command again after each kill.

    python -m tests.support.kill_campaign [--kills 500] [--seed 0] [--unlooked]

A sweep of a function in plain arithmetic is stored by `gradsweep gradient ... --store greeks.zarr
--resume` and killed by SIGKILL: two times in eight at any moment since it was started, two within
a tenth of a second of taking the lock, three when it has written so many more parts; one time it
comes to its end. The same words start it again, and nothing is done in between. At each end the
bytes are compared with those of a run that nobody disturbed, and a new store is begun. What was
found is printed as JSON. The seed chooses the moments; where those of them fall that are times
depends on the machine. With --unlooked nobody looks whether the holder of a lock is there.

Each run is a process of its own, forked from this one when everything is imported: it is killed at
its work, and not while it imports.
"""

import argparse
import contextlib
import importlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

from gradsweep import cli
from gradsweep.results.stores.zarr import verify
from gradsweep.results.stores.zarr.ledger import read
from gradsweep.results.stores.zarr.locking.holder import Holder
from gradsweep.results.stores.zarr.locking.lock import holder_of
from gradsweep.running import destination

__all__ = ["MODEL", "WORDS", "chunks", "n_written"]

MODEL = textwrap.dedent("""
    def price(S, sigma, K):
        return S**2 * sigma + K * sigma**3 / S
    """)

WORDS = [
    "gradient", "model.py:price", "--over", "S=50:150:600", "--over", "sigma=0.1:0.5:700",
    "--at", "K=100.0", "--store", "greeks.zarr", "--no-progress",
]  # fmt: skip

_TOOK_OVER = "gradsweep: warning: took over the lock of greeks.zarr from process "
_STORED = "gradsweep: stored greeks.zarr"
_STDERR = "stderr.txt"
_AT_MOST_SECONDS = 300

# Of what a run imports, all that takes long.
_IMPORTED = ("gradsweep.cli.command", "zarr", "distributed", "llvmlite.binding", "torch")


def chunks(store: Path) -> dict[str, bytes]:
    """Return the bytes of every file of data."""
    files = (p for p in store.rglob("*") if p.is_file() and ".gradsweep" not in p.parts)
    return {str(p.relative_to(store)): p.read_bytes() for p in files}


def campaign(folder: Path, n_kills: int, seed: int) -> dict[str, object]:
    """Kill so many runs, and make sure that whatever comes to an end has the right bytes.

    Args:
        folder: an empty one.

    Returns:
        How many were killed, in which state of the store, and other counts.
    """
    (folder / "model.py").write_text(MODEL)
    store, choose = folder / "greeks.zarr", random.Random(seed)
    began = time.monotonic()
    _finish(_start(folder), store, None, None)
    whole_seconds = time.monotonic() - began
    expected, n_parts = chunks(store), n_written(store)
    shutil.rmtree(store)

    counts: Counter[str] = Counter()
    while counts["killed"] < n_kills:
        left = _pid_in_lock(store)
        process = _start(folder)
        kind, share = choose.randrange(8), choose.random()
        if kind < 2:
            process.join(share * whole_seconds)
        elif kind < 4:
            _wait_for_lock(store, process)
            process.join(share * 0.1)
        elif kind < 7:
            _wait_for_parts(store, process, share, n_parts)
        else:
            process.join(_AT_MOST_SECONDS)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            counts["killed"] += 1
            counts[f"killed {_state(store, process)}"] += 1
            said = _read_takeovers(folder)
            assert said in ([], [left]), said
            counts["took over"] += said == [left]
        else:
            _finish(process, store, left, expected)
            counts["finished"] += 1
            counts["took over"] += left is not None
            shutil.rmtree(store)
    left = _pid_in_lock(store)
    _finish(_start(folder), store, left, expected)
    counts["finished"] += 1
    counts["took over"] += left is not None
    return {"seed": seed, "files": len(expected), **counts}


def _start(folder: Path) -> BaseProcess:
    (folder / _STDERR).write_text("")
    process = multiprocessing.get_context("fork").Process(target=_run, args=(folder,))
    process.start()
    return process


def _run(folder: Path) -> None:
    os.chdir(folder)
    for number, name in ((1, os.devnull), (2, _STDERR)):
        os.dup2(os.open(name, os.O_WRONLY), number)
    # Parts of a few thousand numbers: there is time to be killed.
    destination.STORED_PART_BYTES = 2**15
    sys.exit(cli.main([*WORDS, "--resume"]))


def _pid_in_lock(store: Path) -> int | None:
    """Return the number of the process that holds a store, or is about to."""
    holder = holder_of(store)
    return None if holder is None else holder.pid


def _wait_for_lock(store: Path, process: BaseProcess) -> None:
    deadline = time.monotonic() + _AT_MOST_SECONDS
    while process.exitcode is None and _pid_in_lock(store) != process.pid:
        assert time.monotonic() < deadline, "it does not begin"
        time.sleep(0.001)


def _wait_for_parts(store: Path, process: BaseProcess, share: float, n_parts: int) -> None:
    """Wait until a process has written such a share of the parts that it found missing."""
    _wait_for_lock(store, process)
    deadline = time.monotonic() + _AT_MOST_SECONDS
    enough = n_parts - (1 - share) * (n_parts - n_written(store))
    while process.exitcode is None and n_written(store) < enough:
        assert time.monotonic() < deadline, "it does not go on"
        time.sleep(0.001)


def n_written(store: Path) -> int:
    """Return how many parts a store's ledger records."""
    ledger = store / ".gradsweep/run/ledger.jsonl"
    return ledger.read_bytes().count(b'"kind":"part"') if ledger.exists() else 0


def _state(store: Path, process: BaseProcess) -> str:
    """Return how far a process was that has been killed."""
    holder = holder_of(store)
    is_held = holder is not None and holder.pid == process.pid
    if not (store / ".gradsweep/run/ledger.jsonl").exists():
        return "with the lock and no ledger" if is_held else "before it had the lock"
    history = read(store)
    wrote = any(session["pid"] == str(process.pid) for session in history.sessions)
    if not is_held:
        return "when it had let go" if wrote else "before it had the lock"
    if not wrote:
        return "while it took over"
    return "while it wrote parts" if history.frame else "while it wrote coordinates"


def _read_takeovers(folder: Path) -> list[int | None]:
    """Return from whom a process said that it took over; it may say nothing else but its end."""
    lines = [line for line in (folder / _STDERR).read_text().splitlines() if line != _STORED]
    assert all(line.startswith(_TOOK_OVER) and line.endswith("which is gone.") for line in lines), (
        lines
    )
    return [int(line.removeprefix(_TOOK_OVER).split()[0]) for line in lines]


def _finish(
    process: BaseProcess, store: Path, left: int | None, expected: dict[str, bytes] | None
) -> None:
    """Wait for the end of a run, and make sure that it is as it must be."""
    process.join(_AT_MOST_SECONDS)
    said = _read_takeovers(store.parent)
    assert process.exitcode == 0 and said == ([] if left is None else [left]), (said, left)
    if expected is not None:
        assert chunks(store) == expected, "the bytes are not those of an undisturbed run"
        report = verify(store)
        assert report.is_sound and report.is_complete and holder_of(store) is None, str(report)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unlooked", action="store_true")
    options = parser.parse_args()
    if options.unlooked:
        Holder.state = "alive"  # type: ignore[assignment, method-assign]
    for name in _IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(campaign(Path(folder), options.kills, options.seed)))


if __name__ == "__main__":
    main()
