"""Threads that wait inside machine code, and are woken in microseconds.

A Phase of frames enters, shared out among threads, and is done when `run` returns. A thread of
Python's takes ten times as long to wake, since it waits for the interpreter too.

Where there are no POSIX semaphores (macOS, Windows), the threads of `pool.py` do the same work.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from gradsweep.engines.fused.pool import Pool
from gradsweep.engines.fused.runtime import runtime
from gradsweep.engines.fused.target import MachineCode, compile_ir

__all__ = ["TEAM", "Share", "Team", "make_team"]

# A worker's gate: two semaphores, a cache line each, then whether it has been woken, and its work.
_GATE_WORDS = 24
_MOST_WORKERS = 255

_IR = """
declare i32 @gradsweep.sem_wait(ptr)
declare i32 @gradsweep.sem_post(ptr)
declare i64 @gradsweep.run(ptr, i64, ptr, i64)

define internal void @wait(ptr %semaphore) {
entry:
  br label %again
again:
  %failed = call i32 @gradsweep.sem_wait(ptr %semaphore)
  %interrupted = icmp ne i32 %failed, 0
  br i1 %interrupted, label %again, label %exit
exit:
  ret void
}

define void @serve(ptr %gate) {
entry:
  %done = getelementptr i64, ptr %gate, i64 8
  %frame.p = getelementptr i64, ptr %gate, i64 17
  %word.p = getelementptr i64, ptr %gate, i64 18
  %next.p = getelementptr i64, ptr %gate, i64 19
  br label %serving
serving:
  call void @wait(ptr %gate)
  %frame = load ptr, ptr %frame.p
  %word = load i64, ptr %word.p
  %next = load ptr, ptr %next.p
  %state = call i64 @gradsweep.run(ptr %frame, i64 %word, ptr %next, i64 -1)
  %posted = call i32 @gradsweep.sem_post(ptr %done)
  br label %serving
}

define void @wake(ptr %gates, i64 %n, ptr %frames, i64 %pitch, i64 %word, ptr %next) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %exit
body:
  %i.next = add i64 %i, 1
  %at = mul i64 %i, GATE_WORDS
  %gate = getelementptr i64, ptr %gates, i64 %at
  %woken.p = getelementptr i64, ptr %gate, i64 16
  %frame.p = getelementptr i64, ptr %gate, i64 17
  %word.p = getelementptr i64, ptr %gate, i64 18
  %next.p = getelementptr i64, ptr %gate, i64 19
  %offset = mul i64 %i.next, %pitch
  %frame = getelementptr i8, ptr %frames, i64 %offset
  store i64 1, ptr %woken.p
  store ptr %frame, ptr %frame.p
  store i64 %word, ptr %word.p
  store ptr %next, ptr %next.p
  %posted = call i32 @gradsweep.sem_post(ptr %gate)
  br label %loop
exit:
  ret void
}

define void @join(ptr %gates, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %exit
body:
  %at = mul i64 %i, GATE_WORDS
  %gate = getelementptr i64, ptr %gates, i64 %at
  %done = getelementptr i64, ptr %gate, i64 8
  %woken.p = getelementptr i64, ptr %gate, i64 16
  %woken = load i64, ptr %woken.p
  %idle = icmp eq i64 %woken, 0
  br i1 %idle, label %next, label %pending
pending:
  call void @wait(ptr %done)
  store i64 0, ptr %woken.p
  br label %next
next:
  %i.next = add i64 %i, 1
  br label %loop
exit:
  ret void
}
""".replace("GATE_WORDS", str(_GATE_WORDS))


class Share(NamedTuple):
    """The work of one phase, of which each thread takes blocks until none is left.

    Attributes:
        here: does a thread's share in this very thread, and looks for signals in between.
        stop: leaves nothing more to be taken.
        frames, pitch: the address of the first thread's frame, and bytes from one to the next.
        word, counter: what `run` takes: the phase's word, and the address of the next block.
    """

    here: Callable[[int], None]
    stop: Callable[[], None]
    frames: int
    pitch: int
    word: int
    counter: int


class Team:
    """Threads that wait at a gate each."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start anew: a forked child has none of its parent's threads."""
        self._lock = threading.Lock()
        self._n_workers = 0
        self._gates = np.zeros((_MOST_WORKERS, _GATE_WORDS), dtype=np.int64)

    def run(self, share: Share, n_threads: int) -> None:
        """Do a phase's work with `n_threads`, this one included, and wait for its end.

        While another thread of the program uses the team, this one works alone.
        """
        if not self._lock.acquire(blocking=False):
            share.here(0)
            return
        try:
            n_workers = min(n_threads - 1, _MOST_WORKERS)
            self._start(n_workers)
            code, gates = _entry_points(), self._gates.ctypes.data
            try:
                code.wake(gates, n_workers, share.frames, share.pitch, share.word, share.counter)
                share.here(0)
            except BaseException:
                share.stop()
                raise
            finally:
                # Nobody may return while a thread still writes to memory that is then freed.
                code.join(gates, n_workers)
        finally:
            self._lock.release()

    def _start(self, n_workers: int) -> None:
        code = _entry_points()
        while self._n_workers < n_workers:
            gate = self._gates[self._n_workers].ctypes.data
            for semaphore in (gate, gate + 64):
                code.sem_init(semaphore, 0, 0)
            self._n_workers += 1
            name = f"gradsweep-{self._n_workers}"
            threading.Thread(target=code.serve, args=(gate,), name=name, daemon=True).start()


class _EntryPoints(NamedTuple):
    code: MachineCode
    serve: Callable[[int], None]
    wake: Callable[[int, int, int, int, int, int], None]
    join: Callable[[int, int], None]
    sem_init: Callable[[int, int, int], int]


@cache
def _entry_points() -> _EntryPoints:
    libc = ctypes.CDLL(None)
    addresses = {
        f"gradsweep.{name}": ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0
        for name in ("sem_wait", "sem_post")
    }
    code = compile_ir(_IR, {**addresses, "gradsweep.run": runtime().address("run")}.items())
    word, pointer, number = ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint
    serve = ctypes.CFUNCTYPE(None, pointer)(code.address("serve"))
    wake = ctypes.CFUNCTYPE(None, pointer, word, pointer, word, word, pointer)
    join = ctypes.CFUNCTYPE(None, pointer, word)(code.address("join"))
    sem_init = ctypes.CFUNCTYPE(ctypes.c_int, pointer, ctypes.c_int, number)(("sem_init", libc))
    return _EntryPoints(code, serve, wake(code.address("wake")), join, sem_init)


class _PythonThreads:
    """The same of Python's own threads, where there are no semaphores."""

    def __init__(self) -> None:
        self._pool = Pool()

    def forget(self) -> None:
        self._pool.forget()

    def run(self, share: Share, n_threads: int) -> None:
        self._pool.run(share.here, n_threads, share.stop)


def make_team(native: bool) -> "Team | _PythonThreads":
    """Return threads to work with, which a forked child replaces with its own."""
    team = Team() if native else _PythonThreads()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=team.forget)
    return team


# macOS has the functions and refuses to initialise a semaphore without a name.
TEAM = make_team(native=sys.platform.startswith("linux"))
