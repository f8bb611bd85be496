#!/usr/bin/env bash
# torch 2.13.0 (CPU), Python 3.11.
#
# torch.roll of a tensor without dims returns it as it is. Under torch.vmap, where each point is such a tensor, the
# whole batch is rolled instead: every point gets another point's value, and nothing is raised. A plain loop over the
# points, and vmap over vectors of length 1, are right.
#
# Seen:
#   a loop: [1.0, 2.0, 3.0]
#   vmap over numbers: [3.0, 1.0, 2.0]
#   vmap over vectors of length 1: [1.0, 2.0, 3.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
"$folder/env/bin/python" - <<'PY'
import torch

points = torch.tensor([1.0, 2.0, 3.0])


def rolled(x):
    return torch.roll(x, 1)


loop = torch.stack([rolled(x) for x in points]).tolist()
mapped = torch.vmap(rolled)(points).tolist()
vectors = torch.vmap(rolled)(points[:, None])[:, 0].tolist()
print("a loop:", loop)
print("vmap over numbers:", mapped)
print("vmap over vectors of length 1:", vectors)
assert loop == vectors == [1.0, 2.0, 3.0] and mapped == [3.0, 1.0, 2.0]
PY
