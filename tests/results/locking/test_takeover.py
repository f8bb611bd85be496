"""The same command continues a killed run: who may take a store over, and from whom.

A holder that is gone, by its process or by its lease, is followed by exactly one other. A holder
that was only stopped, and goes on after another took over, changes nothing more. Every protection
has a control.
"""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from gradsweep.cli import main
from gradsweep.errors import GradsweepWarning, StoreError
from gradsweep.results.stores.zarr import ZarrStore, ledger, scratch, unlock, verify
from gradsweep.results.stores.zarr.ledger import Ledger
from gradsweep.results.stores.zarr.locking import holder
from gradsweep.results.stores.zarr.locking.holder import Holder, read_holder, this_process
from gradsweep.results.stores.zarr.locking.lease import Lease
from gradsweep.results.stores.zarr.locking.lock import holder_of
from tests.support.controls import must_fail
from tests.support.prepared import python
from tests.support.storing import (
    FULL,
    PARTITION,
    RUN,
    complete,
    compute,
    contents,
    layout,
)
from tests.support.takeovers import LOCK, edit_lock, held_elsewhere, on_linux, on_posix

pytest.importorskip("zarr")


LEDGER = RUN / "ledger.jsonl"


def leave_killed(path: Path, n: int, *options: str) -> Holder:
    """Kill a run at its nth operation on files, and return the holder in its lock."""
    killed = python(path, *options, "--kill-at", n)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    found = holder_of(path)
    assert found is not None
    return found


def take_over(path: Path) -> ZarrStore:
    """Take over from a run whose lease runs out."""
    store = ZarrStore(path, resume=True)
    with pytest.warns(GradsweepWarning, match="took over the lock"):
        store.begin(layout())
    return store


# ---- gone


