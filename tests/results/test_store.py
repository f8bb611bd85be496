"""Stores: what readers of Zarr and NetCDF find, what is refused, and the commands on a store."""

import itertools
import json
import os
import pickle
import subprocess
import sys
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray

from gradsweep.cli import main
from gradsweep.errors import MissingPackage, NotAStore, StoreError
from gradsweep.request.partition import Partition
from gradsweep.results.layout import Layout, Variable
from gradsweep.results.stores.netcdf import NetCDFStore
from gradsweep.results.stores.zarr import ZarrStore, opening, show, status, store, unlock, verify
from tests.support.storing import (
    COORDINATES,
    EXPIRY,
    FULL,
    PARTITION,
    SIGMA,
    VARIABLES,
    S,
    complete,
    compute,
    contents,
    layout,
    write_all,
)

zarr = pytest.importorskip("zarr")

RUN = Path(".gradsweep") / "run"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "greeks.zarr"


def check_values(dataset: xarray.Dataset) -> None:
    delta, vega, rho, is_exercised, cross = FULL
    for name, expected in {
        "delta": delta,
        "vega": vega,
        "rho": rho,
        "is_exercised": is_exercised,
        "cross": cross.transpose(0, 2, 1),
    }.items():
        np.testing.assert_array_equal(dataset[name], expected, strict=True)
    assert dataset.cross.dims == ("S", "b", "a") and dataset.rho.dims == ()
    np.testing.assert_array_equal(dataset.S, S, strict=True)
    np.testing.assert_array_equal(dataset.sigma, SIGMA, strict=True)
    np.testing.assert_array_equal(dataset.expiry.values.astype("datetime64[D]"), EXPIRY)
    assert dataset.q_0.values.tolist() == ["x", "y", "zz", "é"]
    assert set(dataset.coords) == set(COORDINATES) and dataset.K.item() == 100.0
    assert dataset.delta.attrs == {"units": "1", "long_name": "Δ"}
    assert dataset.S.attrs == {"units": "USD"} and dataset.K.attrs == {"units": "USD"}
    assert dataset.attrs == {"quantity": "gradient", "function": "price", "seed": 7}


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
    # 6 x 3 parts; the one whose numbers all are NaN, Zarr's fill value, has its file too.
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


# ---- what is refused


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
    # Nothing of the old run may count as finished beside what is gone. First the lock is moved to
    # its place, then the mark that a store is being overwritten, then the ledger out of it.
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


# ---- stores that mean harm


class Payload:
    """Unpickled, it leaves a file."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


def record(text: bytes) -> bytes:
    """Write a ledger line whose checksum is right."""
    return b'{"crc32":"%08x",' % zlib.crc32(rest := text[1:] + b"\n") + rest


def edit(file: Path, **changes) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def edit_run(path: Path, change) -> None:
    """Change the ledger's first records, checksums and all."""
    file = path / RUN / "ledger.jsonl"
    first, _, *rest = file.read_bytes().splitlines(keepends=True)
    run = {k: v for k, v in json.loads(first).items() if k != "crc32"}
    change(run)
    line = record(json.dumps(run).encode())
    file.write_bytes(line + line + b"".join(rest))


def pickled_codec(path: Path, payload: bytes) -> None:
    codec = {"name": "numcodecs.pickle", "configuration": {"protocol": 4}}
    edit(path / "delta/zarr.json", codecs=[codec])
    (path / "delta/c/0/0").write_bytes(payload)


def object_dtype(path: Path, payload: bytes) -> None:
    edit(path / "delta/zarr.json", data_type={"name": "object", "configuration": {}})
    (path / "delta/c/0/0").write_bytes(payload)


def second_version(path: Path, payload: bytes) -> None:
    (path / "delta/zarr.json").unlink()
    (path / "delta/.zarray").write_text(
        json.dumps(
            {
                "zarr_format": 2,
                "shape": [1],
                "chunks": [1],
                "dtype": "|O",
                "fill_value": None,
                "order": "C",
                "compressor": None,
                "filters": [{"id": "pickle", "protocol": 4}],
            }
        )
    )
    (path / "delta/0").write_bytes(payload)


