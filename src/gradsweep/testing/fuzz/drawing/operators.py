"""Rows that read alike in every dialect: operators on real and complex numbers, and writes by them.

The tables of the dialects begin with them, or have them where they stand.
"""

__all__ = ["ARITHMETIC", "COMPLEX", "ENTRIES"]

ARITHMETIC = """
    {a:f} * {b:f~}
    {a:f} + {b:f~}
    {a:f} - {b:f~}
    {a:f} * {k:number}
    {k:number} - {a:f}
    {a:f} / ({b:f~} * {b} + 0.5)
    {a:f} ** {e:exponent}
    {k:positive} ** {a:f}
    (abs({a:f}) + 0.3) ** {b:f~}
    -{a:f}
    {a:f} * {a} {s:sign} {b:f~}
    {a:f} * {b:f~} - {b} * {c:f~}
"""

COMPLEX = """
    {a:f} * 1j
    {a:c} * {b:z~}
    {a:c} + {b:z~}
    {a:c} - {b:c~}
    {a:c} * {a}
    {a:c} ** 2
    1.0 / ({a:c} + 4.0)
    {a:c}.real
    {a:c}.imag
    {a:c+}[{i:index}]
"""

ENTRIES = """
    ! {w:f+!}[{i:index}] = {b:f0}
    ! {w:f+!}[{i:index}] = {k:number}
    ! {w:f+!}[{i:index}] += {b:f0}
    ! {w:f+!}[{i:index}] *= {k:number}
    ! {w:f+!}[{s:slice}] = {b:f0}
    ! {w:f+!}[{s:slice}] += {k:number}
    ! {w:f+!}[...] = {b:f~}
    ! {w:f+!}[..., {i:index}] = {b:f0}
"""