@on_posix
def test_the_same_command_continues_a_killed_run_and_says_so_in_one_line(
    path, undisturbed, n_operations
):
    killed = leave_killed(path, n_operations // 2, "--resume")
    with pytest.warns(GradsweepWarning) as said:
        complete(path, resume=True)
    (line,) = (str(one.message) for one in said if one.category is GradsweepWarning)
    assert line == f"took over the lock of {path} from {killed}, which is gone."
    assert contents(path) == undisturbed and verify(path).is_complete
    assert holder_of(path) is None and not list((path / RUN / "partial").iterdir())


@on_posix
def test_control_without_looking_for_the_process_no_command_continues(
    path, undisturbed, n_operations, monkeypatch
):
    monkeypatch.setattr(Holder, "state", "alive")
    must_fail(
        test_the_same_command_continues_a_killed_run_and_says_so_in_one_line,
        path,
        undisturbed,
        n_operations,
    )


@on_posix
def test_overwriting_and_beginning_take_over_as_resuming_does(path, undisturbed, n_operations):
    leave_killed(path, n_operations // 2)
    with pytest.warns(GradsweepWarning, match="took over the lock"):
        complete(path, overwrite=True)
    assert contents(path) == undisturbed
    begun = path.with_name("begun.zarr")
    leave_killed(begun, 19)  # when it has the lock, and no ledger yet
    assert not (begun / LEDGER).exists()
    with pytest.warns(GradsweepWarning, match="took over the lock"):
        complete(begun)
    assert contents(begun) == undisturbed


@on_posix
def test_repair_takes_over_and_unlock_says_who_it_was(path, undisturbed, n_operations, capsys):
    leave_killed(path, n_operations // 2)
    assert main(["verify", str(path), "--repair"]) == 1
    said = capsys.readouterr()
    assert "sound, not finished" in said.out
    assert (
        said.err.startswith("gradsweep: warning: took over the lock") and said.err.count("\n") == 1
    )
    killed = leave_killed(path, n_operations // 3, "--resume")
    assert unlock(path) == killed and unlock(path) is None
    complete(path, resume=True)
    assert contents(path) == undisturbed


@pytest.mark.slow
@on_posix
@pytest.mark.parametrize("moments", [range(1, 60)], ids=[""])
def test_whoever_takes_over_may_be_killed_at_any_step_and_the_next_goes_on(
    path, moments, undisturbed, n_operations
):
    leave_killed(path, n_operations // 2)
    for moment in moments:
        killed = python(path, "--resume", "--kill-at", moment)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.warns(GradsweepWarning, match="took over the lock"):
        complete(path, resume=True)
    assert contents(path) == undisturbed and verify(path).is_complete
    assert not [*(path / RUN / "partial").iterdir(), *(path / RUN).glob("taking.*")]


@on_posix
def test_control_a_killed_taker_that_is_not_looked_for_stops_everybody(
    path, undisturbed, n_operations, monkeypatch
):
    monkeypatch.setattr(Holder, "state", "alive")
    must_fail(
        test_whoever_takes_over_may_be_killed_at_any_step_and_the_next_goes_on,
        path,
        (17,),
        undisturbed,
        n_operations,
    )


# ---- several at once


def races(folder: Path, n_rounds: int, *options: str) -> list[list[int]]:
    """Return outcomes: how many of 8 got the lock, how many were refused, in how many rounds."""
    done = python("race", folder, "--rounds", n_rounds, *options, module="tests.support.rivals")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@on_posix
@pytest.mark.parametrize("n_rounds", [20, pytest.param(150, marks=pytest.mark.slow)])
def test_of_eight_that_try_at_once_exactly_one_gets_the_lock(tmp_path, n_rounds):
    assert races(tmp_path, n_rounds) == [[1, 7, n_rounds]]


@on_posix
def test_control_taking_a_lock_by_removing_it_gives_it_to_several(tmp_path):
    assert any(n_got > 1 for n_got, _, _ in races(tmp_path, 20, "--naive"))


@on_posix
@pytest.mark.parametrize("n_rounds", [20, pytest.param(150, marks=pytest.mark.slow)])
def test_of_eight_of_which_four_are_killed_at_most_one_gets_the_lock_and_the_next_one_can(
    tmp_path, n_rounds
):
    assert all(n_got <= 1 for n_got, _, _ in races(tmp_path, n_rounds, "--killed"))


# ---- stopped, and going on after another took over


def stopped(folder: Path, moments, *options: str) -> list[dict]:
    """Return the fate of a run stopped at each moment, and of the one that took over."""
    at = ",".join(map(str, moments))
    done = python("stopped", folder, "--at", at, *options, module="tests.support.rivals")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# Before it has the lock, and while it takes it, removes old files, begins its ledger, writes.
SOME = (1, 8, 12, 16, 25, 40, 70, 150, 260)


@pytest.mark.slow
@on_posix
@pytest.mark.parametrize("options", [(), ("--same",), ("--killed",)], ids=lambda o: o[:1] or "")
def test_a_run_that_was_stopped_anywhere_changes_nothing_once_another_has_come(tmp_path, options):
    for found in stopped(tmp_path, sorted({*SOME, *range(1, 330, 6)}), *options):
        assert found["is_sound"] and found["is_free"], found
        # It begins again if it had not begun, else it gets an error: the bytes are of one run.
        own, other = found["exits"]
        assert other == 0 and own in (0, 3), found
        last = "other" if own and "--same" not in options else "first"
        assert found["is_of"] == [last] or not found["was_stopped"], found


@pytest.mark.slow
@on_posix
def test_control_a_stopped_run_whose_session_is_not_ended_does_harm(tmp_path):
    harmed = [not found["is_sound"] for found in stopped(tmp_path, SOME, "--unended")]
    assert sum(harmed) > len(SOME) / 2


def test_a_run_whose_lock_was_taken_over_is_told_by_whom_and_writes_and_returns_nothing(
    path, undisturbed
):
    first = held_elsewhere(path, Lease(0.2, 1000))
    first.write(PARTITION[0], compute(PARTITION[0]))
    late = first.writer
    other = take_over(path)
    taken = rf"was taken from this run by process {os.getpid()} on "
    with pytest.raises(StoreError, match=taken):
        first.write(PARTITION[1], compute(PARTITION[1]))
    with pytest.raises(StoreError, match=taken):
        first.record(PARTITION[1], {})
    with pytest.raises(StoreError, match="could not write chunk .* has taken .* over from it"):
        late.write(PARTITION[1], compute(PARTITION[1]))
    for part in PARTITION:
        other.write(part, compute(part))
    with pytest.raises(StoreError, match=taken):
        first.finish()
    np.testing.assert_array_equal(other.finish().delta, FULL[0])
    assert contents(path) == undisturbed


@on_posix
def test_a_rename_that_had_looked_its_folder_up_is_too_late_as_well(path):
    first = held_elsewhere(path, Lease(0.2, 1000))
    session = first.writer.scratch
    (session / "late.partial").write_bytes(b"late")
    # While it renames, the kernel holds a folder itself, not its path.
    folder = os.open(session, os.O_RDONLY)
    try:
        take_over(path)
        with pytest.raises(FileNotFoundError):
            os.rename("late.partial", path / "delta" / "c" / "0", src_dir_fd=folder)
        with pytest.raises(FileNotFoundError):
            os.rename(path / LOCK, "removed", dst_dir_fd=folder)
    finally:
        os.close(folder)


@on_posix
def test_control_a_folder_that_is_moved_and_kept_lets_such_a_rename_go_on(path, monkeypatch):
    monkeypatch.setattr(scratch, "_delete", lambda path: None)
    must_fail(test_a_rename_that_had_looked_its_folder_up_is_too_late_as_well, path)


def test_a_run_whose_store_was_unlocked_by_force_writes_nothing_more(path):
    first = held_elsewhere(path, Lease(60, 0.02))
    assert unlock(path, force=True).host == "elsewhere"  # without waiting for its lease
    with pytest.raises(StoreError, match="was taken from this run by `gradsweep unlock`"):
        first.write(PARTITION[0], compute(PARTITION[0]))
    first.abandon()
    complete(path, resume=True)


def test_who_is_taking_over_is_seen_before_who_is_gone(path):
    held_elsewhere(path, Lease(60, 1000))
    gone = read_holder(path / LOCK)
    assert gone is not None
    taker = this_process(60.0)
    (path / RUN / "partial" / taker.token).mkdir()
    (path / RUN / f"taking.{gone.token}").write_bytes(taker.to_json())
    assert holder_of(path) == taker
    with pytest.raises(StoreError, match=rf"locked by process {os.getpid()} .* is running"):
        ZarrStore(path, resume=True).begin(layout())
    holder.forget(taker)  # as if it had been killed
    unlock(path, force=True)
    complete(path, resume=True)


def test_nor_does_it_let_go_of_the_lock_of_another(path):
    first = held_elsewhere(path, Lease(0.2, 1000))
    other = take_over(path)
    first.abandon()
    other.write(PARTITION[0], compute(PARTITION[0]))


# ---- the ledger


def append(path: Path, **record: object) -> None:
    with (path / LEDGER).open("ab") as file:
        file.write(ledger.as_line(record))


def test_every_record_has_its_holders_number_which_grows_by_one(path):
    complete(path)
    append(path, kind="strike", holder=1, part=3)
    complete(path, resume=True)
    verify(path, repair=True)  # it writes nothing, and has no number
    complete(path, resume=True)
    records = [json.loads(line) for line in (path / LEDGER).read_text().splitlines()]
    assert [record["kind"] for record in records if "holder" not in record] == ["run", "run"]
    numbers = [record["holder"] for record in records[2:]]
    assert numbers == sorted(numbers) and set(numbers) == {1, 2, 3}
    assert [r["holder"] for r in records if r["kind"] == "session"] == [1, 2, 3]


def test_a_record_of_a_holder_that_was_superseded_is_not_believed(path):
    first = ZarrStore(path)
    first.begin(layout())
    stamps = first.writer.write(PARTITION[0], compute(PARTITION[0]))
    first.abandon()
    begun = ZarrStore(path, resume=True)
    begun.begin(layout())
    begun.write(PARTITION[1], compute(PARTITION[1]))
    begun.abandon()
    append(path, kind="part", holder=1, part=0, chunks=stamps)
    append(path, kind="strike", holder=1, part=1)
    assert ledger.read(path).parts.keys() == {1}


def test_control_without_numbers_a_superseded_record_is_believed(path, monkeypatch):
    monkeypatch.setattr(ledger, "_is_superseded", lambda number, history: False)
    must_fail(test_a_record_of_a_holder_that_was_superseded_is_not_believed, path)


def test_what_a_superseded_holder_still_appends_is_in_nobodys_ledger(path):
    first = held_elsewhere(path, Lease(0.2, 1000))
    other = take_over(path)
    before = (path / LEDGER).read_bytes()
    assert first._ledger is not None
    first._ledger.part(0, {}, "a part")
    assert (path / LEDGER).read_bytes() == before
    assert other._ledger is not None
    other._ledger.part(0, {}, "a part")
    assert (path / LEDGER).read_bytes() > before


def test_control_a_ledger_that_is_continued_in_place_takes_it(path, monkeypatch):
    def in_place(cls, folder, history, scratch):
        return cls(os.open(folder / LEDGER, os.O_WRONLY | os.O_APPEND), history.end, 2)

    monkeypatch.setattr(Ledger, "resume", classmethod(in_place))
    must_fail(test_what_a_superseded_holder_still_appends_is_in_nobodys_ledger, path)


@on_linux
def test_a_store_of_a_version_without_numbers_and_leases_is_continued(
    path, undisturbed, n_operations
):
    leave_killed(path, n_operations // 2)
    history = ledger.read(path)
    # The kill may have torn the last line.
    lines = (path / LEDGER).read_bytes()[: history.end].splitlines()
    records = [json.loads(line) for line in lines]
    known = history.parts.keys()
    without = [{k: v for k, v in r.items() if k not in ("crc32", "holder")} for r in records]
    (path / LEDGER).write_bytes(b"".join(map(ledger.as_line, without)))
    edit_lock(path, namespace=None, lease_seconds=None)
    assert ledger.read(path).parts.keys() == known and ledger.read(path).holder == 0
    with pytest.warns(GradsweepWarning, match="which is gone"):
        complete(path, resume=True)
    assert contents(path) == undisturbed and ledger.read(path).holder == 1
