"""The evidence that a process is gone, and the lease."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from gradsweep.cli import main
from gradsweep.errors import GradsweepWarning, StoreError
from gradsweep.results.stores.zarr import ZarrStore, unlock, verify
from gradsweep.results.stores.zarr.locking import holder
from gradsweep.results.stores.zarr.locking.holder import read_holder, this_process
from gradsweep.results.stores.zarr.locking.lease import Lease, Renewal
from gradsweep.results.stores.zarr.locking.lock import holder_of
from tests.support.controls import must_fail
from tests.support.prepared import ROOT
from tests.support.storing import PARTITION, RUN, complete, compute, contents, layout
from tests.support.takeovers import LOCK, edit_lock, held_elsewhere, on_linux, on_posix

pytest.importorskip("zarr")


# ---- the evidence that a process is gone


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
        ({"token": 32 * "0"}, "gone"),  # of this process, which holds no such lock
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
    other = this_process(60.0)
    assert (other.started, other.namespace) == ("", "") and me.state == "unknown"


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
    found = holder_of(path)
    assert found is not None and found.state == "alive"


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
    file = first.writer.scratch / "lease"
    count = file.read_bytes()
    while file.read_bytes() == count:
        time.sleep(0.001)
    first.abandon()
    thread.join(60)
    assert not thread.is_alive() and not file.exists()


def test_by_default_a_lease_of_60_seconds_is_renewed_every_15(path):
    first = ZarrStore(path)
    first.begin(layout())
    found = read_holder(path / LOCK)
    assert found is not None and found.lease_seconds == 60 and Lease().every_seconds == 15


def test_a_lock_of_another_host_without_a_lease_is_removed_by_force_alone(path):
    held_elsewhere(path, Lease())
    edit_lock(path, lease_seconds=None)
    with pytest.raises(StoreError, match=r"cannot be told from this host.*--force"):
        ZarrStore(path, resume=True).begin(layout())
    with pytest.raises(StoreError, match="--force"):
        unlock(path)
    assert unlock(path, force=True).host == "elsewhere"
    complete(path, resume=True)
