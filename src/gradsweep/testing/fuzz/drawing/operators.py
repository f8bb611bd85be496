"""Rows that read alike in every dialect: operators, and entries that are written with them.

The tables of the dialects begin with them, or have them where they stand.
"""

__all__ = ["ARITHMETIC", "ENTRIES"]

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
