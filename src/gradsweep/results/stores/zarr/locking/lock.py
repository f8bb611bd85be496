"""One writer to a store at a time, and the next one where the last is gone.

    .gradsweep/run/lock                who holds the store
    .gradsweep/run/taking.<token>      who takes it over from the holder with that token

The process that links `lock` into place first has it: a link is atomic on local file systems and on
NFS, where flock is unreliable. The file outlives a process that is killed; the lock is then taken
over in these steps:

1. The holder is shown to be gone: by its process, by its lease, or because its session was ended
   (see `holder`, `lease` and `scratch`).
2. `taking.<its token>` is linked into place. That succeeds once, and a token never comes back, so
   only one of several processes goes on. If it is killed, the next takes over from it in turn, once
   both are shown to be gone.
3. The sessions of all holders so far are ended (see `scratch`): from here on none of them can write
   or release the lock.
4. The lock is read once more. It does not change before the next step: every process that could
   change it has been ended, or would have to end this one first.
5. `lock` is replaced by the new holder's own, and what others left is cleared away.

So a holder that was not gone but stopped, or whose lease ran out while its machine was suspended,
finds on waking that its session has ended. A lock is released by a rename into the session's
folder, so that a session that has ended cannot release another's lock.
"""

import contextlib
import errno
import os
import shutil
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

from gradsweep.results.stores.zarr import scratch as scratches
from gradsweep.results.stores.zarr.disk import attempt, put, take_out
from gradsweep.results.stores.zarr.locking.holder import Holder, forget, read_holder, this_process
from gradsweep.results.stores.zarr.locking.lease import Lease, Renewal, is_renewed
from gradsweep.results.stores.zarr.metadata import RUN_FOLDER
from gradsweep.results.stores.zarr.scratch import scratch_of
from gradsweep.results.stores.zarr.standing import Standing, standing
from gradsweep.support.errors import NotAStore, StoreError, warn

__all__ = ["Lock", "holder_of", "unlock"]


def _lock_path(folder: Path) -> Path:
    return folder / RUN_FOLDER / "lock"


def _claim_path(folder: Path, token: str) -> Path:
    return folder / RUN_FOLDER / f"taking.{token}"


def _chain(folder: Path) -> list[Holder]:
    """Return who holds a store, then who takes it over from that one, and so on.

    Raises:
        StoreError: when one of the files cannot be read.
    """
    found: dict[str, Holder] = {}
    path = _lock_path(folder)
    while (holder := read_holder(path)) is not None and holder.token not in found:
        found[holder.token] = holder
        path = _claim_path(folder, holder.token)
    return list(found.values())


def _tokens(chain: list[Holder]) -> list[str]:
    return [holder.token for holder in chain]


def _names(path: Path, holder: Holder) -> bool:
    """Whether a file names a holder, by the token of its lock."""
    found = read_holder(path)
    return found is not None and found.token == holder.token


def holder_of(folder: Path) -> Holder | None:
    """Return who holds a store, or is taking it over; None when nobody does.

    Raises:
        StoreError: when that cannot be read.
    """
    chain = _chain(folder)
    return chain[-1] if chain else None