def hidden_array(path: Path, payload: bytes) -> None:
    codec = {"name": "numcodecs.pickle", "configuration": {}}
    (path / "extra/c").mkdir(parents=True)
    document = json.loads((path / "delta/zarr.json").read_text())
    (path / "extra/zarr.json").write_text(json.dumps({**document, "codecs": [codec]}))
    root = json.loads((path / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"]["extra"] = {**document, "codecs": [codec]}
    (path / "zarr.json").write_text(json.dumps(root))
    (path / "extra/c/0").write_bytes(payload)


def climbing_name(path: Path, payload: bytes) -> None:
    edit_run(path, lambda run: run["arrays"][5].update(name="../../owned"))


def link_out(path: Path, payload: bytes) -> None:
    outside = path.parent / "outside"
    outside.mkdir()
    (outside / "zarr.json").write_bytes((path / "delta/zarr.json").read_bytes())
    os.rename(path / "delta", path.parent / "moved")
    os.symlink(outside, path / "delta")


def giant_shape(path: Path, payload: bytes) -> None:
    def grow(run):
        run["axes"].update(S=2**50)
        run["block"].update(S=2**50)
        for array in run["arrays"]:
            lengths = zip(array["dims"], array["shape"])
            array["shape"] = [2**50 if dim == "S" else length for dim, length in lengths]

    edit_run(path, grow)


def json_bomb(path: Path, payload: bytes) -> None:
    with open(path / RUN / "ledger.jsonl", "ab") as file:
        file.write(record(b'{"kind":"part","part":0,"chunks":' + b'{"a":' * 10**6))


def long_number(path: Path, payload: bytes) -> None:
    with open(path / RUN / "ledger.jsonl", "ab") as file:
        file.write(record(b'{"kind":"part","part":' + b"9" * 10**6 + b"}"))


def pipe_for_ledger(path: Path, payload: bytes) -> None:
    (path / RUN / "ledger.jsonl").unlink()
    os.mkfifo(path / RUN / "ledger.jsonl")


def pickle_for_ledger(path: Path, payload: bytes) -> None:
    (path / RUN / "ledger.jsonl").write_bytes(payload + b"\n")


HARM = [
    pickled_codec,
    object_dtype,
    second_version,
    hidden_array,
    climbing_name,
    link_out,
    giant_shape,
    json_bomb,
    long_number,
    pipe_for_ledger,
    pickle_for_ledger,
]


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_a_store_that_means_harm_is_refused_and_nothing_runs(path, harm, capsys):
    complete(path)
    owned = path.parent / "owned"
    harm(path, pickle.dumps(Payload(owned)))
    before = {str(p) for p in path.parent.rglob("*") if path not in p.parents}
    with pytest.raises(StoreError):
        show(path)
    assert main(["show", str(path)]) == 1
    assert main(["verify", str(path)]) == 1
    with pytest.raises(StoreError):
        ZarrStore(path, resume=True).begin(layout())
    main(["verify", str(path), "--repair"])
    main(["unlock", str(path), "--force"])
    assert not owned.exists()
    assert {str(p) for p in path.parent.rglob("*") if path not in p.parents} == before
    assert "Traceback" not in capsys.readouterr().err


def test_control_the_payload_works(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "owned")))
    assert (tmp_path / "owned").exists()


def test_control_an_honest_store_passes_what_refuses_the_others(path, capsys):
    complete(path)
    edit_run(path, lambda run: None)
    edit(path / "delta/zarr.json")
    show(path)
    ZarrStore(path, resume=True).begin(layout())


def test_text_of_a_store_cannot_write_to_the_terminal_anything_but_itself(path):
    write_all(ZarrStore(path), layout(fingerprint={"function": "\x1b[2Jprice\n"}))
    assert "\x1b" not in str(show(path)) and r"\x1b[2Jprice\n" in str(show(path))


# ---- the commands


