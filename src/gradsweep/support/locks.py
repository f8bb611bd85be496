"""Locks that are free in a forked child, whichever threads of its parent held them.

Knows nothing of what they protect.
"""

import os
import threading
import weakref

__all__ = ["give_locks"]

_OWNERS: "weakref.WeakKeyDictionary[object, tuple[str, ...]]" = weakref.WeakKeyDictionary()


def give_locks(owner: object, *names: str) -> None:
    """Give an object locks, as attributes of those names, and new ones in a forked child."""
    _OWNERS[owner] = names
    for name in names:
        setattr(owner, name, threading.Lock())


def _renew() -> None:
    for owner, names in list(_OWNERS.items()):
        give_locks(owner, *names)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
