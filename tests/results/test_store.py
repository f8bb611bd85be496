"""Stores: what readers of Zarr and NetCDF find, refusals, and the commands on a store."""

import itertools
import json
import os
import pickle
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray

from gradsweep.errors import MissingPackage, StoreError
from gradsweep.request.partition import Partition
from gradsweep.results.layout import Layout, Variable
from gradsweep.results.stores.zarr import ZarrStore, opening, store, verify
from tests.support.stores import check_values
from tests.support.storing import (
    COORDINATES,
    FULL,
    PARTITION,
    RUN,
    SIGMA,
    VARIABLES,
    complete,
    compute,
    contents,
    layout,
    write_all,
)

zarr = pytest.importorskip("zarr")


# ---- what readers find


@pytest.mark.parametrize("consolidated", [True, False])
def test_a_store_opens_in_plain_xarray_with_labels_units_and_dtypes(path, consolidated):
    complete(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_values(xarray.open_zarr(path, consolidated=consolidated))


def test_a_store_is_listed_by_zarr_without_a_warning(path):
    complete(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group = zarr.open_group(path, mode="r", use_consolidated=False)
        names = {name for name, _ in group.arrays()}
        assert dict(group.members(max_depth=None)).keys() >= names
    assert names == {variable.name for variable in VARIABLES} | COORDINATES.keys()


def test_metadata_is_what_zarr_itself_writes(path, tmp_path):
    complete(path)
    for name, dtype in {"delta": "float64", "is_exercised": "bool", "vega": "float32"}.items():
        ours = json.loads((path / name / "zarr.json").read_text())
        zarr.create_array(
            tmp_path / "theirs.zarr",
            name=name,
            shape=ours["shape"],
            chunks=ours["chunk_grid"]["configuration"]["chunk_shape"],
            dtype=dtype,
            fill_value=False if dtype == "bool" else np.nan,
            compressors=zarr.codecs.ZstdCodec(level=1, checksum=True),
            dimension_names=ours["dimension_names"],
            attributes=ours["attributes"],
        )
        assert json.loads((tmp_path / "theirs.zarr" / name / "zarr.json").read_text()) == ours


def test_every_chunk_is_the_block_of_one_part(path):
    complete(path)
    array = zarr.open_array(path / "delta", mode="r")
    assert array.chunks == (2, 3)
    assert zarr.open_array(path / "vega", mode="r").chunks == (3, 4)
    assert zarr.open_array(path / "cross", mode="r").chunks == (2, 3, 2)
    # 6 x 3 parts; the one whose numbers are all NaN, Zarr's fill value, has its file too.
    assert sum(key.startswith("delta/c/") for key in contents(path)) == 18


def test_the_dataset_comes_back_lazily(path):
    dataset = complete(path)
    assert dataset.delta.chunks == ((2,) * 5 + (1,), (3, 3, 1))
    check_values(dataset)
    assert dataset.delta.sel(S=60, sigma=SIGMA[2]).values == FULL[0][1, 2]


def test_without_dask_the_dataset_is_lazy_too(path, monkeypatch):
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: None)
    dataset = complete(path)
    assert not dataset.delta.variable._in_memory and dataset.delta.chunks is None
    check_values(dataset)


def test_a_long_coordinate_stays_on_disk_without_an_index(path, monkeypatch):
    monkeypatch.setattr(opening, "_LONGEST_INDEX", 8)
    dataset = complete(path)
    assert set(dataset.xindexes) == {"sigma", "q_0"} and "S" in dataset.coords
    assert not dataset.S.variable._in_memory
    check_values(dataset)
    assert dataset.set_xindex("S").delta.sel(S=60, sigma=SIGMA[0]).values == FULL[0][1, 0]


def test_several_threads_write_the_bytes_of_one(path, tmp_path):
    complete(path)
    other = ZarrStore(tmp_path / "threads.zarr")
    write_all(other, n_threads=8)
    other.finish()
    assert contents(tmp_path / "threads.zarr") == contents(path)


def test_a_worker_writes_chunks_and_another_records_them(path, tmp_path):
    complete(tmp_path / "one.zarr")
    of_client = ZarrStore(path)
    of_client.begin(layout())
    of_worker = pickle.loads(pickle.dumps(of_client.writer))
    for part in PARTITION:
        of_client.record(part, of_worker.write(part, compute(part)))
    check_values(of_client.finish())
    assert contents(path) == contents(tmp_path / "one.zarr")


class Squares:
    """A coordinate that is never whole in memory."""

    shape, dtype = (11,), np.dtype("float64")

    def __init__(self):
        self.longest = 0

    def __getitem__(self, key):
        (rows,) = key
        self.longest = max(self.longest, rows.stop - rows.start)
        return np.arange(rows.start, rows.stop, dtype=float) ** 2


def test_a_lazy_coordinate_is_written_piece_by_piece(path):
    squares = Squares()
    one = ZarrStore(path)
    write_all(one, layout(coordinates={**COORDINATES, "S": (("S",), squares, {})}))
    np.testing.assert_array_equal(one.finish().S, np.arange(11.0) ** 2)
    assert squares.longest == 2


def coordinate(values: np.ndarray) -> Layout:
    axes = {"i": len(values)}
    variable = Variable("y", ("i",), 1, values.shape, "float64", {}, 0)
    return Layout(Partition(axes, {"i": 2}), (variable,), {"i": (("i",), values, {})}, {}, {})


def write_ones(path: Path, of: Layout) -> xarray.Dataset:
    one = ZarrStore(path)
    one.begin(of)
    for part in of.partition:
        one.write(part, [np.ones(tuple(part.lengths.values()))])
    return one.finish()


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, -2, 3], dtype=np.int16),
        np.array([0, 2**64 - 1, 3], dtype=np.uint64),
        np.array([1.5, np.inf, -0.0], dtype=np.float32),
        np.array([1 + 2j, 3, np.nan], dtype=complex),
        np.array([True, False, True]),
        np.array([3.0, 1.0, 2.0], dtype=">f8"),
        np.array(["2020-01-01T12:00:01", "1700-05-01", "NaT"], dtype="datetime64[s]"),
        np.array([1, 2, 10**15], dtype="timedelta64[ns]"),
        np.array(["a", "", "日本"]),
        np.array(["a", "bb", "c"], dtype=object),
    ],
    ids=lambda values: str(values.dtype),
)
def test_coordinates_of_every_kind_come_back(path, values):
    found = write_ones(path, coordinate(values)).i.values
    np.testing.assert_array_equal(found, values.astype(found.dtype))
    if values.dtype.kind not in "UO":
        assert found.dtype.kind == values.dtype.kind
        assert found.dtype.itemsize == values.dtype.itemsize


