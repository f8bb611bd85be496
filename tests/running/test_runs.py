"""Sweeps run part by part: the same numbers, within the memory allowed, with honest progress."""

import math
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.errors import ArgumentError, GradsweepWarning, MemoryLimitError, StoreError
from gradsweep.running import destination
from gradsweep.support import memory, progress
from gradsweep.support.memory import format_bytes, parse_bytes
from gradsweep.support.progress import Meter


@pytest.fixture
def small_parts(monkeypatch):
    """Cut sweeps into parts of a few hundred numbers."""
    monkeypatch.setattr(destination, "STORED_PART_BYTES", 2**12)
    monkeypatch.setattr(destination, "REDUCED_PART_BYTES", 2**12)


def wave(x, y, z):
    return x**2 * y + z * y**3


def grid():
    return gs.Sweep(x=gs.linspace(0.0, 1.0, 41), y=np.linspace(1, 2, 13), z=("k", [1.0, 5.0, 7.0]))


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_parts_give_the_very_bits_of_the_whole(engine, small_parts):
    sweep = grid()
    plan = gs.plan(gs.gradient, wave, sweep, engine=engine, progress=True)
    assert plan.partition.counts == (4, 2, 1)
    whole = gs.gradient(wave, sweep, engine=engine)
    xr.testing.assert_identical(plan.run(), whole)
    # ∂/∂x = 2 x y has no dim k, ∂/∂z = y³ neither x nor k.
    assert whole.dwave_dx.dims == ("x", "y") and whole.dwave_dz.dims == ("y",)


@pytest.mark.parametrize("quantity", [gs.hessian, gs.gradient])
def test_array_arguments_and_symmetric_blocks_come_back_whole(quantity, small_parts):
    points = np.random.default_rng(0).uniform(1, 2, size=(311, 3))
    sweep = gs.Sweep(q=("pose", points), a=np.linspace(1, 2, 5))

    def f(q, a):
        return a * q[0] * q[1] ** 2 + q[2] ** 3 * a**2

    xr.testing.assert_identical(quantity(f, sweep, progress=True), quantity(f, sweep))


@pytest.mark.torch
def test_every_part_follows_its_own_python_branches(small_parts):
    import torch

    def f(x, y):
        if x > y:
            return x**2 * y
        return torch.sin(y)

    sweep = gs.Sweep(x=np.linspace(0, 3, 50), y=np.linspace(0, 4, 40))
    found = gs.gradient(f, sweep, progress=True)
    x, y = np.meshgrid(sweep.arguments["x"].leaves[0].values, np.linspace(0, 4, 40), indexing="ij")
    np.testing.assert_allclose(found.df_dx, np.where(x > y, 2 * x * y, 0), atol=1e-15)
    np.testing.assert_allclose(found.df_dy, np.where(x > y, x**2, np.cos(y)), rtol=1e-14)


def test_an_empty_sweep_has_a_part_of_no_points():
    found = gs.gradient(wave, gs.Sweep(x=np.empty(0), y=1.0, z=2.0), progress=True)
    assert found.dwave_dx.shape == (0,)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"reduce": "mean"}, {"progress": True}])
