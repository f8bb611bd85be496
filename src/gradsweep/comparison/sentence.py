"""The answer of a comparison in a sentence or two, and its doubts.

Times enter, text leaves.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

from gradsweep.comparison.race import Row
from gradsweep.comparison.rivals import LABELLED
from gradsweep.comparison.times import Times

__all__ = ["count", "factor", "listed", "overlap", "sentence"]

_FAMILIES = ("gradsweep", "JAX", "torch")
_HANDS = ("JAX", "torch")
# Where quartiles leave a ratio open by more than this factor, both of its ends are told.
_OPEN = 2.0


def sentence(times: Times) -> str:
    """Say which way is fastest at the largest size, and by how much."""
    ranked = times.contenders(times.sizes[-1]) if times.rows else []
    if not ranked:
        return f"Nothing could compute the {times.quantity} of {times.function}."
    where = f"over {count(times.sizes[-1], 'point')}"
    first, *others = ranked
    if not others:
        return f"{_title(first)} is the only way that works here, {where}."
    beaten = [row for row in _best(others, _FAMILIES) if row.family != first.family]
    named = _best_of if beaten else _title
    told = _told(first, beaten or others[:1], named)
    parts = [f"{where[0].upper()}{where[1:]}, {_title(first)} is {told}"]
    labelled = next((row for row in others if row.timed == LABELLED), None)
    if labelled is not None and (hands := _best(ranked, _HANDS)):
        parts.append(f"{_title(labelled)} is {_told(labelled, hands, _best_of)}")
    return "; ".join([*parts, *_crossovers(times)]) + "."


def overlap(one: Row, other: Row) -> bool:
    """Tell whether the middle halves of two samples overlap: then neither counts as faster."""
    (a, b), (c, d) = one.quartiles, other.quartiles
    return a <= d and c <= b


def count(n: int, noun: str) -> str:
    """Write a number of things."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def listed(sizes: Sequence[int]) -> str:
    """Write sizes one after another."""
    return ", ".join(f"{size:,}" for size in sizes)


def _best(ranked: Sequence[Row], families: Sequence[str]) -> list[Row]:
    """Return the fastest row of each family that has one."""
    found = (next((row for row in ranked if row.family == family), None) for family in families)
    return [row for row in found if row is not None]


def _told(row: Row, others: Sequence[Row], named: Callable[[Row], str]) -> str:
    """Say how a row does beside others, those last beside which nothing can be told."""
    close = [other for other in others if overlap(row, other)]
    clear = [f"{_beside(row, o)} {named(o)}{_doubt(row, o)}" for o in others if o not in close]
    joint = ", and " if any(_doubt(row, other) for other in others) else " and "
    told = [joint.join(clear)] if clear else []
    return ", and ".join([*told, *(f"too close to call with {named(other)}" for other in close)])


def _beside(row: Row, other: Row) -> str:
    """Say by how much, from one end to the other where the timings leave that open."""
    (low, high), (other_low, other_high) = row.quartiles, other.quartiles
    least, middle, most = other_low / high, other.median / row.median, other_high / low
    word = "faster"
    if middle < 1:
        least, middle, most, word = 1 / most, 1 / middle, 1 / least, "slower"
    if most > _OPEN * least:
        return f"{factor(least)} to {factor(most)} x {word} than"
    return f"{factor(middle)} x {word} than"


def factor(times: float) -> str:
    """Write how many times as fast something is."""
    return f"{times:.1f}" if times < 10 else f"{times:,.0f}"


def _doubt(row: Row, other: Row) -> str:
    """Say why a ratio is to be doubted, or ""."""
    if len(row.seconds) == 1 or len(other.seconds) == 1:
        return ", timed once"
    (low, high), (other_low, other_high) = row.quartiles, other.quartiles
    own, theirs = high / low, other_high / other_low
    if own * theirs <= _OPEN:
        return ""
    if max(own, theirs) > min(own, theirs) ** 2:
        return ", whose timings spread" if theirs > own else ", since its own timings spread"
    return ", since both spread"


def _crossovers(times: Times) -> list[str]:
    """Return clauses that say at which sizes JAX or torch, written by hand, is faster."""
    leads: list[tuple[int, str]] = []
    for size in times.sizes:
        best = _best(times.contenders(size), _HANDS)
        if len(best) < len(_HANDS):
            continue
        fastest = min(best, key=lambda row: row.median)
        leads.append((size, "neither" if overlap(*best) else fastest.family))
    runs = [(who, [s for s, _ in group]) for who, group in groupby(leads, lambda lead: lead[1])]
    told = [(who, sizes) for who, sizes in runs if who != "neither"]
    if len(told) == 1 and len(runs) == 1:
        ((who, _),) = told
        return [f"by hand, {who} beats {_other(who)} at every size"]
    where: dict[str, list[str]] = {}
    for who, sizes in told:
        where.setdefault(who, []).append(_range(sizes, times.sizes))
    return [
        f"by hand, {who} beats {_other(who)} {' and '.join(ranges)}"
        for who, ranges in where.items()
    ]


def _title(row: Row) -> str:
    """Name a way with what was timed of it."""
    if not row.timed or row.timed == row.rival:
        return f"{row.family}'s {row.rival}"
    return f"{row.family}'s {row.timed} ({row.rival})"


def _best_of(row: Row) -> str:
    what = f"{row.timed}, {row.rival}" if row.timed not in ("", row.rival) else row.rival
    return f"{row.family}'s best here ({what})"


def _other(family: str) -> str:
    return next(name for name in _HANDS if name != family)


def _range(sizes: Sequence[int], everywhere: Sequence[int]) -> str:
    if sizes[0] == everywhere[0]:
        return f"up to {sizes[-1]:,} points"
    if sizes[-1] == everywhere[-1]:
        return f"from {sizes[0]:,} points on"
    return f"at {listed(sizes)} points"
