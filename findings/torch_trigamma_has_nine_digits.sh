#!/usr/bin/env bash
# torch 2.13.0 (CPU), mpmath 1.3.0, scipy 1.16.3, Python 3.11.
#
# torch.polygamma(1, x) in float64, and with it the derivative of torch.digamma, is right to nine digits where the
# argument is small, and gets better as it grows: after six steps of the recurrence the asymptotic series is cut off
# after a few terms. torch.polygamma(2, x), which goes another way, and scipy's polygamma(1, x) are right to the last
# digits.
#
# Seen, as errors relative to mpmath with 30 digits:
#   x = 1:   torch n=1 4.8e-10, derivative of digamma 4.8e-10, torch n=2 below 1e-15, scipy n=1 below 1e-15
#   x = 1.5: torch n=1 4.6e-10, derivative of digamma 4.6e-10, torch n=2 below 1e-15, scipy n=1 below 1e-15
#   x = 2.5: torch n=1 2.8e-10, derivative of digamma 2.8e-10, torch n=2 below 1e-15, scipy n=1 below 1e-15
#   x = 6.5: torch n=1 2.7e-11, derivative of digamma 2.7e-11, torch n=2 below 1e-15, scipy n=1 below 1e-15
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'scipy==1.16.3' 'mpmath==1.3.0'
"$folder/env/bin/python" -W ignore - <<'PY'
import mpmath
import scipy.special
import torch

mpmath.mp.dps = 30
SMALL = 1e-15
expected = {1.0: 4.8e-10, 1.5: 4.6e-10, 2.5: 2.8e-10, 6.5: 2.7e-11}
is_as_seen = True
for point, seen in expected.items():

    def error(value, n):
        return float(abs(value / mpmath.polygamma(n, mpmath.mpf(point)) - 1))

    x = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.digamma(x), x)
    first = error(torch.polygamma(1, x).item(), 1)
    second = error(torch.polygamma(2, x).item(), 2)
    of_digamma, of_scipy = error(slope.item(), 1), error(float(scipy.special.polygamma(1, point)), 1)
    print(
        f"x = {point:g}: torch n=1 {first:.1e}, derivative of digamma {of_digamma:.1e}, "
        f"torch n=2 {second:.1e}, scipy n=1 {of_scipy:.1e}"
    )
    is_as_seen &= abs(first / seen - 1) < 0.05 and abs(of_digamma / seen - 1) < 0.05
    is_as_seen &= second < SMALL and of_scipy < SMALL
raise SystemExit(not is_as_seen)
PY
