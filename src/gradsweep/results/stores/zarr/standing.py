"""What a folder is, before anything is read from it or written to it.

A path enters, a `Standing` leaves. Nothing is opened and no link is followed.
"""

import enum
import os
from pathlib import Path

from gradsweep.results.stores.zarr.metadata import KEPT, RUN_FOLDER
from gradsweep.support.errors import NotAStore

__all__ = ["Standing", "is_place_of_ours", "require_store", "standing"]


class Standing(enum.Enum):
    """VACANT: absent, empty, or left by a run that was killed before it began. STORE: one of ours.
    OVERWRITTEN: one of ours, half deleted by a run that was killed. FOREIGN: anything else."""

    VACANT = enum.auto()
    STORE = enum.auto()
    OVERWRITTEN = enum.auto()
    FOREIGN = enum.auto()


def standing(folder: Path) -> Standing:
    """Tell what is at a path."""
    if not os.path.lexists(folder):
        return Standing.VACANT
    if not folder.is_dir():
        return Standing.FOREIGN
    kept, run = folder / KEPT, folder / RUN_FOLDER
    if os.path.lexists(kept):
        if kept.is_symlink() or run.is_symlink() or (run.exists() and not run.is_dir()):
            return Standing.FOREIGN
        if os.path.lexists(run / "ledger.jsonl"):
            return Standing.STORE
        if os.path.lexists(run / "overwritten"):
            return Standing.OVERWRITTEN
    others = {entry.name for entry in os.scandir(folder)} - {KEPT}
    return Standing.FOREIGN if others else Standing.VACANT


def is_place_of_ours(parts: tuple[str, ...]) -> bool:
    """Tell whether a file may stand in a store: metadata, a chunk, or a file in our own folder."""
    match parts:
        case ("zarr.json",) | (_, "zarr.json") | (_, "c") | (_, "c", *_) | (".gradsweep", *_):
            return True
    return parts[-1].endswith(".partial")


def require_store(path: str | os.PathLike[str]) -> Path:
    """Return a store's folder.

    Raises:
        NotAStore: when there is none.
    """
    folder = Path(path)
    if not os.path.lexists(folder):
        raise NotAStore(f"there is no store {str(folder)!r}.")
    match standing(folder):
        case Standing.STORE:
            return folder
        case Standing.OVERWRITTEN:
            raise NotAStore(
                f"{folder} was being overwritten when its run was killed; run again to begin anew."
            )
        case Standing.VACANT:
            raise NotAStore(f"nothing is stored in {folder} yet.")
        case _:
            raise NotAStore(
                f"{folder} is no store of gradsweep: it has no ledger. "
                "A plain Zarr store is opened with xarray.open_zarr."
            )
