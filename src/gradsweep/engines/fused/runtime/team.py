"""Threads that wait inside machine code, and are woken in microseconds.

A Share of a Phase enters, and its work is done when `run` returns. A thread of Python's takes ten
times as long to wake, since it waits for the interpreter too.

Calls often come one after another, and a sleeping thread takes as long to wake as 10,000 points of
a formula take to compute. So a thread looks for work for a fraction of a millisecond before it goes
to sleep, as OpenMP's threads do. A thread that has not begun when the others have done all the work
is not waited for: it may itself wait for a processor that they hold.

Where there are no POSIX semaphores (macOS, Windows), the threads of `pool.py` do the same work.
"""

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from gradsweep.engines.fused.runtime.loops import runtime
from gradsweep.engines.fused.runtime.pool import Pool, available_threads
from gradsweep.engines.fused.target import MachineCode, compile_ir

__all__ = ["TEAM", "Share", "Team", "make_team"]

# A worker's gate: two semaphores, a cache line each, then its state (0 idle, 1 called, 2 at work),
# its work, how often it looks for more before it sleeps, the processor that it was called from, and
# the one that it works on.
_GATE_WORDS = 24
_MOST_WORKERS = 255

# About 0.3 ms. Threads that share a processor do not look: one that looks delays the other.
_LOOKS = 10_000

# Tells the processor that this thread is waiting.
_PAUSE = {
    "x86_64": "declare void @llvm.x86.sse2.pause()",
    "aarch64": "declare void @llvm.aarch64.hint(i32)",
}

_IR = """
declare i32 @gradsweep.sem_wait(ptr)
declare i32 @gradsweep.sem_post(ptr)
declare i32 @gradsweep.sem_getvalue(ptr, ptr)
declare i32 @gradsweep.sched_getcpu()
declare i64 @gradsweep.run(ptr, i64, ptr, i64)

define internal void @wait(ptr %semaphore, i64 %looks, ptr %other.p) {
entry:
  %value.p = alloca i32
  br label %look
look:
  %i = phi i64 [ 0, %entry ], [ %i.next, %pause ]
  %is.tired = icmp sge i64 %i, %looks
  br i1 %is.tired, label %again, label %see
see:
  %here = call i32 @gradsweep.sched_getcpu()
  %other = load atomic i32, ptr %other.p monotonic, align 8
  %is.shared = icmp eq i32 %here, %other
  br i1 %is.shared, label %again, label %count
count:
  %seen = call i32 @gradsweep.sem_getvalue(ptr %semaphore, ptr %value.p)
  %value = load i32, ptr %value.p
  %is.posted = icmp sgt i32 %value, 0
  br i1 %is.posted, label %again, label %pause
pause:
  PAUSE
  %i.next = add i64 %i, 1
  br label %look
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
  %state.p = getelementptr i64, ptr %gate, i64 16
  %frame.p = getelementptr i64, ptr %gate, i64 17
  %word.p = getelementptr i64, ptr %gate, i64 18
  %next.p = getelementptr i64, ptr %gate, i64 19
  %looks.p = getelementptr i64, ptr %gate, i64 20
  %caller.p = getelementptr i64, ptr %gate, i64 21
  %worker.p = getelementptr i64, ptr %gate, i64 22
  br label %serving
serving:
  %looks = load i64, ptr %looks.p
  call void @wait(ptr %gate, i64 %looks, ptr %caller.p)
  %begun = cmpxchg ptr %state.p, i64 1, i64 2 acq_rel acquire
  %is.called = extractvalue { i64, i1 } %begun, 1
  br i1 %is.called, label %working, label %serving
working:
  %here = call i32 @gradsweep.sched_getcpu()
  store atomic i32 %here, ptr %worker.p monotonic, align 8
  %frame = load ptr, ptr %frame.p
  %word = load i64, ptr %word.p
  %next = load ptr, ptr %next.p
  %reached = call i64 @gradsweep.run(ptr %frame, i64 %word, ptr %next, i64 -1)
  %posted = call i32 @gradsweep.sem_post(ptr %done)
  br label %serving
}

define void @wake(
  ptr %gates, i64 %n, i64 %looks, ptr %frames, i64 %pitch, i64 %word, ptr %next
) {
entry:
  %here = call i32 @gradsweep.sched_getcpu()
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %exit
body:
  %i.next = add i64 %i, 1
  %at = mul i64 %i, GATE_WORDS
  %gate = getelementptr i64, ptr %gates, i64 %at
  %state.p = getelementptr i64, ptr %gate, i64 16
  %frame.p = getelementptr i64, ptr %gate, i64 17
  %word.p = getelementptr i64, ptr %gate, i64 18
  %next.p = getelementptr i64, ptr %gate, i64 19
  %looks.p = getelementptr i64, ptr %gate, i64 20
  %caller.p = getelementptr i64, ptr %gate, i64 21
  %offset = mul i64 %i.next, %pitch
  %frame = getelementptr i8, ptr %frames, i64 %offset
  store ptr %frame, ptr %frame.p
  store i64 %word, ptr %word.p
  store ptr %next, ptr %next.p
  store i64 %looks, ptr %looks.p
  store atomic i32 %here, ptr %caller.p monotonic, align 8
  store atomic i64 1, ptr %state.p release, align 8
  %posted = call i32 @gradsweep.sem_post(ptr %gate)
  br label %loop
exit:
  ret void
}

define void @join(ptr %gates, i64 %n, i64 %looks) {
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
  %state.p = getelementptr i64, ptr %gate, i64 16
  %recalled = cmpxchg ptr %state.p, i64 1, i64 0 acq_rel acquire
  %state = extractvalue { i64, i1 } %recalled, 0
  %is.at.work = icmp eq i64 %state, 2
  br i1 %is.at.work, label %pending, label %next
pending:
  %worker.p = getelementptr i64, ptr %gate, i64 22
  call void @wait(ptr %done, i64 %looks, ptr %worker.p)
  store atomic i64 0, ptr %state.p release, align 8
  br label %next
next:
  %i.next = add i64 %i, 1
  br label %loop
exit:
  ret void
}
""".replace("GATE_WORDS", str(_GATE_WORDS))