def test_a_point_larger_than_a_part_should_be_is_a_part_of_its_own(options, monkeypatch):
    for kind in ("STORED", "REDUCED"):
        monkeypatch.setattr(destination, f"{kind}_PART_BYTES", 2**10)

    def flat(q):
        return sum(q[i] * q[j] * (12 * i + j + 1) for i in range(12) for j in range(12))

    sweep = gs.Sweep(q=("i", np.random.default_rng(0).normal(size=(3, 12))))
    plan = gs.plan(gs.hessian, flat, sweep, **options)  # 144 numbers of 8 bytes at each point
    assert plan.partition.block == {"i": 1}
    weights = np.arange(1.0, 145.0).reshape(12, 12)
    found = next(iter(plan.run().data_vars.values()))
    expected = np.broadcast_to(weights + weights.T, found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("reduce", ["mean", "variance", "quantile"])
def test_what_a_reduction_keeps_is_counted(reduce):
    # A state for each of 10**8 values of x, twice: for the partials in x and in y.
    sweep = gs.Sweep(x=gs.linspace(0, 1, 10**8), y=np.ones(2), z=1.0)
    with pytest.raises(MemoryLimitError, match="over this sweep, and there are"):
        gs.gradient(wave, sweep, wrt=["x", "y"], reduce=reduce, dims="y", memory_limit="4GB")
    gs.plan(gs.gradient, wave, sweep, wrt=["x", "y"], reduce=reduce, memory_limit="4GB")


def test_a_netcdf_file_is_held_in_memory(tmp_path):
    sweep = gs.Sweep(x=gs.linspace(0, 1, 10**5), y=gs.linspace(0, 1, 10**4), z=1.0)
    with pytest.raises(MemoryLimitError, match="8.0 GB over this sweep, and there are .* for it"):
        gs.plan(
            gs.gradient, wave, sweep, store=tmp_path / "w.nc", memory_limit="4GB", wrt=["x", "z"]
        )
    gs.plan(gs.gradient, wave, sweep, store=tmp_path / "w.zarr", memory_limit="4GB")


# -- points that cannot be computed


def test_results_without_a_swept_dim_are_computed_in_pieces_too(small_parts):
    def slope(x, y):
        return x**2 + 3 * y

    plan = gs.plan(gs.gradient, slope, gs.Sweep(x=np.ones(8), y=np.ones(8)), reduce="mean")
    work, part = plan._work("raise"), plan.partition[0]
    arrays = work.allocate(part, [])
    assert work.compute(part, arrays, pieces=4).n_masked == 0
    np.testing.assert_array_equal(arrays[0], np.full(8, 2.0))
    assert arrays[1].shape == () and arrays[1] == 3.0


@pytest.mark.torch
@pytest.mark.parametrize("points", [[-1.0, 1.0, 2.0], [1.0, -1.0, 2.0], [1.0, 2.0, -1.0]])
@pytest.mark.parametrize("options", [{}, {"reduce": "max"}])
def test_any_point_may_be_masked_the_first_too(points, options):
    pytest.importorskip("torch")

    def root(x):
        if x < 0:
            raise ValueError("negative")
        return x**2

    with pytest.warns(GradsweepWarning, match="1 point could not be computed"):
        found = gs.gradient(root, gs.Sweep(x=points), on_error="mask", **options)
    if not options:
        expected = [2 * x if x > 0 else np.nan for x in points]
        np.testing.assert_array_equal(found.droot_dx, expected)
    with pytest.raises(ValueError, match="negative"):
        gs.gradient(root, gs.Sweep(x=[-1.0, -2.0]), on_error="mask")


@pytest.mark.torch
@pytest.mark.parametrize("quantity", [gs.value, gs.gradient, gs.hessian, gs.jacobian])
@pytest.mark.parametrize("fails", [(3,), (0, 3), (1, 2), (0, 1, 2)])
def test_a_plain_loop_masks_the_points_that_fail_and_no_others(quantity, fails):
    points = np.array([0.5, 1.0, 2.0, 3.0])

    def squared(x):
        if float(x) in points[list(fails)]:
            raise ValueError("not this one")
        return x**2

    expected = {gs.value: points**2, gs.hessian: 2 + 0 * points}.get(quantity, 2 * points)
    expected[list(fails)] = np.nan
    options = {"engine": "loop", "framework": "torch", "on_error": "mask"}
    with pytest.warns(GradsweepWarning, match="could not be computed"):
        (found,) = quantity(squared, gs.Sweep(x=points), **options).values()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.jax
@pytest.mark.parametrize("y", [[-1.0, 1.0, 2.0], [1.0, -1.0, 2.0], [1.0, 2.0, -1.0]])
def test_a_masked_point_takes_no_result_along_that_does_not_depend_on_it(y):
    jax = pytest.importorskip("jax")

    def twice(values):
        if (np.asarray(values) < 0).any():
            raise ValueError
        return 2 * np.asarray(values)

    def f(x, y):
        shape = jax.ShapeDtypeStruct((), y.dtype)
        doubled = jax.pure_callback(twice, shape, y, vmap_method="sequential")
        return {"a": x**2, "b": doubled}

    with pytest.warns(GradsweepWarning, match="could not be computed"):
        found = gs.value(f, gs.Sweep(x=[1.0, 2.0], y=y), on_error="mask", framework="jax")
    np.testing.assert_array_equal(found.a, [1.0, 4.0])
    np.testing.assert_array_equal(found.b, [2 * v if v > 0 else np.nan for v in y])


def test_a_long_run_needs_no_stderr(small_parts, monkeypatch):
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", None)
    found = gs.value(wave, grid(), reduce="max")
    assert found.wave_max == 2.0 + 7 * 8.0


def test_units_of_dates_divide_as_the_days_they_count(tmp_path):
    pytest.importorskip("zarr")

    def height(t):
        return t**2

    height.units = "m"
    t = xr.DataArray([1.0, 2.0], dims="t", attrs={"units": "days since 2000-01-01"})
    found = gs.gradient(height, gs.Sweep(t=t), store=tmp_path / "height.zarr")
    assert found.dheight_dt.attrs["units"] == "m/days"
    np.testing.assert_array_equal(found.dheight_dt, [2.0, 4.0])
    assert found.t.dtype.kind == "M"  # xarray reads the coordinate as dates


def test_any_attribute_goes_into_a_netcdf_file_as_text_if_need_be(tmp_path):
    pytest.importorskip("netCDF4")
    attrs = {"reviewed": True, "by": None, "of": {"a": 1}, "units": "m", "range": [0.0, 1.0]}
    x = xr.DataArray([1.0, 2.0], dims="x", attrs=attrs)
    gs.gradient(lambda x: x**2, gs.Sweep(x=x), store=tmp_path / "f.nc")
    with xr.open_dataset(tmp_path / "f.nc") as found:
        assert found.x.attrs["reviewed"] == "True" and found.x.attrs["of"] == "{'a': 1}"
        assert found.x.attrs["units"] == "m" and list(found.x.attrs["range"]) == [0.0, 1.0]


def refuses_above(limit):
    def f(x, y):
        if x > limit:
            raise ValueError("too large")
        return x * x * y

    return f


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_masked_points_hold_nan_and_the_others_their_values(small_parts):
    pytest.importorskip("torch")
    sweep = gs.Sweep(x=("i", np.arange(20.0)), y=("i", np.arange(20.0)))
    with pytest.warns(GradsweepWarning, match="3 points could not be computed and hold NaN"):
        found = gs.gradient(refuses_above(16), sweep, framework="torch", on_error="mask").df_dy
    expected = np.where(np.arange(20.0) > 16, np.nan, 0)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    with pytest.raises(ValueError, match="too large"):
        gs.gradient(refuses_above(16), sweep, framework="torch")


# -- memory


@pytest.mark.parametrize(
    "written, n_bytes",
    [
        (5, 5),
        (np.float32(5.5), 5),
        ("2GB", 2 * 10**9),
        ("1.5 MiB", 1.5 * 2**20),
        ("7k", 7000),
        ("1e3", 1000),
        (math.inf, sys.maxsize),
        ("1e400GB", sys.maxsize),
    ],
)
def test_amounts_of_memory_are_read(written, n_bytes):
    assert parse_bytes(written) == n_bytes


@pytest.mark.parametrize("written", ["2XB", "GB", "", "-1GB", 0, -5, "1..2GB", [], math.nan, True])
def test_no_amount_of_memory_is_said_so(written):
    with pytest.raises(MemoryLimitError, match="memory_limit="):
        parse_bytes(written)


def test_amounts_of_memory_are_written_for_people():
    assert [format_bytes(n) for n in (0, 999, 40_000, 3 * 10**9)] == [
        "0 bytes", "999 bytes", "40.0 kB", "3.0 GB",
    ]  # fmt: skip


def test_results_that_do_not_fit_are_refused_with_both_figures():
    sweep = gs.Sweep(x=gs.linspace(0, 1, 10**6), y=gs.linspace(0, 1, 10**6), z=1.0)
    with pytest.raises(MemoryLimitError) as refusal:
        gs.gradient(wave, sweep)
    # Two partials over 10^12 points, the third along y alone, and both axes' values.
    assert "take 16.0 TB" in str(refusal.value) and "are free" in str(refusal.value)
    assert 'store="results.zarr"' in str(refusal.value) and 'reduce="mean"' in str(refusal.value)
    with pytest.raises(MemoryLimitError, match="memory_limit='1MB' leaves 0 bytes"):
        gs.gradient(wave, gs.Sweep(x=np.ones(10), y=1.0, z=1.0), memory_limit="1MB")


def test_a_grid_beyond_all_memory_is_refused_at_once(tmp_path):
    # 7**40 points: a list of its chunks would never end.
    names = [f"a{i}" for i in range(40)]
    sweep = gs.Sweep(**dict.fromkeys(names, np.arange(7.0)))

    def total(**values):
        return sum(values.values())

    with pytest.raises(MemoryLimitError, match="over this sweep take .* EB, and .* are free"):
        gs.value(total, sweep)
    planned = str(gs.plan(gs.value, total, sweep, store=tmp_path / "total.zarr"))
    assert "EB of float64" in planned and "a0: " in planned
    # A separable result stays small for any size of the grid.
    gradient = gs.gradient(total, sweep)
    assert all(values.shape == () and values == 1.0 for values in gradient.data_vars.values())


def test_a_cgroups_limit_counts(tmp_path, monkeypatch):
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    limit.write_text("1000000\n")
    used.write_text("400000\n")
    monkeypatch.setattr(memory, "_CGROUP_FILES", [(str(limit), str(used))])
    assert memory.budget_bytes(None) == 480_000
    limit.write_text("max\n")
    assert memory.budget_bytes(None) > 10**7


_MEASURE = """
import resource, sys
import numpy as np
import gradsweep as gs

def f(a, b, c, d, e):
    return a**2 * b + np.pi * c * d**3 * a + e * a**4

sweep = gs.Sweep(a=gs.linspace(1.0, 2.0, 10**7), b=1.0, c=2.0, d=3.0, e=4.0)
plan = gs.plan(gs.gradient, f, sweep, memory_limit="1GB")
with open("/proc/self/statm") as statm:
    held = int(statm.read().split()[1]) * resource.getpagesize()
dataset = plan.run()
assert dataset.sizes["a"] == 10**7
# Not ru_maxrss, which begins with what the parent process held.
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(held, 1024 * peak, plan.projected_bytes)
"""


def measured(script):
    """Return the bytes that a process held before, its peak, and the projection."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return map(int, done.stdout.split())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
def test_ten_million_points_stay_within_a_gigabyte_and_near_what_was_projected():
    held, peak, projected = measured(_MEASURE)
    assert peak <= 1.1e9
    assert 0.8 * projected <= peak - held <= 1.2 * projected


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
def test_control_without_a_limit_or_chunks_intermediates_take_more_than_a_gigabyte():
    whole = "import gradsweep.planning.planner as p\np.SCRATCH_BYTES = 2**60\n"
    unlimited = _MEASURE.replace('memory_limit="1GB"', 'memory_limit="1TB", engine="reference"')
    _, peak, _ = measured(whole + unlimited)
    assert peak > 1.1e9


# -- progress


def test_lines_of_progress_count_finished_points(capsys):
    with Meter("gradient of f", 1000, 200, wanted=True) as meter:
        meter.advance(300)
    assert "gradient of f: 500 of 1,000 points (50%)" in capsys.readouterr().err


def test_a_short_run_shows_nothing_unasked(capsys, small_parts):
    gs.gradient(wave, grid(), on_error="mask")
    gs.gradient(wave, grid(), on_error="mask", progress=False)
    assert capsys.readouterr().err == ""


def test_a_long_run_in_a_terminal_shows_a_bar(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(progress, "_is_interactive", lambda: True)
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0.0)
    with Meter("gradient of f", 1000, 0, wanted=None) as meter:
        meter.advance(250)
        time.sleep(0.3)
    assert "250 of 1,000 points" in capsys.readouterr().err


# -- options


@pytest.mark.parametrize(
    "options, message",
    [
        ({"resume": True}, "resume=True goes with store="),
        ({"overwrite": True}, "overwrite=True goes with store="),
        ({"dims": "x"}, r"dims=\.\.\. goes with reduce="),
        ({"store": "a.zarr", "reduce": "mean"}, "do not go together"),
        ({"on_error": "ignore"}, "it is 'raise' or 'mask'"),
        ({"scheduler": "tcp://nowhere:1"}, "a cluster needs store= or reduce="),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        gs.gradient(wave, grid(), **options)


def test_a_store_of_unknown_format_is_refused():
    with pytest.raises(StoreError, match="'.csv' is not .zarr or .nc"):
        gs.gradient(wave, grid(), store="results.csv")


def test_a_kernel_takes_no_store():
    with pytest.raises(ArgumentError, match="compile has no option 'store'"):
        gs.compile(gs.gradient, wave, grid(), store="results.zarr")


# -- runs that are interrupted


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="POSIX signals")
@pytest.mark.parametrize("number, error", [("SIGINT", KeyboardInterrupt), ("SIGTERM", SystemExit)])
def test_signals_end_a_run_in_order(number, error, small_parts):
    # A process that a shell starts in the background ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGTERM)
    # The first sweep traces and compiles for the second, which runs when the signal comes.
    short, long = (gs.Sweep(x=gs.linspace(0, 1, n), y=np.ones(13), z=1.0) for n in (10, 10**10))
    gs.gradient(wave, short, reduce="mean")
    main = threading.main_thread().ident
    threading.Timer(0.5, lambda: signal.pthread_kill(main, getattr(signal, number))).start()
    with pytest.raises(error) as ended:
        gs.gradient(wave, long, reduce="mean", progress=False)
    if error is SystemExit:
        assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_while_threads_begin_ends_the_run(small_parts, monkeypatch):
    """The first thread has begun work that would take hours."""
    submit, n_begun = ThreadPoolExecutor.submit, 0

    def interrupted(*arguments):
        nonlocal n_begun
        n_begun += 1
        if n_begun == 2:
            raise KeyboardInterrupt
        return submit(*arguments)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    long = gs.Sweep(x=gs.linspace(0, 1, 10**10), y=np.ones(13), z=1.0)
    with pytest.raises(KeyboardInterrupt):
        gs.gradient(wave, long, reduce="mean", progress=False)
    assert n_begun == 2


@pytest.mark.parametrize("options", [{"reduce": ["mean", "max"]}, {"progress": True}])
def test_the_plan_says_what_computing_and_storing_cost(options):
    text = str(gs.plan(gs.gradient, wave, grid(), engine="fused", **options))
    does = "reducing" if "reduce" in options else "storing"
    cost = re.search(rf"cost +about (\S+) .?s computing, (\S+) .?s {does}, of one thread", text)
    assert cost is not None, text
    assert ("mean, max over x, y, k" in text) == ("reduce" in options)
    assert float(cost[1]) > 0 and float(cost[2]) > 0


@pytest.mark.torch
def test_a_check_that_holds_everywhere_changes_no_number_of_parts(small_parts):
    import torch

    def scaled(x, y):
        return torch.sin(x) * 3 + y if x > 0 else y * torch.nan

    x = np.linspace(1, 2, 11)
    sweep = gs.Sweep(x=x, y=np.linspace(3, 4, 7))
    found = gs.gradient(scaled, sweep, progress=True, engine="fused")
    slope = np.broadcast_to(3 * np.cos(x)[:, None], (11, 7))
    np.testing.assert_allclose(found.dscaled_dx, slope, rtol=1e-15)
    np.testing.assert_array_equal(found.dscaled_dy, np.ones((11, 7)))


@pytest.mark.slow
@pytest.mark.torch
def test_threads_may_all_be_the_first_to_compute():
    program = """if True:
        import multiprocessing, threading
        import numpy as np, torch, gradsweep as gs
        x, start, found = np.linspace(1, 2, 50), threading.Barrier(8), [None] * 8
        def work(n):
            f = eval(f"lambda x: x * x + {n}.0")
            start.wait()
            (found[n],) = gs.value(f, gs.Sweep(x=x), engine="fused").data_vars.values()
        def first():
            threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
            [t.start() for t in threads], [t.join() for t in threads]
            assert all(np.allclose(found[n], x * x + n, rtol=1e-15, atol=0) for n in range(8))
        for _ in range(3):
            child = multiprocessing.get_context("fork").Process(target=first)
            child.start(), child.join()
            assert child.exitcode == 0
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
