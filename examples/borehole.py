"""The borehole function, in torch, and its sensitivities over a design.

The flow of water through a borehole between two aquifers, in m^3 per year:

    2 pi Tu (Hu - Hl) / (log(r / rw) (1 + 2 L Tu / (log(r / rw) rw^2 Kw) + Tu / Tl))

Reference: Harper and Gupta (1983), Sensitivity/Uncertainty Analysis of a Borehole Scenario,
Office of Nuclear Waste Isolation, report BMI/ONWI-516. The ranges are those of Surjanovic and
Bingham, Virtual Library of Simulation Experiments.
"""

import math

import torch

import gradsweep as gs
from examples.borehole_ranges import RANGES

__all__ = ["flow"]


def flow(rw, r, Tu, Hu, Tl, Hl, L, Kw):
    """Return the flow through the borehole, in m^3 per year.

    Args:
        rw: radius of the borehole, m.
        r: radius of influence, m.
        Tu, Tl: transmissivity of the upper and of the lower aquifer, m^2 per year.
        Hu, Hl: potentiometric head of the upper and of the lower aquifer, m.
        L: length of the borehole, m.
        Kw: hydraulic conductivity of the borehole, m per year.
    """
    log_ratio = torch.log(r / rw)
    resistance = 1 + 2 * L * Tu / (log_ratio * rw**2 * Kw) + Tu / Tl
    return 2 * math.pi * Tu * (Hu - Hl) / (log_ratio * resistance)


def main() -> None:
    design = gs.Sweep.sample(1000, RANGES, rng=0)
    gradient = gs.gradient(flow, design)
    print("Mean |df/dx| times the range of x, the larger the more it matters:")
    for name, (low, high) in RANGES.items():
        effect = abs(gradient[f"dflow_d{name}"]).mean().item() * (high - low)
        print(f"  {name:<2}  {effect:8.3f} m^3 per year")


if __name__ == "__main__":
    main()
