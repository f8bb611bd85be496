#!/usr/bin/env bash
# torch 2.13.0 (CPU), Python 3.11.
#
# The Hessian of layer_norm and of instance_norm depends on the order in which torch.func is composed. jacrev(jacrev(f))
# and jacfwd(jacrev(f)) are right. jacrev(jacfwd(f)) and jacfwd(jacfwd(f)) are another number, without a word: the
# formula for the tangent takes the saved mean and variance for constants when it is differentiated. So is the third
# derivative in reverse mode, jacrev(jacrev(jacrev(f))). The same normalisation written with mean and sqrt is right in
# each order.
#
# Seen, with v(t) = (0.3, -1.2, 0.7) + t (0.5, 0.1, -0.4), second derivatives at t = 1.1 of the first entry:
#   written out: rev-rev -0.437765, fwd-rev -0.437765, rev-fwd -0.437765, fwd-fwd -0.437765; third -0.133234
#   layer_norm: rev-rev -0.437765, fwd-rev -0.437765, rev-fwd -0.418638, fwd-fwd -0.418638; third -0.287018
#   instance_norm: rev-rev -0.437765, fwd-rev -0.437765, rev-fwd -0.418638, fwd-fwd -0.418638; third -0.287018
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
"$folder/env/bin/python" -W ignore - <<'PY'
import torch
from torch.func import jacfwd, jacrev

torch.set_default_dtype(torch.float64)


def along(t):
    return torch.tensor([0.3, -1.2, 0.7]) + t * torch.tensor([0.5, 0.1, -0.4])


def written_out(t):
    v = along(t)
    deviation = v - v.mean()
    return (deviation / torch.sqrt((deviation**2).mean() + 1e-5))[0] * 1.5


def layer_norm(t):
    return torch.nn.functional.layer_norm(along(t), (3,))[0] * 1.5


def instance_norm(t):
    return torch.nn.functional.instance_norm(along(t).view(1, 1, 3))[0, 0, 0] * 1.5


ORDERS = {
    "rev-rev": (jacrev, jacrev),
    "fwd-rev": (jacfwd, jacrev),
    "rev-fwd": (jacrev, jacfwd),
    "fwd-fwd": (jacfwd, jacfwd),
}
t, found = torch.tensor(1.1), {}
for f in (written_out, layer_norm, instance_norm):
    second = {name: outer(inner(f))(t).item() for name, (outer, inner) in ORDERS.items()}
    third = jacrev(jacrev(jacrev(f)))(t).item()
    found[f] = {**second, "third": third}
    told = ", ".join(f"{name} {number:.6f}" for name, number in second.items())
    print(f"{f.__name__.replace('written_out', 'written out')}: {told}; third {third:.6f}")
right = found.pop(written_out)
is_as_seen = max(abs(right[name] - right["rev-rev"]) for name in ORDERS) < 1e-9
for numbers in found.values():
    is_as_seen &= all(abs(numbers[o] - right[o]) < 1e-9 for o in ("rev-rev", "fwd-rev"))
    is_as_seen &= all(abs(numbers[o] - right[o]) > 1e-3 for o in ("rev-fwd", "fwd-fwd"))
raise SystemExit(not is_as_seen)
PY
