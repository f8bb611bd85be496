"""Whole runs of the command line that are killed, terminated or interrupted, and continued."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gradsweep.results.stores.zarr.locking.lock import holder_of
from tests.support.controls import must_fail
from tests.support.kill_campaign import MODEL, WORDS, chunks, n_written
from tests.support.prepared import python

zarr = pytest.importorskip("zarr")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signals")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# A shell has what it starts in the background ignore Ctrl-C, and so does whatever that starts.
# Parts of a few thousand numbers: there is time to be told to end.
RUN = """
import signal, sys
from gradsweep import cli
from gradsweep.running import destination
signal.signal(signal.SIGINT, signal.default_int_handler)
destination.STORED_PART_BYTES = 2**15
sys.exit(cli.main(sys.argv[1:]))
"""


def start(*more):
    command = [sys.executable, "-c", RUN, *WORDS, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The store of a run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "model.py").write_text(MODEL)
    command = [sys.executable, "-c", RUN, *WORDS]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "greeks.zarr"


@pytest.fixture(scope="module")
def undisturbed(whole):
    return chunks(whole)


def wait_for_parts(process, n):
    """Wait until a running process has recorded so many parts."""
    store = Path("greeks.zarr")
    while n_written(store) < n:
        if process.poll() is not None:
            raise RuntimeError(f"it ended before: {process.communicate()}")
        time.sleep(0.001)


def killed_at_random(*options):
    return python(*options, module="tests.support.kill_campaign")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_50_runs_killed_at_random_and_the_very_same_command_end_in_the_undisturbed_bytes():
    done = killed_at_random("--kills", 50)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["killed"] == 50 and found["took over"] > 10 and found["finished"] > 1


@pytest.mark.slow
def test_control_without_looking_for_the_process_the_same_command_is_refused():
    done = killed_at_random("--kills", 5, "--unlooked")
    assert done.returncode == 1 and "AssertionError" in done.stderr, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number, code", [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_run_that_is_asked_to_end_can_be_resumed(number, code, folder, undisturbed):
    process = start()
    wait_for_parts(process, 2)
    process.send_signal(getattr(signal, number))
    _, errors = process.communicate()
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert holder_of(folder / "greeks.zarr") is None
    process = start("--resume")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert chunks(folder / "greeks.zarr") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize(
    "number, code, away",
    [
        ("SIGTERM", 143, "from contextlib import nullcontext; run._terminating = nullcontext"),
        ("SIGINT", 130, "ZarrStore.abandon = lambda self: None"),
    ],
    ids=["no handler", "nothing let go"],
)
def test_control_a_run_that_does_not_end_in_order_keeps_its_lock(
    number, code, away, folder, undisturbed, monkeypatch
):
    taken_away = (
        "from gradsweep.running import run\n"
        f"from gradsweep.results.stores.zarr import ZarrStore\n{away}\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "RUN", taken_away + RUN)
    must_fail(test_a_run_that_is_asked_to_end_can_be_resumed, number, code, folder, undisturbed)


@pytest.mark.slow
def test_a_stored_sweep_reads_as_plain_xarray(whole):
    found = xr.open_zarr(whole)
    S, sigma = np.linspace(50, 150, 600), np.linspace(0.1, 0.5, 700)
    assert (
        found.dprice_dS.dims == ("S", "sigma") and found.dprice_dS.attrs["long_name"] == "∂price/∂S"
    )
    expected = 2 * S[:, None] * sigma - 100 * sigma**3 / S[:, None] ** 2
    np.testing.assert_allclose(found.dprice_dS, expected, rtol=1e-13)
    np.testing.assert_array_equal(found.S, S)
    assert found.K.item() == 100.0


@pytest.mark.slow
def test_a_run_whose_scheduler_is_killed_is_resumed_from_the_ledger(folder, undisturbed):
    pytest.importorskip("distributed")
    port = 20_000 + os.getpid() % 20_000

    def cluster():
        address = f"tcp://127.0.0.1:{port}"
        scheduler = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
             "--port", str(port), "--dashboard-address", ":0"],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        worker = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1",
             "--no-dashboard", "--local-directory", str(folder / "worker")],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return address, scheduler, worker

    address, scheduler, worker = cluster()
    try:
        time.sleep(3)
        process = start("--cluster", address)
        wait_for_parts(process, 3)
        scheduler.kill()
        scheduler.wait()
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 1, errors
        assert "resume" in errors
        assert holder_of(folder / "greeks.zarr") is None
    finally:
        worker.kill()
        worker.wait()
        scheduler.kill()
    process = start("--resume")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert chunks(folder / "greeks.zarr") == undisturbed


@pytest.mark.slow
def test_control_a_run_that_lets_nothing_go_is_not_resumed_after_its_scheduler_was_killed(
    folder, undisturbed, monkeypatch
):
    keeps = (
        "from gradsweep.results.stores.zarr import ZarrStore\n"
        "ZarrStore.abandon = lambda self: None\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "RUN", keeps + RUN)
    must_fail(test_a_run_whose_scheduler_is_killed_is_resumed_from_the_ledger, folder, undisturbed)


@pytest.mark.torch
def test_another_captured_value_or_static_argument_is_another_run(tmp_path):
    pytest.importorskip("torch")
    import gradsweep as gs
    from gradsweep.errors import StoreError

    def model(a):
        def f(x, kind):
            return x**2 if x < 5 else a * x * (2.0 if kind == "put" else 1.0)

        return f

    path, x = tmp_path / "f.zarr", np.linspace(0.0, 9.0, 50)
    gs.gradient(model(2.0), gs.Sweep(x=x, kind="call"), store=path)
    again = gs.gradient(model(2.0), gs.Sweep(x=x, kind="call"), store=path, resume=True)
    np.testing.assert_array_equal(again.df_dx, np.where(x < 5, 2 * x, 2.0))
    with pytest.raises(StoreError, match="what it refers to"):
        gs.gradient(model(3.0), gs.Sweep(x=x, kind="call"), store=path, resume=True)
    with pytest.raises(StoreError, match="argument kind: 'call'.*'put'"):
        gs.gradient(model(2.0), gs.Sweep(x=x, kind="put"), store=path, resume=True)
