"""The Hurwitz zeta function and the polygamma functions, in LLVM IR: no C library has them.

    zeta(s, q) = sum over k >= 0 of (q + k)^-s,  s > 1
    polygamma(n, x) = (-1)^(n + 1) n! zeta(n + 1, x),  n >= 1; digamma for n = 0

The first terms are summed, the rest follows from the Euler-Maclaurin formula. A term is corrected
for the rounding of q + k, which the power -s would magnify: (a + e)^-s = a^-s (1 - s e / a). The
rounding errors of the sum are added at the end.

Reference: Abramowitz and Stegun, 23.1.30 and 6.4.10; the choice of terms is that of Cephes' zeta.c.
"""

from fractions import Fraction

from gradsweep.engines.fused.lowering.arithmetic.vectors import hexadecimal

__all__ = ["POLYGAMMA", "ZETA"]

# B(2j) / (2j)!, j = 1 ... 12, by the recurrence of t / (e^t - 1) = sum of B(n) t^n / n!.
_N_TERMS = 12


def _coefficients() -> list[Fraction]:
    factorials = [Fraction(1)]
    for n in range(1, 2 * _N_TERMS + 2):
        factorials.append(factorials[-1] * n)
    series = [Fraction(1)]
    for n in range(1, 2 * _N_TERMS + 1):
        terms = [series[k] / factorials[n - k + 1] for k in range(n)]
        series.append(-sum(terms, Fraction(0)))
    return series[2::2]


def _spelled(value: Fraction) -> str:
    return f"double {hexadecimal(float(value))}"


ZETA = f"""
@zeta.coefficients = internal constant [{_N_TERMS} x double] [
  {", ".join(map(_spelled, _coefficients()))}
]

define internal double @scalar.zeta(double %s, double %q) {{
entry:
  %is.pole = fcmp oeq double %s, 1.0
  br i1 %is.pole, label %infinite, label %defined
defined:
  %diverges = fcmp olt double %s, 1.0
  br i1 %diverges, label %undefined, label %sign
sign:
  %is.negative = fcmp ole double %q, 0.0
  br i1 %is.negative, label %negative, label %size
negative:
  %q.floor = call double @llvm.floor.f64(double %q)
  %q.whole = fcmp oeq double %q, %q.floor
  br i1 %q.whole, label %infinite, label %power
power:
  %s.floor = call double @llvm.floor.f64(double %s)
  %s.whole = fcmp oeq double %s, %s.floor
  br i1 %s.whole, label %size, label %undefined
size:
  %exponent = fneg double %s
  %s.less = fsub double %s, 1.0
  %is.large = fcmp ogt double %q, 1.0e8
  br i1 %is.large, label %large, label %small
large:
  %exponent.1 = fsub double 1.0, %s
  %q.power = call double @scalar.pow(double %q, double %exponent.1)
  %integral.1 = fdiv double 1.0, %s.less
  %half.q = fdiv double 0.5, %q
  %factor.1 = fadd double %integral.1, %half.q
  %result.1 = fmul double %factor.1, %q.power
  ret double %result.1
small:
  %first = call double @scalar.pow(double %q, double %exponent)
  br label %term
term:
  %k = phi double [ 0.0, %small ], [ %k.next, %more ]
  %sum = phi double [ %first, %small ], [ %sum.next, %more ]
  %lost = phi double [ 0.0, %small ], [ %lost.next, %more ]
  %k.next = fadd double %k, 1.0
  %a = fadd double %q, %k.next
  %a.less = fsub double %a, %q
  %a.rest = fsub double %a, %a.less
  %e.q = fsub double %q, %a.rest
  %e.k = fsub double %k.next, %a.less
  %e = fadd double %e.q, %e.k
  %raised = call double @scalar.pow(double %a, double %exponent)
  %relative = fdiv double %e, %a
  %shift = fmul double %relative, %s
  %shift.size = call double @llvm.fabs.f64(double %shift)
  %is.small = fcmp olt double %shift.size, 0.5
  %shifted = fmul double %shift, %raised
  %is.number = fcmp ord double %shifted, 0.0
  %is.change = and i1 %is.small, %is.number
  %change = select i1 %is.change, double %shifted, double 0.0
  %b = fsub double %raised, %change
  %sum.next = fadd double %sum, %b
  %gained = fsub double %sum, %sum.next
  %lost.here = fadd double %gained, %b
  %lost.all = fadd double %lost, %lost.here
  %is.lost = fcmp ord double %lost.all, 0.0
  %lost.next = select i1 %is.lost, double %lost.all, double 0.0
  %share = fdiv double %b, %sum.next
  %share.size = call double @llvm.fabs.f64(double %share)
  %is.negligible = fcmp olt double %share.size, 0x3CA0000000000000
  br i1 %is.negligible, label %summed, label %enough
enough:
  %k.few = fcmp olt double %k.next, 9.0
  %a.small = fcmp ole double %a, 9.0
  %again = or i1 %k.few, %a.small
  br i1 %again, label %more, label %rest
more:
  br label %term
summed:
  %all = fadd double %sum.next, %lost.next
  ret double %all
rest:
  %b.a = fmul double %b, %a
  %integral = fdiv double %b.a, %s.less
  %with.integral = fadd double %sum.next, %integral
  %b.half = fmul double %b, 0.5
  %with.half = fsub double %with.integral, %b.half
  %total = fadd double %with.half, %lost.next
  br label %correction
correction:
  %j = phi i64 [ 0, %rest ], [ %j.next, %correction ]
  %factor = phi double [ 1.0, %rest ], [ %factor.2, %correction ]
  %scale = phi double [ %b, %rest ], [ %scale.2, %correction ]
  %at = phi double [ %s, %rest ], [ %at.2, %correction ]
  %series = phi double [ %total, %rest ], [ %series.next, %correction ]
  %j.next = add i64 %j, 1
  %factor.0 = fmul double %factor, %at
  %scale.0 = fdiv double %scale, %a
  %address = getelementptr double, ptr @zeta.coefficients, i64 %j
  %coefficient = load double, ptr %address
  %product = fmul double %factor.0, %scale.0
  %t = fmul double %product, %coefficient
  %series.next = fadd double %series, %t
  %at.1 = fadd double %at, 1.0
  %factor.2 = fmul double %factor.0, %at.1
  %scale.2 = fdiv double %scale.0, %a
  %at.2 = fadd double %at, 2.0
  %unchanged = fcmp oeq double %series.next, %series
  %exhausted = icmp eq i64 %j.next, {_N_TERMS}
  %stop = or i1 %unchanged, %exhausted
  br i1 %stop, label %done, label %correction
done:
  ret double %series.next
infinite:
  ret double 0x7FF0000000000000
undefined:
  ret double 0x7FF8000000000000
}}"""

POLYGAMMA = """
define internal double @scalar.polygamma(double %n, double %x) {
entry:
  %is.zero = fcmp oeq double %n, 0.0
  br i1 %is.zero, label %digamma, label %higher
digamma:
  %psi = call double @scalar.psi(double %x, i32 0)
  ret double %psi
higher:
  %n.next = fadd double %n, 1.0
  %sign = call double @scalar.pow(double -1.0, double %n.next)
  %factorial = call double @scalar.tgamma(double %n.next)
  %zeta = call double @scalar.zeta(double %n.next, double %x)
  %size = fmul double %factorial, %zeta
  %result = fmul double %sign, %size
  ret double %result
}"""
