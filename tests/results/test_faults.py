"""A store survives kills, full disks, faulty devices, flipped bits, and other writers.

Every run ends with the bytes of an undisturbed one. Every protection has a control: without it, the
same fault must do harm.
"""

import errno
import os
import random
import signal
from dataclasses import replace

import numpy as np
import pytest

from gradsweep.errors import StoreError
from gradsweep.results.stores.zarr import (
    ZarrStore,
    disk,
    ledger,
    verify,
)
from tests.support.controls import must_fail
from tests.support.prepared import python
from tests.support.stores import resume
from tests.support.storing import (
    FULL,
    PARTITION,
    RUN,
    Operations,
    RecordsFirst,
    complete,
    compute,
    contents,
    layout,
    write_all,
)

pytest.importorskip("zarr")
# test_takeover covers the takeover of a lock.
pytestmark = pytest.mark.filterwarnings("ignore:took over the lock")


@pytest.fixture
def no_pauses(monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(disk.time, "sleep", pauses.append)
    return pauses


@pytest.fixture
def operations(path, monkeypatch):
    """Return a function that makes every operation on files call `at(n, name, arguments)`."""

    def install(at=lambda n, name, arguments: None) -> Operations:
        counted = Operations(path, at)
        for name in counted.names:
            monkeypatch.setattr(os, name, counted.function(name))
        return counted

    return install


# ---- killed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_a_run_killed_at_a_random_moment_is_resumed_to_the_same_bytes(
    path, seed, n_operations, undisturbed
):
    moments = random.Random(seed)
    for _ in range(1 + seed % 2):  # every other run is killed twice
        moment = moments.randint(1, n_operations)
        killed = python(path, "--resume", "--kill-at", moment)
        # A run that continues has less to do, and its threads may meet when they make a folder:
        # it may be done before its moment comes.
        if killed.returncode == 0:
            assert int(killed.stdout) < moment
        else:
            assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert resume(path) == undisturbed
    assert verify(path).is_sound and verify(path).is_complete


class Killed(BaseException):
    """Stands for a kill: the package never catches it."""


def stop_before_record(store: ZarrStore, part_number: int) -> None:
    """Write parts until one has its data but no record."""
    original = store.record

    def record(part, stamps):
        if part.number == part_number:
            raise Killed
        original(part, stamps)

    store.record = record  # type: ignore[method-assign]
    with pytest.raises(Killed):
        write_all(store)
    store.abandon()


def test_a_part_with_data_and_no_record_is_computed_again(path, undisturbed):
    stop_before_record(ZarrStore(path), 5)
    store = ZarrStore(path, resume=True)
    finished = store.begin(layout())
    assert 5 not in finished and finished >= frozenset(range(5))
    store.abandon()
    assert resume(path) == undisturbed


def test_control_records_before_data_lose_a_part(path, undisturbed, monkeypatch):
    """The check of the lengths of chunks when a run is resumed is taken away too."""
    monkeypatch.setattr(
        "gradsweep.results.stores.zarr.store.unfinished", lambda folder, history: []
    )

    class KilledBeforeData(RecordsFirst):
        def write(self, part, arrays):
            if part.number == 5:
                self._writer = replace(self.writer, variables=())
            super().write(part, arrays)

    store = KilledBeforeData(path)
    with pytest.raises(KeyError):
        write_all(store)
    store.abandon()
    complete(path, resume=True)
    assert contents(path) != undisturbed


def test_a_torn_last_record_is_ignored(path, undisturbed):
    complete(path)
    file = path / RUN / "ledger.jsonl"
    file.write_bytes(file.read_bytes()[:-7])
    assert verify(path).n_finished == len(PARTITION) - 1
    assert resume(path) == undisturbed
    assert verify(path).is_complete


def test_completion_is_not_inferred_from_chunk_files(path):
    complete(path)
    lines = (path / RUN / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (path / RUN / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))
    store = ZarrStore(path, resume=True)
    assert len(store.begin(layout())) == len(PARTITION) - 1
    with pytest.raises(StoreError, match=r"17 of 18 parts.*resume=True"):
        store.finish()


# ---- the device


def fail_at(first: int, n_times: int, number: int, names=Operations.names):
    def at(n, name, arguments):
        if name in names and first <= at.n < first + n_times:
            at.n += 1
            raise OSError(number, os.strerror(number), str(arguments[0]))
        at.n += name in names

    at.n = 1
    return at