def test_show_tells_what_is_stored_how_far_and_by_whom(path, capsys):
    one = ZarrStore(path)
    one.begin(layout())
    for number in (0, 1, 2, 7):
        one.write(PARTITION[number], compute(PARTITION[number]))
    assert main(["show", str(path), "--parts"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for said in (
        "S: 11 x sigma: 7",
        "4 of 18 parts (22.2%)",
        "0-2, 7",
        "price 5f1c",
        f"process {os.getpid()} on",
        "(alive)",
        "variable delta (S: 11, sigma: 7) float64",
        "coordinate expiry (S: 11) int64",
        "finished part 7 (S 4:6, sigma 3:6)",
        "missing part 8 (S 4:6, sigma 6:7)",
    ):
        assert said in text
    summary = show(path)
    stored = sum(
        len(data)
        for key, data in contents(path).items()
        if "/c" in key and key.split("/")[0] in {variable.name for variable in VARIABLES}
    )
    assert summary.n_bytes == stored and not summary.is_complete
    assert [s for _, s in status(path)].count("finished") == 4


def test_verify_exits_with_1_for_damage_and_for_what_is_not_finished(path, capsys):
    one = ZarrStore(path)
    one.begin(layout())
    one.write(PARTITION[0], compute(PARTITION[0]))
    one.abandon()
    assert main(["verify", str(path)]) == 1
    assert "sound, not finished" in capsys.readouterr().out
    complete(path, resume=True)
    assert main(["verify", str(path)]) == 0
    assert "sound and complete" in capsys.readouterr().out
    (path / "delta/c/0/1").unlink()
    assert main(["verify", str(path)]) == 1
    assert "delta/c/0/1 of part 1 (S 0:2, sigma 3:6): missing" in capsys.readouterr().out
    assert main(["verify", str(path), "--repair"]) == 1
    complete(path, resume=True)
    assert main(["verify", str(path)]) == 0


def test_unlock_says_who_held_the_lock(path, capsys):
    one = ZarrStore(path)
    one.begin(layout())
    assert main(["unlock", str(path)]) == 1
    assert "is running" in capsys.readouterr().err
    one.abandon()
    assert main(["unlock", str(path)]) == 0


@pytest.mark.parametrize("command", ["show", "verify", "unlock"])
def test_what_is_no_store_is_a_usage_error(tmp_path, command, capsys):
    (tmp_path / "notes.txt").touch()
    for name in ("absent.zarr", ".", "notes.txt"):
        assert main([command, str(tmp_path / name)]) == 2
    assert main([command]) == 2
    assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(NotAStore):
        {"show": show, "verify": verify, "unlock": unlock}[command](tmp_path)


def test_commands_on_a_store_load_no_framework_no_zarr_and_no_pickle(path):
    complete(path)
    program = """if True:
        import pickle, sys
        from gradsweep.cli import main
        def load(*arguments, **options): raise AssertionError("a pickle is loaded")
        pickle.load = pickle.loads = pickle.Unpickler = load
        assert [main([c, sys.argv[1]]) for c in ("show", "verify", "unlock")] == [0, 0, 0]
        loaded = {"torch", "jax", "zarr", "numcodecs", "xarray", "dask"} & sys.modules.keys()
        assert not loaded, loaded
    """
    source = Path(store.__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# ---- NetCDF


def write_netcdf(one: NetCDFStore) -> xarray.Dataset:
    write_all(one)  # type: ignore[arg-type]
    return one.finish()


def test_a_netcdf_file_has_everything_and_was_never_there_in_part(tmp_path):
    pytest.importorskip("netCDF4")
    path = tmp_path / "greeks.nc"
    one = NetCDFStore(path)
    write_all(one)
    assert not path.exists()
    check_values(one.finish())
    with xarray.open_dataset(path) as found:
        check_values(found)
    assert [p.name for p in tmp_path.iterdir()] == ["greeks.nc"]


def test_a_netcdf_file_is_replaced_only_when_asked_to_and_whole(tmp_path, monkeypatch):
    pytest.importorskip("netCDF4")
    path = tmp_path / "greeks.nc"
    path.write_text("mine")
    with pytest.raises(StoreError, match="overwrite=True"):
        NetCDFStore(path).begin(layout())
    one = NetCDFStore(path, overwrite=True)
    write_all(one)
    one.abandon()
    assert path.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space")))
        with pytest.raises(StoreError, match="No space"):
            write_netcdf(NetCDFStore(path, overwrite=True))
    assert path.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    check_values(write_netcdf(NetCDFStore(path, overwrite=True)))


def test_a_netcdf_file_that_cannot_be_written_fails_before_anything_is_computed(tmp_path):
    pytest.importorskip("netCDF4")
    with pytest.raises(StoreError, match="could not write"):
        NetCDFStore(tmp_path / "absent" / "greeks.nc").begin(layout())
    with pytest.raises(StoreError, match="It is no file"):
        NetCDFStore(tmp_path, overwrite=True).begin(layout())


def test_what_outlives_its_run_writes_nothing_any_more(path):
    store = ZarrStore(path)
    store.begin(layout())
    late, part = store.writer, PARTITION[4]
    late.write(part, compute(part))
    store.abandon()
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    with pytest.raises(StoreError, match="could not write chunk"):
        late.write(PARTITION[5], compute(PARTITION[5]))
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before


def test_resuming_computes_chunks_again_that_are_gone_or_truncated(tmp_path):
    whole, mended = tmp_path / "whole.zarr", tmp_path / "mended.zarr"
    complete(whole)
    complete(mended)
    chunks = sorted(path for path in (mended / "delta" / "c").rglob("*") if path.is_file())
    chunks[0].unlink()
    chunks[-1].write_bytes(chunks[-1].read_bytes()[:-5])
    complete(mended, resume=True)
    assert verify(mended).is_sound and verify(mended).is_complete
    of_arrays = {key for key in contents(whole) if "/c/" in key}
    assert len(of_arrays) > 10
    assert {k: contents(mended)[k] for k in of_arrays} == {k: contents(whole)[k] for k in of_arrays}
