"""The ranges of the borehole function's arguments, which both frameworks' examples share.

Reference: Surjanovic and Bingham, Virtual Library of Simulation Experiments, "Borehole function".
"""

__all__ = ["RANGES"]

RANGES: dict[str, tuple[float, float]] = {
    "rw": (0.05, 0.15),
    "r": (100.0, 50_000.0),
    "Tu": (63_070.0, 115_600.0),
    "Hu": (990.0, 1_110.0),
    "Tl": (63.1, 116.0),
    "Hl": (700.0, 820.0),
    "L": (1_120.0, 1_680.0),
    "Kw": (9_855.0, 12_045.0),
}
