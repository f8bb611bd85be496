"""A small deterministic run, for the tests of stores; as a program, one that kills itself.

    python -m tests.support.storing STORE [--resume] [--kill-at N] [--record-first]

counts the operations on files and stops at the Nth with SIGKILL, in the middle of it if it writes.
Nothing of the code under test computes the numbers.
"""

import argparse
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gradsweep.request.partition import Part, Partition
from gradsweep.results.layout import Layout, Variable
from gradsweep.results.stores.zarr import ZarrStore
from gradsweep.results.stores.zarr.disk import Stamp

# The folder of a store's ledger, its lock and its unfinished files.
RUN = Path(".gradsweep") / "run"

PARTITION = Partition({"S": 11, "sigma": 7}, {"S": 2, "sigma": 3})
FINGERPRINT = {
    "function": "price 5f1c",
    "sweep": "S 11, sigma 7: 77ab",
    "quantity": "gradient",
    "dtype": "float64",
    "gradsweep": "0.1.0",
}
VARIABLES = (
    Variable("delta", ("S", "sigma"), 2, (11, 7), "float64", {"units": "1", "long_name": "Δ"}, 0),
    Variable("vega", ("sigma", "q_0"), 1, (7, 4), "float32", {}, 1),
    Variable("rho", (), 0, (), "float64", {}, 2),
    Variable("is_exercised", ("S",), 1, (11,), "bool", {}, 3),
    Variable("cross", ("S", "b", "a"), 1, (11, 3, 2), "float64", {}, 4, (0, 2, 1)),
)
S, SIGMA = np.linspace(50.0, 150.0, 11), np.linspace(0.1, 0.4, 7)
EXPIRY = np.array(["2026-01-01", "NaT", *["2027-06-30"] * 9], dtype="datetime64[D]")
COORDINATES = {
    "S": (("S",), S, {"units": "USD"}),
    "sigma": (("sigma",), SIGMA, {}),
    "q_0": (("q_0",), np.array(["x", "y", "zz", "é"]), {}),
    "expiry": (("S",), EXPIRY, {}),
    "K": ((), np.array(100.0), {"units": "USD"}),
}
FULL = (
    # NaN throughout one part, which Zarr would also read if nothing had been written there.
    np.where(S[:, None] > 140, np.nan, np.sin(np.outer(S, SIGMA))),
    np.cos(np.outer(SIGMA, np.arange(4.0))).astype(np.float32),
    np.array(3.25),
    S > 90,
    np.arange(66.0).reshape(11, 2, 3) / 7,
)
_SWEPT = (("S", "sigma"), ("sigma",), (), ("S",), ("S",))


def layout(**changes) -> Layout:
    given = {
        "partition": PARTITION,
        "variables": VARIABLES,
        "coordinates": COORDINATES,
        "attrs": {"quantity": "gradient", "function": "price", "seed": np.int64(7)},
        "fingerprint": FINGERPRINT,
    }
    return Layout(**{**given, **changes})


def compute(part: Part) -> list[np.ndarray]:
    return [full[tuple(part.slices[a] for a in axes)] for full, axes in zip(FULL, _SWEPT)]


def compute_another(part: Part) -> list[np.ndarray]:
    """Return the results of another run, none of whose bytes are those of `compute`."""
    return [~full if full.dtype == bool else full * 2 + 1 for full in compute(part)]


def write_all(
    store: ZarrStore,
    of: Layout | None = None,
    n_threads: int = 1,
    parts=PARTITION,
    compute=compute,
):
    """Begin, and write every missing part."""
    finished = store.begin(of or layout())

    def work(part: Part) -> None:
        store.write(part, compute(part))

    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(work, (part for part in parts if part.number not in finished)))


def complete(path: Path, **options):
    """Run from beginning to end and return the Dataset."""
    store = ZarrStore(path, **options)
    write_all(store)
    return store.finish()


def contents(path: Path) -> dict[str, bytes]:
    """Return the bytes of every file of a store, without the ledger and its folder."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and ".gradsweep" not in file.relative_to(path).parts
    }


class RecordsFirst(ZarrStore):
    """A control: it records a part before it writes it."""

    def write(self, part, arrays):
        names = (array.name for array in self.writer.run.yielded(part))
        self.record(part, {name: Stamp(1, "00000000") for name in names})
        self.writer.write(part, arrays)


class Operations:
    """Counts operations on files, and calls `at` before those of the wanted numbers.

    Attributes:
        names: the names of `os` functions.
    """

    names = ("open", "write", "replace", "link", "ftruncate", "mkdir")

    def __init__(self, folder: Path, at):
        self.n, self._folder, self._at = 0, str(folder), at
        self._counting = threading.Lock()
        self.originals = {name: getattr(os, name) for name in self.names}

    def function(self, name: str):
        original = self.originals[name]

        def counted(*arguments, **options):
            is_ours = name in ("write", "ftruncate") or self._folder in str(arguments[0])
            if is_ours:
                with self._counting:
                    self.n += 1
                    n = self.n
                self._at(n, name, arguments)
            return original(*arguments, **options)

        return counted


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill-at", type=int, default=0)
    parser.add_argument("--record-first", action="store_true")
    options = parser.parse_args()

    def kill(n, name, arguments):
        if n == options.kill_at:
            if name == "write":
                descriptor, data = arguments
                operations.originals["write"](descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    operations = Operations(options.store, kill)
    for name in operations.names:
        setattr(os, name, operations.function(name))
    kind = RecordsFirst if options.record_first else ZarrStore
    write_all(kind(options.store, resume=options.resume), n_threads=3)
    print(operations.n)


if __name__ == "__main__":
    main()
