"""Damage, the ledger, other writers, and the same run or another."""

import contextlib
import json
import os
import random
import uuid
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradsweep.errors import StoreError
from gradsweep.request.partition import Part, Partition
from gradsweep.results.stores.zarr import (
    ZarrStore,
    disk,
    ledger,
    store,
    unlock,
    verification,
    verify,
)
from gradsweep.results.stores.zarr.arrays import Run
from gradsweep.results.stores.zarr.locking.lock import Lock
from tests.support.controls import must_fail
from tests.support.stores import resume
from tests.support.storing import (
    COORDINATES,
    FINGERPRINT,
    FULL,
    PARTITION,
    RUN,
    VARIABLES,
    complete,
    compute,
    contents,
    layout,
)

pytest.importorskip("zarr")
# test_takeover covers the takeover of a lock.
pytestmark = pytest.mark.filterwarnings("ignore:took over the lock")


# ---- damage


@pytest.mark.parametrize(
    "harm, problem",
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-3]), "truncated"),
        (lambda file: file.write_bytes(b""), "truncated"),
        (lambda file: file.write_bytes(file.read_bytes() + b"\0"), "too long"),
        (lambda file: file.unlink(), "missing"),
        (lambda file: file.write_bytes(bytes(len(file.read_bytes()))), "changed"),
    ],
)
@pytest.mark.parametrize(
    "key, parts",
    [
        ("delta/c/2/1", (7,)),
        ("is_exercised/c/1", (3,)),
        ("rho/c", (0,)),
        ("S/c/1", ()),
        ("zarr.json", ()),
        ("vega/zarr.json", ()),
    ],
)
def test_damage_is_found_and_after_repair_resumed_to_the_same_bytes(
    path, key, parts, harm, problem, undisturbed
):
    complete(path)
    harm(path / key)
    report = verify(path)
    assert not report.is_sound and report.damaged_parts == parts
    (damage,) = report.damages
    assert damage.key == key and problem in damage.problem and key in str(report)
    assert not verify(path).is_sound  # looking repairs nothing
    assert verify(path, repair=True).is_repaired
    store = ZarrStore(path, resume=True)
    assert store.begin(layout()) == frozenset(range(len(PARTITION))) - set(parts)
    store.abandon()
    assert resume(path) == undisturbed
    assert verify(path).is_sound and verify(path).is_complete


def test_control_without_stamps_a_truncated_chunk_is_not_found(path, undisturbed, monkeypatch):
    monkeypatch.setattr(verification, "_problem", lambda file, stamp: "")
    must_fail(
        test_damage_is_found_and_after_repair_resumed_to_the_same_bytes,
        path,
        "delta/c/2/1",
        (7,),
        lambda file: file.write_bytes(file.read_bytes()[:-3]),
        "truncated",
        undisturbed,
    )


def flips(path: Path, seed: int, n: int):
    """Yield after flipping each of n random bits of the store's files, then flip it back."""
    files = [path / key for key in contents(path)]
    choose = random.Random(seed)
    for _ in range(n):
        file = choose.choice(files)
        intact = file.read_bytes()
        data, bit = bytearray(intact), choose.randrange(8 * len(intact))
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        yield str(file.relative_to(path))
        file.write_bytes(intact)


@pytest.mark.slow
def test_200_flipped_bits_are_all_found(path):
    complete(path)
    for key in flips(path, 0, 200):
        assert [damage.key for damage in verify(path).damages] == [key]
    assert verify(path).is_sound


@pytest.mark.slow
def test_control_without_checksums_flipped_bits_are_not_found(path, monkeypatch):
    complete(path)
    monkeypatch.setattr(
        verification, "_problem", lambda file, stamp: "" if file.stat().st_size else "missing"
    )
    n_found = sum(not verify(path).is_sound for _ in flips(path, 0, 200))
    assert n_found < 100


def n_flips_that_change_numbers_unnoticed(path: Path) -> int:
    import xarray

    n_unnoticed = 0
    for key in flips(path, 1, 200):
        if not key.startswith("delta/c"):
            continue
        try:
            found = xarray.open_zarr(path, chunks=None).delta.values
        except Exception:
            continue
        n_unnoticed += not np.array_equal(found, FULL[0], equal_nan=True)
    return n_unnoticed


@pytest.mark.slow
def test_no_reader_is_given_flipped_bits_as_numbers_and_plain_zarr_gives_them(path, tmp_path):
    import xarray

    complete(path)
    assert n_flips_that_change_numbers_unnoticed(path) == 0
    # The control: the same numbers, as xarray and zarr write them by default.
    plain = tmp_path / "plain.zarr"
    xarray.Dataset({"delta": (("S", "sigma"), FULL[0])}).to_zarr(plain, zarr_format=3)
    assert n_flips_that_change_numbers_unnoticed(plain) > 50