class Share(NamedTuple):
    """The work of one phase; each thread takes blocks of it until none is left.

    Attributes:
        here: does a thread's share in the calling thread, and checks for signals in between.
        stop: marks every block as taken.
        frames, pitch: the address of the first thread's frame, and bytes from one to the next.
        word, counter: the phase's word, and the address of the number of the next block.
    """

    here: Callable[[int], None]
    stop: Callable[[], None]
    frames: int
    pitch: int
    word: int
    counter: int


class Team:
    """Threads that each wait at a gate."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin without threads: a forked child has none of its parent's."""
        self._lock = threading.Lock()
        self._n_workers = 0
        self._n_processors = available_threads(ignore_setting=True)
        self._gates = np.zeros((_MOST_WORKERS, _GATE_WORDS), dtype=np.int64)

    def run(self, share: Share, n_threads: int) -> None:
        """Do a phase's work with `n_threads`, this one included, and wait for its end.

        While another thread of the program uses the team, this one works alone.
        """
        if self._lock.locked():
            share.here(0)
            return
        with self._lock:
            n_workers = min(n_threads - 1, _MOST_WORKERS)
            self._start(n_workers)
            code, gates = _entry_points(), self._gates.ctypes.data
            looks = _LOOKS if n_threads <= self._n_processors else 0
            work = share.frames, share.pitch, share.word, share.counter
            try:
                code.wake(gates, n_workers, looks, *work)
                share.here(0)
            except BaseException:
                share.stop()
                raise
            finally:
                # Nobody may return while a thread still writes to memory that is then freed.
                code.join(gates, n_workers, looks)

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
    wake: Callable[[int, int, int, int, int, int, int], None]
    join: Callable[[int, int, int], None]
    sem_init: Callable[[int, int, int], int]


@cache
def _entry_points() -> _EntryPoints:
    libc = ctypes.CDLL(None)
    addresses = {
        f"gradsweep.{name}": ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0
        for name in ("sem_wait", "sem_post", "sem_getvalue", "sched_getcpu")
    }
    pause = _PAUSE.get(platform.machine(), "")
    called = pause.replace("declare", "call").replace("(i32)", "(i32 1)")
    ir = f"{pause}\n{_IR.replace('PAUSE', called)}"
    code = compile_ir(ir, {**addresses, "gradsweep.run": runtime().address("run")}.items())
    word, pointer, number = ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint
    serve = ctypes.CFUNCTYPE(None, pointer)(code.address("serve"))
    wake = ctypes.CFUNCTYPE(None, pointer, word, word, pointer, word, word, pointer)
    join = ctypes.CFUNCTYPE(None, pointer, word, word)(code.address("join"))
    sem_init = ctypes.CFUNCTYPE(ctypes.c_int, pointer, ctypes.c_int, number)(("sem_init", libc))
    return _EntryPoints(code, serve, wake(code.address("wake")), join, sem_init)


class _PythonThreads:
    """The same with Python's own threads, where there are no semaphores."""

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


# macOS has the functions but refuses to initialise a semaphore without a name.
TEAM = make_team(native=sys.platform.startswith("linux"))
