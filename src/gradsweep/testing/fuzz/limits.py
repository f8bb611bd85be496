"""A bound on the time that something takes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Late", "at_most"]


_AGAIN_SECONDS = 1.0


class Late(BaseException):
    """It took longer than it may. No Exception, so that nothing on the way catches it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise Late in code that runs longer, if this is the main thread: signals reach no other."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Late(f"more than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    # The signal comes again and again: Python drops an error that is raised in a destructor.
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
