#!/usr/bin/env bash
# torch 2.13.0 (CPU), Python 3.11.
#
# A rule marked once_differentiable must not be differentiated twice, and torch raises where the marked rule is all
# that leads to the argument. Where a second path leads there, the second derivative comes out without an error, and
# without the part that goes through the marked rule: of x atan(x) at 0.7 it is 1 / (1 + x^2) = 0.6711 where
# 2 / (1 + x^2)^2 = 0.9009 is right.
#
# Seen:
#   atan alone: RuntimeError
#   x atan(x): 0.6711, right is 0.9009
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
"$folder/env/bin/python" - <<'PY'
import torch
from torch.autograd.function import once_differentiable


class Arctangent(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return torch.atan(a)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return g / (1 + a * a)


def second(f, at):
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(f(x), x, create_graph=True)
    return torch.autograd.grad(first, x)[0].item()


try:
    raise SystemExit(f"no error: {second(Arctangent.apply, 0.7)}")
except RuntimeError as error:
    print("atan alone:", type(error).__name__)
found, right = second(lambda x: Arctangent.apply(x) * x, 0.7), 2 / (1 + 0.7**2) ** 2
print(f"x atan(x): {found:.4f}, right is {right:.4f}")
assert f"{found:.4f}" == "0.6711" and f"{right:.4f}" == "0.9009"
PY
