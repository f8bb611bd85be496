#!/usr/bin/env bash
# torch 2.13.0 (CPU), Python 3.11.
#
# torch.linalg.det has a derivative at a matrix that is exactly singular: the sum of its cofactors times the matrix's
# own. What torch returns there depends on how it is asked: Tensor.backward and torch.autograd.grad return 0 without a
# word, and so does torch.func.jacfwd; autograd.grad with create_graph=True and torch.func.grad are right. So a
# gradient is 0 until somebody asks for its graph as well. Each matrix has rank n - 1.
#
# Seen:
#   det [[t, t], [t, t^2]] at 1, right is 1: autograd 0.0, with create_graph 1.0, func.grad 1.0, jacfwd 0.0
#   det [[t, 1], [1, t]] at 1, right is 2: autograd 0.0, with create_graph 2.0, func.grad 2.0, jacfwd 0.0
#   det [[t, 2t], [3t, 6t^2]] at 1, right is 6: autograd 0.0, with create_graph 6.0, func.grad 6.0, jacfwd 0.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
"$folder/env/bin/python" -W ignore - <<'PY'
import torch

torch.set_default_dtype(torch.float64)

MATRICES = {
    "det [[t, t], [t, t^2]]": (lambda t: [[t, t], [t, t * t]], 1.0),
    "det [[t, 1], [1, t]]": (lambda t: [[t, 1 + 0 * t], [1 + 0 * t, t]], 2.0),
    "det [[t, 2t], [3t, 6t^2]]": (lambda t: [[t, 2 * t], [3 * t, 6 * t * t]], 6.0),
}
is_as_seen = True
for name, (entries, right) in MATRICES.items():

    def det(t):
        return torch.linalg.det(torch.stack([torch.stack(row) for row in entries(t)]))

    t = torch.tensor(1.0, requires_grad=True)
    found = {
        "autograd": torch.autograd.grad(det(t), t)[0],
        "with create_graph": torch.autograd.grad(det(t), t, create_graph=True)[0],
        "func.grad": torch.func.grad(det)(torch.tensor(1.0)),
        "jacfwd": torch.func.jacfwd(det)(torch.tensor(1.0)),
    }
    told = ", ".join(f"{way} {abs(slope.item()):.1f}" for way, slope in found.items())
    print(f"{name} at 1, right is {right:g}: {told}")
    is_as_seen &= all(found[way] == 0 for way in ("autograd", "jacfwd"))
    is_as_seen &= all(abs(found[way] - right) < 1e-9 for way in ("with create_graph", "func.grad"))
raise SystemExit(not is_as_seen)
PY
