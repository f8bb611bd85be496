"""Draw the README's figures, by running the README.

Its Python blocks run from top to bottom. Where an image of docs/figures follows a block, that block
has left a `figure`, which is saved under the image's name.

    python docs/make_figures.py
"""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
os.environ["MATPLOTLIBRC"] = str(ROOT / "docs" / "matplotlibrc")
os.environ["MPLBACKEND"] = "agg"
sys.path.insert(0, str(ROOT))

# A block that needs what is not installed here is marked after the language, and left out.
_BLOCK = re.compile(
    r"^```python(?P<needs>.*)\n(?P<code>(?:.*\n)*?)```\n(?:\n!\[.*\]\((?P<image>docs/figures/.*)\))?",
    flags=re.MULTILINE,
)


def main() -> None:
    """Run the README and save its figures."""
    namespace: dict = {"__name__": "readme"}
    for block in _BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8")):
        if block["needs"].strip() == "needs-compare":
            continue
        if block["needs"].strip() == "needs-plot":
            _stand_in(namespace)
        else:
            exec(compile(block["code"], "README.md", "exec", dont_inherit=True), namespace)
        if block["image"]:
            target = ROOT / block["image"]
            target.parent.mkdir(exist_ok=True)
            namespace["figure"].savefig(target)
            print(f"drew {target.relative_to(ROOT)}")


def _stand_in(namespace: dict) -> None:
    """Draw what gradsweep.plot will draw; needs plot: to be removed with the marks."""
    import matplotlib.pyplot as plt

    if "effects" in namespace:
        effects = namespace["effects"]
        mean = {name.removeprefix("contribution_"): float(v.mean()) for name, v in effects.items()}
        names = sorted(mean, key=lambda name: abs(mean[name]))
        figure, ax = plt.subplots(figsize=(7, 2.8))
        ax.barh(names, [mean[name] for name in names])
        ax.set(xlabel="mean ∂flow/∂x times the range of x, m³ per year")
        ax.grid(False, axis="y")
    else:
        greeks = namespace["greeks"]
        figure, axes = plt.subplots(2, 3, figsize=(8, 4.4), sharex=True)
        for ax, greek in zip(axes.flat, greeks.data_vars.values()):
            for sigma in greek.sigma.values:
                ax.plot(greek.S, greek.sel(sigma=sigma), label=f"{sigma:g}")
            ax.set(title=greek.attrs["long_name"])
        for ax in axes[-1]:
            ax.set(xlabel="S")
        axes.flat[0].legend(title="sigma")
    namespace["figure"] = figure


if __name__ == "__main__":
    main()