def test_stray_files_are_ignored_and_then_cleaned(path, undisturbed):
    complete(path)
    strays = [path / "delta/c/1/.1.6ae1.partial", path / RUN / "partial" / "77.partial"]
    for stray in strays:
        stray.write_bytes(b"half a chu")
    report = verify(path)
    assert report.is_sound and report.n_strays == 2 and "2 unfinished files" in str(report)
    assert resume(path) == undisturbed
    assert not any(stray.exists() for stray in strays)


def test_control_without_cleaning_stray_files_stay(path, undisturbed, monkeypatch):
    monkeypatch.setattr(store, "_clean", lambda folder, scratch: None)
    must_fail(test_stray_files_are_ignored_and_then_cleaned, path, undisturbed)


# ---- the ledger


def test_a_flipped_bit_of_the_ledger_is_refused_or_costs_the_last_part(path):
    complete(path)
    file = path / RUN / "ledger.jsonl"
    intact, choose = file.read_bytes(), random.Random(2)
    for _ in range(200):
        data, bit = bytearray(intact), choose.randrange(8 * len(intact))
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        if bit // 8 == len(intact) - 1:
            assert verify(path).n_finished == len(PARTITION) - 1
        else:
            with pytest.raises(ledger.CorruptLedger, match=r"(?s)corrupt.*verify STORE --repair"):
                verify(path)


@pytest.mark.parametrize("line", [0, 1, 2, 5, 20])
def test_a_corrupt_ledger_is_refused_and_rebuilt(path, line, undisturbed):
    complete(path)
    file = path / RUN / "ledger.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"', b"'", 3)
    file.write_bytes(b"".join(lines))
    with pytest.raises(StoreError, match=rf"(?s)line {line + 1}\b.*verify STORE --repair"):
        ZarrStore(path, resume=True).begin(layout())
    report = verify(path, repair=True)
    assert report.n_records_lost == 1 and not report.is_sound
    assert (path / RUN / "ledger.jsonl.corrupt").read_bytes() == b"".join(lines)
    assert resume(path) == undisturbed
    assert verify(path).is_sound and verify(path).is_complete


def test_a_ledger_without_its_first_records_cannot_be_rebuilt(path, undisturbed):
    complete(path)
    file = path / RUN / "ledger.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[2:]))
    with pytest.raises(StoreError, match="overwrite=True"):
        verify(path, repair=True)
    complete(path, overwrite=True)
    assert contents(path) == undisturbed


def test_control_without_the_checksum_of_a_record_a_flip_is_believed(path, monkeypatch):
    complete(path)
    file = path / RUN / "ledger.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"part":17', b'"part":16'))
    with pytest.raises(ledger.CorruptLedger):
        verify(path)
    monkeypatch.setattr(ledger, "_record", lambda line: json.loads(line))
    assert verify(path).n_finished == len(PARTITION) - 1


# ---- others


def test_a_second_writer_is_refused_with_host_pid_and_since(path):
    first = ZarrStore(path)
    first.begin(layout())
    with pytest.raises(StoreError, match=rf"process {os.getpid()} on \S+, since 20\d\d-\S+ .*UTC"):
        ZarrStore(path, resume=True).begin(layout())
    with pytest.raises(StoreError, match="locked"):
        ZarrStore(path, overwrite=True).begin(layout())
    with pytest.raises(StoreError, match="locked"):
        verify(path, repair=True)
    with pytest.raises(StoreError, match="is running"):
        unlock(path, force=True)
    for part in PARTITION:
        first.write(part, compute(part))
    first.finish()
    ZarrStore(path, resume=True).begin(layout())


def test_control_without_the_lock_two_writers_are_not_noticed(path, monkeypatch):
    monkeypatch.setattr(Lock, "take", classmethod(lambda cls, *_: FreeLock(path)))
    ZarrStore(path).begin(layout())
    ZarrStore(path, resume=True).begin(layout())


class FreeLock:
    session = dict.fromkeys(("host", "pid", "since", "gradsweep"), "")
    taken_over = ""
    explaining = contextlib.nullcontext

    def __init__(self, folder):
        self.scratch = folder / RUN / "partial" / uuid.uuid4().hex
        self.scratch.mkdir(parents=True)

    def check(self):
        pass

    def release(self):
        pass


def test_a_lock_that_cannot_be_read_is_removed_by_force_alone(path):
    complete(path)
    (path / RUN / "lock").write_bytes(b"\0")
    with pytest.raises(StoreError, match="--force"):
        unlock(path)
    unlock(path, force=True)
    ZarrStore(path, resume=True).begin(layout())


