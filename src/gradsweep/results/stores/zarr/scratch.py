"""The folder of a session, without which the session can do nothing.

    .gradsweep/run/partial/<token>/    the folder of the session that holds the lock by that token

Every change that a session makes to a store is a rename out of its own folder or into it: chunks,
metadata and the ledger are written there and moved out; removed files are moved in. So a session
that takes a store over ends the one before by taking its folder away. From then on the old session
can neither write nor remove, at whatever point it was stopped: its next step fails, since the
folder is gone.

To move the folder is not enough. A rename that has already looked up the folder goes on in it,
wherever the folder is by then. So the folder is emptied and deleted as well: in a deleted folder
nothing is found and nothing can be put. Only then has the session ended. The changes that it made
until then look as after any kill, and are treated so by the next session, which reads nothing
before.

Paths enter, counts leave. Knows nothing of holders.
"""

import errno
import os
import shutil
import time
from functools import partial
from pathlib import Path

from gradsweep.results.stores.zarr.disk import REMOVED, attempt, not_plain, take_out
from gradsweep.results.stores.zarr.metadata import RUN_FOLDER

__all__ = ["empty", "end", "make", "others", "scratch_of"]

_N_TRIES = 50


def scratch_of(folder: Path, token: str) -> Path:
    return folder / RUN_FOLDER / "partial" / token


def make(scratch: Path) -> None:
    """Make the folder of a session.

    Raises:
        StoreError: when it cannot be made, or when a link leads elsewhere.
    """
    if scratch.parent.is_symlink():
        raise not_plain(scratch.parent)
    attempt(lambda: scratch.mkdir(parents=True, exist_ok=True), f"write to {scratch.parent}")


def others(scratch: Path) -> list[Path]:
    """Return the other entries beside a session's folder: sessions, and files of killed runs."""
    found = attempt(lambda: list(scratch.parent.iterdir()), f"list {scratch.parent}")
    return [entry for entry in found if entry != scratch]


def end(session: Path, scratch: Path) -> int:
    """End another session, and return how many unfinished files it left.

    Args:
        session: its folder, which may be gone already.
        scratch: the folder of the session that ends it.
    """
    moved = take_out(session, scratch, f"end the session of {session}")
    if moved is None:
        return 0
    files = _names(moved) if moved.is_dir() and not moved.is_symlink() else [session.name]
    attempt(lambda: _delete(moved), f"delete {moved}")
    return sum(name.endswith(".partial") for name in files)


def empty(scratch: Path) -> None:
    """Delete the removed files and folders in the folder of a session."""
    for entry in scratch.glob(f"*{REMOVED}"):
        attempt(partial(_delete, entry), f"delete {entry}")


def _names(folder: Path) -> list[str]:
    return [name for _, _, names in os.walk(folder) for name in names]


def _delete(path: Path) -> None:
    n_left = _N_TRIES
    while os.path.lexists(path):
        n_left -= 1
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            # A file that was on its way into the folder has arrived by now, or has gone.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT) or not n_left:
                raise
            time.sleep(0.01)
