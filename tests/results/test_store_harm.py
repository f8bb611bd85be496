"""Stores that mean harm, the commands, and NetCDF."""

import json
import os
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import xarray

from gradsweep.cli import main
from gradsweep.errors import NotAStore, StoreError
from gradsweep.results.stores.netcdf import NetCDFStore
from gradsweep.results.stores.zarr import ZarrStore, show, status, store, unlock, verify
from tests.support.stores import check_values
from tests.support.storing import (
    PARTITION,
    RUN,
    VARIABLES,
    complete,
    compute,
    contents,
    layout,
    write_all,
)

zarr = pytest.importorskip("zarr")


# ---- stores that mean harm


class Payload:
    """When it is unpickled, it leaves a file."""

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
