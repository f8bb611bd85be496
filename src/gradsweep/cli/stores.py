"""Show, verify and unlock a store.

Options enter, text on stdout and an exit code leave. Imports no code of a user, loads no framework
and reads no pickle.
"""

import argparse
from typing import assert_never

from gradsweep.results.stores.zarr import show, status, unlock, verify

__all__ = ["run_on_store"]


def run_on_store(options: argparse.Namespace) -> int:
    """Run a command on a store.

    Returns:
        0 when the store is fine; 1 when `verify` finds it damaged or not finished.

    Raises:
        NotAStore: when there is no store.
        StoreError: when it cannot be read, trusted or unlocked.
    """
    match options.command:
        case "show":
            print(show(options.store))
            if options.parts:
                for part, state in status(options.store):
                    print(f"{state}  {part.describe()}")
        case "verify":
            report = verify(options.store, repair=options.repair)
            print(report)
            return 0 if report.is_sound and report.is_complete else 1
        case "unlock":
            holder = unlock(options.store, force=options.force)
            print(f"{options.store} is unlocked{f'; it was held by {holder}' if holder else ''}.")
        case unknown:
            assert_never(unknown)
    return 0