def test_a_coordinate_that_zarr_has_no_type_for_is_refused_before_anything_is_written(path):
    labels = np.array([("a", 1), ("b", 2)], dtype=object)[:, 0]
    labels[1] = frozenset()
    with pytest.raises(StoreError, match=r"coordinate 'i' has dtype object"):
        ZarrStore(path).begin(coordinate(labels))
    assert not path.exists()


@pytest.mark.parametrize("axes", [{"i": 0}, {"i": 0, "j": 3}, {}])
def test_an_empty_sweep_and_one_point_make_a_valid_store(path, axes):
    shape = tuple(axes.values())
    variable = Variable("y", tuple(axes), len(axes), shape, "float64", {}, 0)
    of = Layout(Partition(axes, dict.fromkeys(axes, 2)), (variable,), {}, {}, {})
    dataset = write_ones(path, of)
    assert dataset.y.shape == shape and (dataset.y == 1).all()
    assert verify(path).is_sound and verify(path).is_complete


def test_an_array_may_be_called_as_chunks_are(path):
    variable = Variable("c", ("c",), 1, (3,), "float64", {}, 0)
    of = Layout(Partition({"c": 3}, {"c": 2}), (variable,), {}, {}, {})
    assert (write_ones(path, of).c == 1).all() and verify(path).is_sound


# ---- refusals


@pytest.mark.parametrize("name", ["a/b", "..", "", ".gradsweep", "__x", "a\0", "zarr.json", "x\n"])
def test_a_name_that_is_no_folder_is_refused(path, name):
    with pytest.raises(StoreError, match="cannot be the name of an array"):
        ZarrStore(path).begin(layout(variables=(replace(VARIABLES[0], name=name),)))
    assert not path.exists()