class Lock:
    """The lock of a store, held until `release`.

    Attributes:
        holder: this process.
        scratch: the folder of the session that holds it.
        former: who held it before and did not release it; None where it was free.
        why: why the former holder counts as gone, such as "is gone".
        n_strays: how many unfinished files others had left.
    """

    def __init__(self, holder: Holder, folder: Path, renewal: Renewal):
        self.holder, self._folder, self._renewal = holder, folder, renewal
        self.scratch = scratch_of(folder, holder.token)
        self.former: Holder | None = None
        self.why = ""
        self.n_strays = 0
        # A Lock that nothing refers to any more is not renewed.
        weakref.finalize(self, _stop_renewing, holder, renewal)

    @classmethod
    def take(cls, folder: Path, lease: Lease | None = None, force: bool = False) -> "Lock":
        """Take the lock, also from a holder that is gone.

        Args:
            lease: how often this process shows that it exists; by default every 15 s.
            force: count a holder as gone where its process cannot be looked for.

        Raises:
            StoreError: when another has it; the message says who, and what to do.
        """
        while True:
            chain = _chain(folder)
            # The last one comes first: it is the one that may be at work.
            reasons = [_why_gone(folder, holder, force) for holder in reversed(chain)]
            if None in reasons:
                continue
            if (lock := cls._try(folder, chain, lease or Lease())) is not None:
                if chain:
                    lock.former, lock.why = chain[-1], str(reasons[0])
                return lock

    @classmethod
    def _try(cls, folder: Path, chain: list[Holder], lease: Lease) -> "Lock | None":
        """Take a lock that is free, or whose holders are gone; None when another was first."""
        me = this_process(lease.seconds)
        scratch = scratch_of(folder, me.token)
        path, what = _lock_path(folder), f"lock {folder}"
        claim = _claim_path(folder, chain[-1].token) if chain else path
        renewal = lock = None
        try:
            scratches.make(scratch)
            renewal = Renewal((scratch / "lease").absolute(), lease)
            put(scratch / "lock", me.to_json(), scratch, what)
            if not attempt(lambda: _link(scratch / "lock", claim, me), what):
                return None
            renewal.start()
            if chain:
                for gone in chain:
                    scratches.end(scratch_of(folder, gone.token), scratch)
                if _tokens(_chain(folder)) != _tokens([*chain, me]):
                    return None
                attempt(lambda: os.replace(scratch / "lock", path), what)
            taken = cls(me, folder, renewal)
            taken._clear()
            lock = taken
            return lock
        except StoreError as error:
            # The process that was first has ended all other sessions.
            if error.errno == errno.ENOENT and not os.path.lexists(scratch):
                return None
            raise
        finally:
            if lock is None:
                if renewal is not None:
                    renewal.stop()
                _withdraw(me, folder, claim)

    def _clear(self) -> None:
        """End every other session, and remove all other claims to the lock."""
        for session in scratches.others(self.scratch):
            self.n_strays += scratches.end(session, self.scratch)
        for claim in (self._folder / RUN_FOLDER).glob("taking.*"):
            if claim != _claim_path(self._folder, self.holder.token):
                take_out(claim, self.scratch, f"remove {claim}")
        scratches.empty(self.scratch)

    @property
    def session(self) -> Mapping[str, str]:
        """Who writes, for the ledger."""
        me = self.holder
        return {"host": me.host, "pid": str(me.pid), "since": me.since, "gradsweep": me.gradsweep}

    @property
    def taken_over(self) -> str:
        """One line that says from whom it was taken, and why; "" when it was free."""
        if self.former is None:
            return ""
        return f"took over the lock of {self._folder} from {self.former}, which {self.why}."

    def check(self) -> None:
        """Make sure that the lock still is ours.

        Raises:
            StoreError: when another has taken it, or this process is a forked child of its holder.
        """
        if os.getpid() != self.holder.pid:
            raise StoreError(
                f"{self._folder} is held by process {self.holder.pid}, and this is a child of it: "
                "only the process that began a run records what is finished."
            )
        # Not by its inode, which a new file may be given again.
        if not _names(_lock_path(self._folder), self.holder) or not self.scratch.is_dir():
            taker = holder_of(self._folder)
            is_known = taker is not None and taker.token != self.holder.token
            by = str(taker) if is_known else "`gradsweep unlock`"
            raise StoreError(
                f"the lock of {self._folder} was taken from this run by {by}. "
                "What is finished is kept; run again with resume=True when nobody else writes."
            )
        self._renewal.catch_up()

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Raise the loss of the lock in place of a failure, where that is the reason for it."""
        try:
            yield
        except StoreError:
            self.check()
            raise

    def release(self) -> None:
        """Release the lock, unless it has become another's; what cannot be removed is stale."""
        if os.getpid() != self.holder.pid:
            return
        self._renewal.stop()
        with contextlib.suppress(OSError):
            self.check()
            take_out(_lock_path(self._folder), self.scratch, f"unlock {self._folder}")
        shutil.rmtree(self.scratch, ignore_errors=True)
        forget(self.holder)


