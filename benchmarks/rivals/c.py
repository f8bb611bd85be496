"""C by hand: the kernels of `benchmarks/c`, compiled on the spot where there is a compiler."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.cases import Problem
from benchmarks.rivals.base import Rival, Unavailable, Work

__all__ = ["COMPILE_FLAGS", "RIVALS"]

COMPILE_FLAGS = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC"]
_SOURCES = Path(__file__).parent.parent / "c"


def _prepare(problem: Problem, macro: str | None = None) -> Work:
    case = problem.case
    file, name = case.kernel.split(":")
    source = _SOURCES / file
    if macro is not None and macro not in source.read_text():
        raise Unavailable(f"{file} has no such form")
    real = {"float64": "double", "float32": "float"}[case.dtype]
    macros = [f"REAL={real}", *([macro] if macro else [])]
    kernel = getattr(_compile(source, macros), name)
    kernel.restype = None

    inputs = [np.ascontiguousarray(value, case.dtype) for value in problem.values.values()]
    shapes = [tuple(problem.sizes[axis] for axis in dims) for dims in case.results.values()]
    outputs = [
        np.empty(shape + like.shape[len(case.axes) :], case.dtype)
        for shape, like in zip(shapes, problem.expected)
    ]
    lengths = (ctypes.c_long * len(problem.sizes))(*problem.sizes.values())
    pointers = _pointers(inputs), _pointers(outputs)

    def call(inputs=inputs):  # the pointers keep no array alive
        kernel(lengths, *pointers)
        return outputs

    return Work(call, list)


def _compile(source: Path, macros: list[str]) -> ctypes.CDLL:
    """Compile a source into a shared library and load it.

    Raises:
        Unavailable: when there is no compiler, or it refuses.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise Unavailable("there is no C compiler (cc, or what CC names)")
    with tempfile.TemporaryDirectory() as folder:
        code, library = f"{folder}/kernel.o", f"{folder}/kernel.so"
        defines = [f"-D{macro}" for macro in macros]
        # Linked apart, and without -ffast-math: with it, some compilers add code that makes the
        # whole process flush subnormals to zero, and every other rival's results with it.
        for command in (
            [compiler, *COMPILE_FLAGS, *defines, "-c", str(source), "-o", code],
            [compiler, "-shared", "-fopenmp", code, "-o", library, "-lm"],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise Unavailable(f"{compiler} failed: {done.stderr.strip().splitlines()[0]}")
        return ctypes.CDLL(library)


def _pointers(arrays: list[np.ndarray]):
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


RIVALS = (
    Rival("C", "C", _prepare, reuses_buffers=True),
    Rival(
        "C, cdf by erf",
        "C, less accurate",
        partial(_prepare, macro="CDF_BY_ERF"),
        reuses_buffers=True,
    ),
)