def test_names_that_differ_in_case_alone_are_refused_where_they_are_one_folder(path, monkeypatch):
    two = (VARIABLES[0], replace(VARIABLES[0], name="Delta"))
    monkeypatch.setattr(store.os.path, "samefile", lambda one, other: True)
    with pytest.raises(StoreError, match="'delta' and 'Delta' are one folder"):
        ZarrStore(path).begin(layout(variables=two))
    monkeypatch.undo()
    write_all(ZarrStore(path, overwrite=True), layout(variables=two))  # two folders here


def test_arrays_of_another_shape_or_dtype_are_refused(path):
    one = ZarrStore(path)
    one.begin(layout())
    delta, *others = compute(PARTITION[4])
    with pytest.raises(ValueError, match=r"'delta' takes float64 of shape \(2, 3\).*\(2, 2\)"):
        one.write(PARTITION[4], [delta[:, :2], *others])
    with pytest.raises(ValueError, match=r"'delta' takes float64.*given float32"):
        one.write(PARTITION[4], [delta.astype(np.float32), *others])


def test_an_existing_store_is_refused_unless_it_is_resumed_or_overwritten(path):
    complete(path)
    before = contents(path)
    with pytest.raises(StoreError, match=r"resume=True.*overwrite=True"):
        ZarrStore(path).begin(layout())
    with pytest.raises(StoreError, match="give one of them"):
        ZarrStore(path, resume=True, overwrite=True)
    assert contents(path) == before


def test_resume_begins_where_there_is_nothing_and_keeps_what_is_complete(path):
    check_values(complete(path, resume=True))
    one = ZarrStore(path, resume=True)
    assert one.stored_partition() == PARTITION
    assert one.begin(layout()) == frozenset(range(len(PARTITION)))
    check_values(one.finish())
    assert ZarrStore(path).stored_partition() is None


def test_overwrite_replaces_a_store_and_leaves_nothing_of_it(path):
    complete(path)
    smaller = replace(VARIABLES[0], name="gamma")
    write_all(one := ZarrStore(path, overwrite=True), layout(variables=(smaller,)))
    assert set(one.finish().data_vars) == {"gamma"}
    assert not (path / "delta").exists() and verify(path).is_sound


@pytest.mark.parametrize("make", ["file", "folder", "plain zarr", "store and notes"])
def test_overwrite_never_deletes_what_is_no_store_of_ours(path, make):
    match make:
        case "file":
            path.write_text("mine")
        case "folder":
            path.mkdir()
            (path / "notes.txt").write_text("mine")
        case "plain zarr":
            xarray.Dataset({"x": ("i", [1.0])}).to_zarr(path, zarr_format=2)
        case "store and notes":
            complete(path)
            (path / "notes.txt").write_text("mine")
    before = {p: p.read_bytes() for p in [path, *path.rglob("*")] if p.is_file()}
    for options in ({"overwrite": True}, {"resume": True}, {}):
        if make == "store and notes" and "resume" in options:
            continue
        with pytest.raises(StoreError, match="left alone|is not overwritten|is there already"):
            ZarrStore(path, **options).begin(layout())
    after = {p: p.read_bytes() for p in [path, *path.rglob("*")] if p.is_file()}
    assert after.items() >= before.items()


@pytest.mark.parametrize("n_moved", range(8))
def test_a_kill_while_overwriting_is_overcome(path, monkeypatch, n_moved):
    class Killed(BaseException):
        pass

    complete(path)
    original, moved = os.replace, itertools.count()

    def replace_or_die(source, target):
        if next(moved) == n_moved:
            raise Killed
        original(source, target)

    one = ZarrStore(path, overwrite=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_or_die)
        with pytest.raises(Killed):
            one.begin(layout())
    # No part of the old run may count as finished when its data is gone. First the lock is moved
    # into place, then the mark that a store is being overwritten, then the ledger out of place.
    again = ZarrStore(path, resume=True)
    finished = again.begin(layout())
    assert len(finished) == (len(PARTITION) if n_moved <= 2 else 0)
    again.abandon()
    check_values(complete(path, resume=True))
    assert verify(path).is_sound and not list((path / RUN / "partial").iterdir())


def test_without_zarr_the_install_line_is_given(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingPackage, match=r"gradsweep\[zarr\]"):
        ZarrStore(path).begin(layout())
    assert not path.exists()


def test_a_folder_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(StoreError, match="there is no folder"):
        ZarrStore(tmp_path / "absent" / "greeks.zarr").begin(layout())
