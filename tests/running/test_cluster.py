"""A Dask cluster of real processes: the same bits as here, even when workers die."""

import os
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import ClusterError, GradsweepWarning
from gradsweep.request.partition import Part
from gradsweep.results.layout import NO_ATTRS, Layout
from gradsweep.running import dask, destination
from tests.support.controls import must_fail

distributed = pytest.importorskip("distributed")
dask_config = pytest.importorskip("dask.config")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*Sending large graph"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# Workers without frameworks: importing one fails, as if it were not installed.
_WITHOUT_FRAMEWORKS = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "jax"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


class FolderStore:
    """Keeps each part's arrays in a file of its own.

    Attributes:
        awaits_death: the number of a part at which the first worker waits to be killed.
    """

    awaits_death: int | None = None

    def __init__(self, folder: Path):
        self.folder = folder

    @property
    def _at_work(self) -> Path:
        return self.folder / "at_work"

    def worker_at_work(self) -> int:
        """Return the process that waits to be killed, or 0."""
        return int(self._at_work.read_text() or 0) if self._at_work.exists() else 0

    def begin(self, layout: Layout) -> frozenset[int]:
        self.layout = layout
        self.folder.mkdir(exist_ok=True)
        self.recorded: list[int] = []
        return frozenset()

    def try_out(self, sample):
        """Storing costs nothing here."""

    def reduces(self, axes: Iterable[str]) -> tuple[str, frozenset[str]]:
        return "", frozenset()

    def stored_partition(self):
        return None

    def held_bytes(self, axes, arrays):
        return 0

    @property
    def writer(self):
        return self

    def write(self, part: Part, arrays: Sequence[np.ndarray]) -> str:
        if part.number == self.awaits_death and not self._at_work.exists():
            self._at_work.write_text(str(os.getpid()))
            time.sleep(60.0)
        path = self.folder / f"{part.number}.npz"
        temporary = path.with_suffix(f".{os.getpid()}.partial")
        with temporary.open("wb") as file:
            np.savez(file, *arrays)
        temporary.replace(path)
        return path.name

    def record(self, part: Part, receipt: str) -> None:
        assert receipt == f"{part.number}.npz"
        self.recorded.append(part.number)

    def abandon(self) -> None:
        pass

    def finish(self, attrs=NO_ATTRS):
        variables = self.layout.variables
        found = {v.name: np.full(v.shape, np.nan) for v in variables}
        for part in self.layout.partition:
            with np.load(self.folder / f"{part.number}.npz") as file:
                for variable in variables:
                    array = file[f"arr_{variable.result}"]
                    if part.owns(variable.swept):
                        found[variable.name][variable.region(part)] = array
        return found


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Send the results of `store="x.zarr"` to a folder, in parts of a few hundred numbers."""
    kept = FolderStore(tmp_path / "results")
    monkeypatch.setattr(destination, "_store", lambda *_: kept)
    monkeypatch.setattr(destination, "STORED_PART_BYTES", 2**12)
    monkeypatch.setattr(destination, "TASK_PART_BYTES", 2**12)
    return kept


@pytest.fixture(scope="module", autouse=True)
def patience():
    """A cluster gives a worker up that is away 15 seconds after a death: it may be starting."""
    with dask_config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}):
        yield


@pytest.fixture(scope="module")
def bare_cluster(tmp_path_factory):
    preload = tmp_path_factory.mktemp("cluster") / "without_frameworks.py"
    preload.write_text(_WITHOUT_FRAMEWORKS)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", preload=[str(preload)]
    ) as cluster:
        yield cluster


@pytest.fixture
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        yield cluster


def wave(x, y, z):
    return x**2 * y + z * y**3


def grid(n=41):
    return gs.Sweep(x=gs.linspace(0.0, 1.0, n), y=np.linspace(1, 2, 13), z=("k", [1.0, 5.0, 7.0]))


def test_workers_without_a_framework_give_the_same_bits(bare_cluster, store):
    with distributed.Client(bare_cluster) as client:
        absent = client.run(_frameworks_absent)
        assert set(absent.values()) == {(True, True)}
        found = gs.gradient(wave, grid(), store="x.zarr", scheduler=client)
    expected = gs.gradient(wave, grid())
    assert store.recorded and sorted(store.recorded) == [*range(len(store.recorded))]
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])


def _frameworks_absent() -> tuple[bool, ...]:
    import importlib

    def is_absent(name: str) -> bool:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            return True
        return False

    return is_absent("torch"), is_absent("jax")


@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize("by", ["data", "pickle"])
def test_points_where_an_equation_was_not_solved_are_counted(
    by, bare_cluster, cluster, monkeypatch
):
    monkeypatch.setattr(destination, "TASK_PART_BYTES", 2**8)

    def f(a, b):
        return gs.find_root(lambda y: y * y - a, 1.0) * b if by == "data" or b > 2 else a * b

    b = np.linspace(1.0, 6.0, 50)
    sweep = gs.Sweep(a=[2.0, -4.0, 0.5, -3.0], b=b)
    framework = "jax" if by == "data" else "torch"
    with distributed.Client(bare_cluster if by == "data" else cluster) as client:
        plan = gs.plan(gs.value, f, sweep, framework=framework, reduce="mean", scheduler=client)
        assert plan.partition.n_parts > 3
        with pytest.warns(GradsweepWarning, match="not solved at"):
            found = plan.run()
    assert found.attrs["not_converged"] == (2 if by == "data" else 2 * np.sum(b > 2))


def test_a_schedulers_address_will_do(bare_cluster, store):
    found = gs.gradient(wave, grid(), store="x.zarr", scheduler=bare_cluster.scheduler_address)
    np.testing.assert_array_equal(found["dwave_dx"], gs.gradient(wave, grid()).dwave_dx)


def test_the_plan_says_that_a_program_travels_as_data(bare_cluster, store):
    with distributed.Client(bare_cluster) as client:
        plan = gs.plan(gs.gradient, wave, grid(), store="x.zarr", scheduler=client)
        assert "the program travels to the workers as data" in str(plan)


@pytest.mark.torch
def test_a_function_without_one_program_travels_as_a_pickle(cluster, store):
    import torch

    def f(x, y):
        return x**2 * y if x > y else torch.sin(y) * x

    sweep = gs.Sweep(x=np.linspace(0, 3, 50), y=np.linspace(0, 4, 40))
    with distributed.Client(cluster) as client:
        plan = gs.plan(gs.gradient, f, sweep, store="x.zarr", scheduler=client)
        assert "the function travels to the workers by cloudpickle" in str(plan)
        found = plan.run()
    expected = gs.broadcast(gs.gradient(f, sweep))
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name].transpose("x", "y"))


def test_no_cluster_at_an_address_is_said_so(store):
    with pytest.raises(ClusterError, match="no Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        gs.gradient(wave, grid(), store="x.zarr", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ClusterError, match="scheduler=7 is a int"):
        gs.gradient(wave, grid(), store="x.zarr", scheduler=7)


# F13


def test_a_worker_killed_while_it_works_changes_no_bit(bare_cluster, store):
    sweep = grid(4001)
    expected = gs.gradient(wave, sweep)
    with distributed.Client(bare_cluster) as client:
        killed = []

        def kill():
            while not store.worker_at_work():
                time.sleep(0.005)
            # Both are killed, one after the other: the first may hold the data that travels.
            every = client.run(os.getpid, nanny=False).values()
            for pid in sorted(every, key=lambda pid: pid != store.worker_at_work()):
                os.kill(pid, signal.SIGKILL)
                killed.append(len(store.recorded))
                time.sleep(1.0)

        store.awaits_death = 20
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            found = gs.gradient(wave, sweep, store="x.zarr", scheduler=client)
        finally:
            killer.join()
    assert killed and killed[0] < len(store.recorded)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.fixture
def no_second_attempts(cluster, monkeypatch):
    """Make a run end when a worker ends."""
    cluster.scheduler.allowed_failures = 0

    def give_up(run, task):
        run._failure = ClusterError(f"a worker died with {task.part.describe()}")
        return []

    monkeypatch.setattr(dask._Run, "_killed", give_up)


def test_control_without_second_attempts_a_killed_worker_ends_the_run(
    cluster, store, no_second_attempts
):
    must_fail(test_a_worker_killed_while_it_works_changes_no_bit, cluster, store)


# F14


class DeadlyWork:
    """The work of a sweep in which one point kills its process; it travels unchanged."""

    def __init__(self, work):
        self.work, self.on_error = work, work.on_error
        self.allocate = work.allocate

    @property
    def portable(self):
        return Portable(type(self), self.work.portable)

    def compute(self, part, arrays, pieces=1, skip=()):
        deadly = part.slices["x"].start <= 23 < part.slices["x"].stop and not skip
        if deadly and 0 in range(*part.slices["y"].indices(13)):
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work.compute(part, arrays, pieces, skip)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signals")
@pytest.mark.parametrize("on_error", ["raise", "mask"])
def test_a_point_that_kills_its_worker_is_found_and_the_others_finish(
    on_error, cluster, store, monkeypatch
):
    from gradsweep.planning.plan import Plan

    original = Plan._work
    monkeypatch.setattr(Plan, "_work", lambda self, how: DeadlyWork(original(self, how)))
    monkeypatch.setattr(destination, "STORED_PART_BYTES", 2**10)
    monkeypatch.setattr(destination, "TASK_PART_BYTES", 2**10)
    sweep = gs.Sweep(x=np.linspace(0, 1, 31), y=np.linspace(1, 2, 13), z=1.0)
    expected = gs.gradient(wave, sweep)
    cluster.scheduler.allowed_failures = 0  # each death counts; the default needs four
    with distributed.Client(cluster) as client:
        run = gs.plan(
            gs.gradient, wave, sweep, store="x.zarr", scheduler=client, on_error=on_error
        ).run
        if on_error == "raise":
            with pytest.raises(ClusterError, match=r"\(x 23:24, y 0:1\) kills the worker"):
                run()
            assert len(store.recorded) == len(store.layout.partition) - 1
            return
        with pytest.warns(GradsweepWarning, match="1 point could not be computed"):
            found = run()
    is_lost = np.isnan(found["dwave_dx"])
    assert is_lost[23, 0] and np.count_nonzero(is_lost) == 1
    np.testing.assert_array_equal(found["dwave_dx"][~is_lost], expected.dwave_dx.values[~is_lost])


def test_control_without_a_search_the_deadly_point_is_not_found(
    cluster, store, monkeypatch, no_second_attempts
):
    must_fail(
        test_a_point_that_kills_its_worker_is_found_and_the_others_finish,
        "raise",
        cluster,
        store,
        monkeypatch,
    )


# F16


def test_a_task_run_twice_is_a_task_run_once(tmp_path):
    store = FolderStore(tmp_path / "twice")
    plan = gs.plan(gs.gradient, wave, grid(), progress=True)
    store.begin(plan.layout)
    work = plan._work("raise")
    for part in plan.partition:
        for _ in range(2):
            arrays = work.allocate(part, [])
            work.compute(part, arrays)
            store.write(part, arrays)
    expected = gs.gradient(wave, grid())
    for name, values in store.finish().items():
        np.testing.assert_array_equal(values, expected[name])


# F17


class Portable:
    def __init__(self, kind, portable):
        self.kind, self.portable = kind, portable

    def open(self):
        return self.kind(self.portable.open())


class HungryWork(DeadlyWork):
    """Work of which a whole part takes more memory than there is."""

    def compute(self, part, arrays, pieces=1, skip=()):
        if pieces < 4:
            raise MemoryError("not that much")
        return self.work.compute(part, arrays, pieces, skip)


def test_a_part_too_large_for_a_worker_is_computed_in_pieces(bare_cluster, store, monkeypatch):
    from gradsweep.planning.plan import Plan

    original = Plan._work
    monkeypatch.setattr(Plan, "_work", lambda self, how: HungryWork(original(self, how)))
    with distributed.Client(bare_cluster) as client:
        found = gs.gradient(wave, grid(), store="x.zarr", scheduler=client)
    np.testing.assert_array_equal(found["dwave_dy"], gs.gradient(wave, grid()).dwave_dy)


def test_control_a_part_that_is_not_cut_stays_too_large(bare_cluster, store, monkeypatch):
    monkeypatch.setattr(dask, "_MOST_PIECES", 1)
    with pytest.raises(MemoryError):
        test_a_part_too_large_for_a_worker_is_computed_in_pieces(bare_cluster, store, monkeypatch)


def test_a_closed_client_is_refused_in_words(bare_cluster):
    client = distributed.Client(bare_cluster, set_as_default=False)
    client.close()
    with pytest.raises(ClusterError, match="a Client that is closed"):
        gs.gradient(wave, grid(), reduce="mean", scheduler=client)


@pytest.mark.torch
def test_an_exception_on_a_worker_says_what_was_computed(cluster, store):
    pytest.importorskip("torch")

    def refuses(x):
        if x.ndim == 0 and float(x) > 2.5:
            raise ValueError("too large")
        return x**2

    options = {"engine": "loop", "framework": "torch", "store": "results.zarr"}
    with (
        distributed.Client(cluster, set_as_default=False) as client,
        pytest.raises(ValueError, match="too large") as refused,
    ):
        gs.gradient(refuses, gs.Sweep(x=[1.0, 2.0, 3.0]), scheduler=client, **options)
    assert any("A worker was computing" in note for note in refused.value.__notes__)


def test_a_relative_path_is_the_callers_own(bare_cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with distributed.Client(bare_cluster, set_as_default=False) as client:
        found = gs.gradient(wave, grid(), store="results.zarr", scheduler=client)
    assert (tmp_path / "results.zarr").is_dir()
    np.testing.assert_array_equal(found.dwave_dx, gs.gradient(wave, grid()).dwave_dx)


def test_an_asynchronous_client_is_refused_in_words():
    class Asynchronous(distributed.Client):
        asynchronous = True

        def __init__(self):
            pass

        def __del__(self):
            pass

    with pytest.raises(ClusterError, match=r"asynchronous Client.*asyncio\.to_thread"):
        gs.gradient(lambda x: x**2, gs.Sweep(x=[1.0]), reduce="mean", scheduler=Asynchronous())