def test_a_writer_whose_lock_was_taken_records_nothing_more(path):
    store = ZarrStore(path)
    store.begin(layout())
    os.unlink(path / RUN / "lock")
    other = ZarrStore(path, resume=True)
    other.begin(layout())
    with pytest.raises(StoreError, match="was taken from this run"):
        store.write(PARTITION[0], compute(PARTITION[0]))
    store.abandon()
    other.write(PARTITION[0], compute(PARTITION[0]))  # its own lock still exists


# ---- the same, and another, run


def test_a_part_written_twice_leaves_the_same_bytes(path, undisturbed):
    store = ZarrStore(path)
    store.begin(layout())
    for part in [*PARTITION, *PARTITION]:
        store.write(part, compute(part))
    store.finish()
    assert contents(path) == undisturbed and verify(path).n_finished == len(PARTITION)


def test_control_chunks_that_are_appended_to_are_not_the_same_twice(path, undisturbed, monkeypatch):
    def append(file, data, scratch):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as opened:
            opened.write(data)

    monkeypatch.setattr(disk, "_put_once", append)
    must_fail(test_a_part_written_twice_leaves_the_same_bytes, path, undisturbed)


def with_length(n: int) -> dict:
    """Return a layout in which S is shorter."""
    variables = tuple(
        replace(v, shape=tuple(n if d == "S" else s for d, s in zip(v.dims, v.shape)))
        for v in VARIABLES
    )
    coordinates = {
        name: (dims, values[:n] if dims == ("S",) else values, attrs)
        for name, (dims, values, attrs) in COORDINATES.items()
    }
    partition = Partition({"S": n, "sigma": 7}, {"S": 2, "sigma": 3})
    return {"partition": partition, "variables": variables, "coordinates": coordinates}


def with_block(n: int) -> dict:
    return {"partition": Partition(PARTITION.axes, {"S": n, "sigma": 3})}


@pytest.mark.parametrize(
    "changes, said",
    [
        (
            {"fingerprint": {**FINGERPRINT, "function": "price 0000"}},
            ["function: price 5f1c is stored, price 0000 is asked for"],
        ),
        (
            {"fingerprint": {**FINGERPRINT, "sweep": "S 12", "gradsweep": "0.2.0"}},
            ["sweep: S 11, sigma 7: 77ab is stored, S 12", "gradsweep: 0.1.0 is stored, 0.2.0"],
        ),
        (
            {"fingerprint": {**FINGERPRINT, "seed": "7"}},
            ["seed: nothing is stored, 7 is asked for"],
        ),
        (
            {"variables": (replace(VARIABLES[0], dtype="float32"), *VARIABLES[1:])},
            ["variable delta: float64 along (S, sigma)", "float32 along"],
        ),
        ({"variables": VARIABLES[1:]}, ["variable delta", "nothing is asked for"]),
        (with_length(9), ["axes: S 11, sigma 7 is stored, S 9, sigma 7 is asked for"]),
        (with_block(4), ["points in a part: S 2, sigma 3 is stored, S 4, sigma 3 is asked for"]),
    ],
)
def test_another_run_is_refused_with_the_difference_line_by_line(path, changes, said, undisturbed):
    complete(path)
    with pytest.raises(StoreError, match="cannot be continued") as caught:
        ZarrStore(path, resume=True).begin(layout(**changes))
    for line in said:
        assert line in str(caught.value)
    assert contents(path) == undisturbed
    ZarrStore(path, resume=True).begin(layout())  # and no lock is left


def test_control_a_run_that_is_not_compared_is_continued(path, undisturbed, monkeypatch):
    monkeypatch.setattr(Run, "difference", lambda self, other: [])
    changes = {"fingerprint": {**FINGERPRINT, "function": "price 0000"}}
    must_fail(
        test_another_run_is_refused_with_the_difference_line_by_line,
        path,
        changes,
        ["function"],
        undisturbed,
    )


def test_control_an_equal_run_is_continued_although_its_attributes_differ(path):
    complete(path)
    store = ZarrStore(path, resume=True)
    assert len(store.begin(layout(attrs={"host": "another"}))) == len(PARTITION)


def test_a_part_that_is_not_aligned_is_refused(path):
    store = ZarrStore(path)
    store.begin(layout())
    shifted = Part(0, {"S": slice(1, 3), "sigma": slice(0, 3)})
    with pytest.raises(ValueError, match=r"part 0 \(S 1:3, sigma 0:3\) is not aligned"):
        store.write(shifted, compute(shifted))


def test_stamps_are_those_of_the_bytes_on_disk(path):
    store = ZarrStore(path)
    store.begin(layout())
    for name, stamp in store.writer.write(PARTITION[0], compute(PARTITION[0])).items():
        (chunk,) = [f for f in (path / name / "c").rglob("*") if f.is_file()] or [path / name / "c"]
        assert stamp == (chunk.stat().st_size, f"{zlib.crc32(chunk.read_bytes()):08x}")
