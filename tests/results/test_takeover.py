"""The same command continues a killed run: who may take a store over, and from whom.

A holder that is gone, by its process or by its lease, is followed by exactly one other; one that
was only stopped, and goes on when another has come in its place, changes nothing more. Every
protection has a control.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradsweep.cli import main
from gradsweep.errors import GradsweepWarning, StoreError
from gradsweep.results.stores.zarr import ZarrStore, ledger, scratch, unlock, verify
from gradsweep.results.stores.zarr.ledger import Ledger
from gradsweep.results.stores.zarr.locking import holder, lease
from gradsweep.results.stores.zarr.locking.holder import Holder, read_holder, this_process
from gradsweep.results.stores.zarr.locking.lease import Lease, Renewal
from gradsweep.results.stores.zarr.locking.lock import holder_of
from tests.support.controls import must_fail
from tests.support.storing import FULL, PARTITION, complete, compute, contents, layout

pytest.importorskip("zarr")

ROOT = Path(__file__).parents[2]
RUN = Path(".gradsweep") / "run"
LOCK = RUN / "lock"
LEDGER = RUN / "ledger.jsonl"

on_posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX processes")
on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("undisturbed") / "greeks.zarr"
    complete(path)
    return contents(path)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "greeks.zarr"


def python(*words: object, module: str = "tests.support.storing") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def n_operations(tmp_path_factory) -> int:
    done = python(tmp_path_factory.mktemp("counted") / "greeks.zarr")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def leave_killed(path: Path, n: int, *options: str) -> Holder:
    """Have a run be killed at its nth operation on files, and return what its lock says."""
    killed = python(path, *options, "--kill-at", n)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    found = holder_of(path)
    assert found is not None
    return found


def edit_lock(path: Path, **changes: object) -> None:
    """Have a lock say other things; what is None is left out."""
    found = {**json.loads((path / LOCK).read_text()), **changes}
    (path / LOCK).write_text(json.dumps({k: v for k, v in found.items() if v is not None}))


def held_elsewhere(path: Path, kept: Lease) -> ZarrStore:
    """Begin a run that says it is on another host."""
    store = ZarrStore(path, lease=kept)
    store.begin(layout())
    edit_lock(path, host="elsewhere")
    return store


def take_over(path: Path) -> ZarrStore:
    """Begin in the place of a run whose lease runs out."""
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


@on_posix
@pytest.mark.parametrize(
    "moments",
    [(3, 9, 10, 11, 17), pytest.param(tuple(range(1, 60)), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
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
    """Return how many of 8 got the lock and were refused, and in how many rounds."""
    done = python("race", folder, "--rounds", n_rounds, *options, module="tests.support.rivals")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@on_posix
@pytest.mark.parametrize("n_rounds", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_of_eight_that_try_at_once_exactly_one_gets_the_lock(tmp_path, n_rounds):
    assert races(tmp_path, n_rounds) == [[1, 7, n_rounds]]


@on_posix
def test_control_taking_a_lock_by_removing_it_gives_it_to_several(tmp_path):
    assert any(n_got > 1 for n_got, _, _ in races(tmp_path, 20, "--naive"))


@on_posix
@pytest.mark.parametrize("n_rounds", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_of_eight_of_which_four_are_killed_at_most_one_gets_the_lock_and_the_next_one_can(
    tmp_path, n_rounds
):
    assert all(n_got <= 1 for n_got, _, _ in races(tmp_path, n_rounds, "--killed"))


# ---- stopped, and going on when another has come


def stopped(folder: Path, moments, *options: str) -> list[dict]:
    """Return what became of a run stopped at each moment, and of the one that took over."""
    at = ",".join(map(str, moments))
    done = python("stopped", folder, "--at", at, *options, module="tests.support.rivals")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# Before it has the lock, while it takes it, removes what is there, begins its ledger, writes.
SOME = (1, 8, 12, 16, 25, 40, 70, 150, 260)


@on_posix
@pytest.mark.parametrize(
    "moments", [SOME, pytest.param(range(1, 330, 6), marks=pytest.mark.slow)], ids=["some", "all"]
)
@pytest.mark.parametrize("options", [(), ("--same",), ("--killed",)], ids=lambda o: o[:1] or "")
def test_a_run_that_was_stopped_anywhere_changes_nothing_once_another_has_come(
    tmp_path, moments, options
):
    for found in stopped(tmp_path, moments, *options):
        assert found["is_sound"] and found["is_free"], found
        # It begins anew when it had not begun, and else it is told: the bytes are of one run.
        own, other = found["exits"]
        assert other == 0 and own in (0, 3), found
        last = "other" if own and "--same" not in options else "first"
        assert found["is_of"] == [last] or not found["was_stopped"], found


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
    # What the kernel has in hand of a folder while it renames: not its path, but itself.
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
        file.write(ledger._line(record))


def test_every_record_has_its_holders_number_which_grows_by_one(path):
    complete(path)
    append(path, kind="strike", holder=1, part=3)
    complete(path, resume=True)
    verify(path, repair=True)  # which writes nothing, and has no number
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
    lines = (path / LEDGER).read_text().splitlines()
    records = [json.loads(line) for line in lines]
    known = ledger.read(path).parts.keys()
    without = [{k: v for k, v in r.items() if k not in ("crc32", "holder")} for r in records]
    (path / LEDGER).write_bytes(b"".join(map(ledger._line, without)))
    edit_lock(path, namespace=None, lease_seconds=None)
    assert ledger.read(path).parts.keys() == known and ledger.read(path).holder == 0
    with pytest.warns(GradsweepWarning, match="which is gone"):
        complete(path, resume=True)
    assert contents(path) == undisturbed and ledger.read(path).holder == 1


# ---- what shows that a process is gone


@on_linux
@pytest.mark.parametrize(
    "changes, state",
    [
        ({}, "alive"),
        ({"host": "elsewhere"}, "unknown"),
        ({"started": "another-boot 12"}, "unknown"),
        ({"namespace": "pid:[1] time:[2]"}, "unknown"),
        ({"namespace": ""}, "unknown"),
        ({"started": ""}, "unknown"),
        ({"namespace": None}, "alive"),  # as versions before this one wrote it
        ({"pid": 2**31 - 1}, "gone"),
        ({"token": 32 * "0"}, "gone"),  # of this very process, which holds no such lock
    ],
    ids=str,
)
def test_a_process_is_gone_only_where_its_number_would_be_seen(changes, state):
    assert replace(this_process(60.0), **changes).state == state


@on_linux
def test_a_later_process_of_the_same_number_is_another(path):
    me = this_process(60.0)
    boot, _, moment = me.started.partition(" ")
    parent = replace(me, pid=os.getppid(), started=holder._started(os.getppid()))
    assert parent.state == "alive"
    assert replace(parent, started=f"{boot} {moment}9").state == "gone"


@on_linux
def test_a_process_that_may_not_be_looked_at_is_not_gone(monkeypatch):
    def refuse(pid, number):
        raise PermissionError

    started = holder._started
    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(holder, "_started", lambda pid: started(pid) if pid == "self" else None)
    assert replace(this_process(60.0), pid=os.getppid()).state == "unknown"


@on_linux
def test_a_process_that_ended_and_was_not_waited_for_is_gone():
    ended = os.fork()
    if not ended:
        os._exit(0)
    os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
    try:
        assert replace(this_process(60.0), pid=ended).state == "gone"
    finally:
        os.waitpid(ended, 0)


@on_linux
def test_where_proc_is_of_other_numbers_nothing_is_concluded(monkeypatch):
    me = this_process(60.0)
    monkeypatch.setattr(os, "getpid", lambda: me.pid + 1)
    assert holder._place() == ("", "") and me.state == "unknown"


def test_a_store_that_was_dropped_without_a_word_is_taken_over_in_the_same_process(path):
    ZarrStore(path).begin(layout())
    with pytest.warns(GradsweepWarning, match="took over the lock"):
        complete(path, resume=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "../../../owned"},
        {"token": None},
        {"token": 32 * "G"},
        {"pid": -1},
        {"pid": "1"},
        {"pid": True},
        {"lease_seconds": 1e9},
        {"lease_seconds": -1},
        {"lease_seconds": float("nan")},
        {"lease_seconds": True},
    ],
    ids=str,
)
def test_a_lock_that_means_harm_is_refused_and_removed_by_force_alone(path, changes):
    complete(path)
    (path / LOCK).write_bytes(this_process(60.0).to_json())
    edit_lock(path, **changes)
    for refused in (
        lambda: ZarrStore(path, resume=True).begin(layout()),
        lambda: verify(path, repair=True),
        lambda: unlock(path),
    ):
        with pytest.raises(StoreError, match="cannot be read.*--force"):
            refused()
    assert unlock(path, force=True) is None
    complete(path, resume=True)
    assert os.listdir(path.parent) == [path.name]


def test_text_of_a_lock_cannot_write_to_the_terminal_anything_but_itself(path):
    held_elsewhere(path, Lease(0.1, 1000))
    edit_lock(path, host="\x1b[2J\n")
    with pytest.warns(GradsweepWarning) as said:
        complete(path, resume=True)
    assert not any(c in str(one.message) for one in said for c in "\x1b\n")


def test_a_link_in_place_of_the_sessions_folder_leads_nowhere(path, tmp_path):
    complete(path)
    outside = tmp_path / "outside"
    (outside / "mine").mkdir(parents=True)
    (path / RUN / "partial").rmdir()
    (path / RUN / "partial").symlink_to(outside)
    for refused in (
        lambda: ZarrStore(path, resume=True).begin(layout()),
        lambda: ZarrStore(path, overwrite=True).begin(layout()),
        lambda: verify(path, repair=True),
    ):
        with pytest.raises(StoreError, match="link"):
            refused()
    assert os.listdir(outside) == ["mine"]


# ---- the lease


@pytest.mark.parametrize("kept", [Lease(5, 0.02)], ids=[""])
def test_a_run_elsewhere_that_renews_its_lease_keeps_the_store(path, kept):
    first = held_elsewhere(path, kept)
    for refused in (
        lambda: ZarrStore(path, resume=True).begin(layout()),
        lambda: unlock(path),
    ):
        with (
            pytest.warns(GradsweepWarning, match=f"watching for {kept.seconds:g} s"),
            pytest.raises(StoreError, match="is running: it renews its lease"),
        ):
            refused()
    first.write(PARTITION[0], compute(PARTITION[0]))


def test_control_a_lease_that_is_not_renewed_is_lost(path, monkeypatch):
    monkeypatch.setattr(Renewal, "_run", lambda self: None)
    must_fail(test_a_run_elsewhere_that_renews_its_lease_keeps_the_store, path, Lease(0.3, 0.02))


def test_a_run_elsewhere_whose_lease_ran_out_is_taken_over_and_each_step_is_one_line(
    path, capsys, undisturbed
):
    held_elsewhere(path, Lease(0.3, 1000))
    assert main(["unlock", str(path)]) == 0
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "watching for 0.3 s" in said.err
    assert "it was held by process" in said.out
    held_elsewhere(path2 := path.with_name("other.zarr"), Lease(0.3, 1000))
    with pytest.warns(GradsweepWarning) as warned:
        complete(path2, resume=True)
    watching, took_over = (str(one.message) for one in warned)
    assert "on elsewhere" in watching and "watching for 0.3 s" in watching
    assert took_over.endswith("which has let its lease of 0.3 s run out.")
    assert contents(path2) == undisturbed


def test_a_clock_that_is_set_says_nothing_of_a_lease(path, monkeypatch):
    first = held_elsewhere(path, Lease(5, 0.02))
    monkeypatch.setattr(time, "time", lambda: 1e11)
    with (
        pytest.warns(GradsweepWarning, match="watching"),
        pytest.raises(StoreError, match="it renews its lease"),
    ):
        ZarrStore(path, resume=True).begin(layout())
    first.write(PARTITION[0], compute(PARTITION[0]))


def test_control_by_the_age_of_a_file_a_clock_that_is_set_takes_a_lease_away(path, monkeypatch):
    def by_age(file, seconds):
        return time.time() - file.stat().st_mtime < seconds

    monkeypatch.setattr("gradsweep.results.stores.zarr.locking.lock.is_renewed", by_age)
    must_fail(test_a_clock_that_is_set_says_nothing_of_a_lease, path, monkeypatch)


def test_a_run_whose_renewing_thread_gets_no_time_keeps_its_lease_by_what_it_records(
    path, monkeypatch
):
    monkeypatch.setattr(Renewal, "_run", lambda self: None)
    first = held_elsewhere(path, Lease(1.0, 0.02))
    ended = threading.Event()

    def record() -> None:
        while not ended.wait(0.01):
            first.write(PARTITION[0], compute(PARTITION[0]))

    recording = threading.Thread(target=record)
    recording.start()
    try:
        with (
            pytest.warns(GradsweepWarning, match="watching"),
            pytest.raises(StoreError, match="it renews its lease"),
        ):
            ZarrStore(path, resume=True).begin(layout())
    finally:
        ended.set()
        recording.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_control_recording_that_renews_nothing_loses_the_lease(path, monkeypatch):
    monkeypatch.setattr(Renewal, "catch_up", lambda self: None)
    must_fail(
        test_a_run_whose_renewing_thread_gets_no_time_keeps_its_lease_by_what_it_records,
        path,
        monkeypatch,
    )


@on_posix
def test_a_forked_child_neither_records_nor_lets_go(path):
    first = ZarrStore(path)
    first.begin(layout())
    child = os.fork()
    if not child:
        try:
            stamps = first.writer.write(PARTITION[0], compute(PARTITION[0]))
            first.record(PARTITION[0], stamps)
        except StoreError as error:
            first.abandon()
            os._exit(0 if "this is a child of it" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    first.write(PARTITION[0], compute(PARTITION[0]))
    assert first._lock is not None
    first._lock.check()


_FORKS = """if True:
    import os, signal, sys, time
    from gradsweep.results.stores.zarr import ZarrStore
    from gradsweep.results.stores.zarr.locking.lease import Lease
    from tests.support.storing import layout
    first = ZarrStore(sys.argv[1], lease=Lease(1.0, 0.02))
    first.begin(layout())
    child = os.fork()
    if child:
        print(child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(120)
"""


@on_posix
def test_a_forked_child_that_outlives_its_parent_does_not_renew_the_lease(path, undisturbed):
    with subprocess.Popen(
        [sys.executable, "-c", _FORKS, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.wait()
        try:
            edit_lock(path, host="elsewhere")
            with pytest.warns(GradsweepWarning, match="let its lease of 1 s run out"):
                complete(path, resume=True)
        finally:
            os.kill(child, signal.SIGKILL)
    assert contents(path) == undisturbed


def test_a_lease_is_renewed_until_the_run_ends_and_no_longer(path):
    def renewing() -> set[threading.Thread]:
        return {t for t in threading.enumerate() if t.name == "gradsweep-lease"}

    before = renewing()
    first = ZarrStore(path, lease=Lease(60, 0.01))
    first.begin(layout())
    (thread,) = renewing() - before
    assert first._lock is not None
    file = first._lock.scratch / "lease"
    count = file.read_bytes()
    deadline = time.monotonic() + 60
    while file.read_bytes() == count:
        assert time.monotonic() < deadline
    first.abandon()
    thread.join(60)
    assert not thread.is_alive() and not file.exists()


def test_by_default_a_lease_of_60_seconds_is_renewed_every_15(path):
    first = ZarrStore(path)
    first.begin(layout())
    found = read_holder(path / LOCK)
    assert found is not None and found.lease_seconds == 60 and Lease().every_seconds == 15
    assert lease._EVERY_SECONDS == 15


def test_a_lock_of_another_host_without_a_lease_is_removed_by_force_alone(path):
    held_elsewhere(path, Lease())
    edit_lock(path, lease_seconds=None)
    with pytest.raises(StoreError, match=r"cannot be told from this host.*--force"):
        ZarrStore(path, resume=True).begin(layout())
    with pytest.raises(StoreError, match="--force"):
        unlock(path)
    assert unlock(path, force=True).host == "elsewhere"
    complete(path, resume=True)