def _stop_renewing(holder: Holder, renewal: Renewal) -> None:
    if os.getpid() == holder.pid:
        renewal.stop()
        forget(holder)


def _withdraw(me: Holder, folder: Path, claim: Path) -> None:
    """Undo an attempt at the lock."""
    scratch = scratch_of(folder, me.token)
    with contextlib.suppress(OSError):
        if _names(_lock_path(folder), me):
            take_out(_lock_path(folder), scratch, f"unlock {folder}")
    with contextlib.suppress(OSError):
        # No other claim is removed in its place: until the lock changes hands nobody else removes
        # this one, and after that a claim to the former lock means nothing.
        if claim != _lock_path(folder) and _names(claim, me):
            claim.unlink(missing_ok=True)
    shutil.rmtree(scratch, ignore_errors=True)
    forget(me)


def _why_gone(folder: Path, holder: Holder, force: bool) -> str | None:
    """Return why a holder counts as gone; None when the caller has to look again.

    Raises:
        StoreError: when it is not gone, or it cannot be told.
    """
    session = scratch_of(folder, holder.token)
    seconds = holder.lease_seconds
    if seconds and not os.path.lexists(session):
        # It has just released the lock, or was ended: either way it writes nothing more.
        return "is gone" if holder.state == "gone" else "has ended"
    match holder.state:
        case "alive":
            raise _held(folder, holder, ", which is running", "Wait for it, or stop it.")
        case "gone":
            return "is gone"
    if force:
        return "is said to be gone"
    if not seconds:
        raise _held(
            folder,
            holder,
            "",
            "If it is running, wait for it. Whether it is cannot be told from this host; "
            f"if it is not: `gradsweep unlock {folder} --force`.",
        )
    warn(
        f"{folder} is locked by {holder}, which cannot be looked for from here: "
        f"watching for {seconds:g} s whether it renews its lease."
    )
    if not is_renewed(session / "lease", seconds):
        return f"has let its lease of {seconds:g} s run out"
    if not os.path.lexists(session):
        return None
    how = ", which is running: it renews its lease"
    raise _held(folder, holder, how, "Wait for it, or stop it.")


def _held(folder: Path, holder: Holder, how: str, advice: str) -> StoreError:
    return StoreError(f"{folder} is locked by {holder}{how}.\n{advice}")


def unlock(path: str | os.PathLike[str], force: bool = False) -> Holder | None:
    """Remove the lock that a process left behind when it was killed.

    A run takes over by itself from a process that can be shown to be gone; this is for any other.

    Args:
        path: the store.
        force: also remove the lock of a process on another host, without looking at its lease, and
            a lock that cannot be read. Use it only when you know that nobody is writing.

    Returns:
        Who held it; None when nobody did, or when that cannot be read.

    Raises:
        NotAStore: when there is no store of gradsweep.
        StoreError: when its process is running, or may be.
    """
    folder = Path(path)
    if standing(folder) is Standing.FOREIGN or not folder.is_dir():
        raise NotAStore(f"there is no store of gradsweep {str(folder)!r}.")
    try:
        if holder_of(folder) is None:
            return None
    except StoreError:
        if not force:
            raise
        _remove_unreadable(folder)
        return None
    lock = Lock.take(folder, force=force)
    lock.release()
    return lock.former


def _remove_unreadable(folder: Path) -> None:
    """Remove a lock that cannot be read, and end every session."""
    me = this_process(0)
    scratch = scratch_of(folder, me.token)
    scratches.make(scratch)
    try:
        for path in (_lock_path(folder), *(folder / RUN_FOLDER).glob("taking.*")):
            take_out(path, scratch, f"unlock {folder}")
        for session in scratches.others(scratch):
            scratches.end(session, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        forget(me)


def _link(whole: Path, path: Path, holder: Holder) -> bool:
    """Give a whole file a second name, and return whether that name was free."""
    try:
        os.link(whole, path)
    except FileExistsError:
        # Perhaps the name is ours: a device that falters may make a link and report a failure.
        return _names(path, holder)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # No links on this file system: make the name first, then fill it.
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        with open(descriptor, "wb") as file:
            file.write(whole.read_bytes())
    return True
