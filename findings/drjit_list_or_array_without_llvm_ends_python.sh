#!/usr/bin/env bash
# drjit 1.5.0, numpy 2.4.6, Python 3.11, x86-64.
#
# Where Dr.Jit finds no libLLVM, drjit.llvm.Float64(1.0) raises an error that says so. The same with a list or a numpy
# array ends the process by SIGFPE: no `except` catches it. So does it where the library is older than LLVM 15. Here
# DRJIT_LIBLLVM_PATH names a file that is not there, as on a machine without LLVM.
#
# Seen:
#   1.0: exit status 0, an error that says so True
#   [1.0, 2.0]: exit status -8, an error that says so False
#   numpy.array([1.0, 2.0]): exit status -8, an error that says so False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet drjit==1.5.0 numpy==2.4.6
export DRJIT_LIBLLVM_PATH="$folder/none.so"
"$folder/venv/bin/python" - <<'PY'
import subprocess
import sys

START = "import numpy\nfrom drjit.llvm import Float64\n"


def seen(values):
    code = f"{START}try:\n    Float64({values})\nexcept Exception as error:\n    print(error)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    says_so = "the LLVM backend is inactive" in done.stdout
    print(f"{values}: exit status {done.returncode}, an error that says so {says_so}")
    return done.returncode, says_so


found = [seen(values) for values in ("1.0", "[1.0, 2.0]", "numpy.array([1.0, 2.0])")]
raise SystemExit(found != [(0, True), (-8, False), (-8, False)])
PY
