#!/usr/bin/env bash
# numpy 2.4.6 beside 1.26.4, Python 3.11.
#
# numpy.array(a.flat), with its default copy=True or with copy=True written, is no copy since numpy 2.1 where `a` is
# contiguous: it has the memory of `a`, and a write into it changes `a`. Where `a` is not contiguous it is a copy that
# cannot be written into. In 1.26.4 it is a copy, and writeable, in either case. a.flat.copy() and numpy.array(a) copy
# in both.
#
# Seen:
#   2.4.6 contiguous: shares memory True, writes through True, a.flat.copy() shares False, numpy.array(a) shares False
#   2.4.6 strided: shares memory False, writeable False
#   1.26.4 contiguous: shares memory False, writes through False, a.flat.copy() shares False, numpy.array(a) shares False
#   1.26.4 strided: shares memory False, writeable True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 2.4.6 1.26.4; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet "numpy==$version"
    "$folder/$version/bin/python" - <<'PY'
import numpy as np

a = np.arange(6.0).reshape(2, 3)
copied = np.array(a.flat, copy=True)
shares = np.shares_memory(copied, a) and np.shares_memory(np.array(a.flat), a)
copied[0] = 99.0
writes_through = bool(a[0, 0] == 99.0)
by_method, plain = np.shares_memory(a.flat.copy(), a), np.shares_memory(np.array(a), a)
print(
    f"{np.__version__} contiguous: shares memory {shares}, writes through {writes_through}, "
    f"a.flat.copy() shares {by_method}, numpy.array(a) shares {plain}"
)
strided = np.arange(12.0)[::2]
other = np.array(strided.flat)
apart = np.shares_memory(other, strided)
print(f"{np.__version__} strided: shares memory {apart}, writeable {other.flags.writeable}")
seen = (shares, writes_through, by_method, plain, apart, other.flags.writeable)
is_new = np.__version__ == "2.4.6"
raise SystemExit(seen != (is_new, is_new, False, False, False, not is_new))
PY
done