def write_half_then_fail(originals, first: int, number: int):
    """Fail at the nth write of data, after half of it is written."""

    def at(n, name, arguments):
        if name == "write":
            at.n += 1
            if at.n == first:
                descriptor, data = arguments
                originals["write"](descriptor, data[: len(data) // 2])
                raise OSError(number, os.strerror(number))

    at.n = 0
    return at


def n_writes(path, operations) -> int:
    names: list[str] = []
    operations(lambda n, name, arguments: names.append(name))
    complete(path)
    return names.count("write")


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_at_any_write_is_a_clean_error_and_resumed(
    tmp_path, monkeypatch, undisturbed, number
):
    originals = {name: getattr(os, name) for name in Operations.names}
    for nth in range(1, 80, 1 if number == errno.ENOSPC else 13):
        path = tmp_path / f"{nth}.zarr"
        store = ZarrStore(path)
        counted = Operations(path, write_half_then_fail(originals, nth, number))
        with monkeypatch.context() as patch:
            for name in counted.names:
                patch.setattr(os, name, counted.function(name))
            with pytest.raises(StoreError, match=r"(?s)could not .*resume=True") as caught:
                write_all(store)
            store.abandon()
        assert caught.value.errno == number
        np.testing.assert_array_equal(complete(path, resume=True).delta, FULL[0])
        assert contents(path) == undisturbed


def test_control_a_half_written_record_that_stays_corrupts_the_ledger(path, monkeypatch):
    store = ZarrStore(path)
    store.begin(layout())
    originals = {name: getattr(os, name) for name in Operations.names}
    monkeypatch.setattr(os, "ftruncate", lambda descriptor, size: None)
    at = write_half_then_fail(originals, 2, errno.ENOSPC)  # sigma x S: one chunk, then its record
    counted = Operations(path, at)
    parts = iter(part for part in PARTITION if len(store.writer.run.yielded(part)) == 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", counted.function("write"))
        with pytest.raises(StoreError, match="record part"):
            store.write(part := next(parts), compute(part))
    store.write(part := next(parts), compute(part))
    store.abandon()
    with pytest.raises(ledger.CorruptLedger):
        verify(path)


@pytest.mark.slow
def test_a_fault_that_passes_is_tried_again_and_not_noticed(
    tmp_path, monkeypatch, no_pauses, undisturbed
):
    for nth in range(1, 120, 2):
        path = tmp_path / f"{nth}.zarr"
        counted = Operations(path, fail_at(nth, 3, errno.EIO))
        with monkeypatch.context() as patch:
            for name in counted.names:
                patch.setattr(os, name, counted.function(name))
            complete(path)
        assert contents(path) == undisturbed
    assert max(no_pauses) <= 0.8


def test_a_fault_that_stays_names_the_chunk_after_three_retries(path, operations, no_pauses):
    store = ZarrStore(path)
    store.begin(layout())
    part = PARTITION[4]
    tries: list[str] = []

    def at(n, name, arguments):
        if name == "replace":
            tries.append(name)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    operations(at)
    with pytest.raises(StoreError) as caught:
        store.write(part, compute(part))
    assert "delta/c/1/1" in str(caught.value) and part.describe() in str(caught.value)
    assert len(tries) == 4 and no_pauses == [0.05, 0.2, 0.8]
    assert not list((path / RUN / "partial").rglob("*.partial"))


def test_control_without_retries_one_fault_ends_the_run(path, operations, monkeypatch):
    monkeypatch.setattr(disk, "_PAUSES_SECONDS", ())
    operations(fail_at(40, 1, errno.EIO))
    with pytest.raises(StoreError, match="Input/output error"):
        complete(path)


def test_a_full_disk_is_not_tried_again(path, operations, no_pauses):
    operations(fail_at(40, 1000, errno.ENOSPC))
    with pytest.raises(StoreError, match="No space left"):
        write_all(ZarrStore(path))
    assert not no_pauses


def test_a_read_only_folder_fails_before_anything_is_computed(path, operations):
    operations(fail_at(1, 10**9, errno.EROFS))
    with pytest.raises(StoreError, match=r"could not write to .*Read-only file system.*\n.*place"):
        ZarrStore(path).begin(layout())


def test_control_a_store_that_does_not_try_first_fails_after_computing(
    path, operations, monkeypatch
):
    monkeypatch.setattr(ZarrStore, "begin", lambda self, layout: frozenset())
    must_fail(test_a_read_only_folder_fails_before_anything_is_computed, path, operations)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_fails_before_anything_is_computed(tmp_path):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(StoreError, match="Permission denied"):
            ZarrStore(tmp_path / "greeks.zarr").begin(layout())
    finally:
        tmp_path.chmod(0o755)
