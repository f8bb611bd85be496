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

_BLOCK = re.compile(
    r"^```python\n(?P<code>(?:.*\n)*?)```\n(?:\n!\[.*\]\((?P<image>docs/figures/.*)\))?",
    flags=re.MULTILINE,
)


def main() -> None:
    """Run the README and save its figures."""
    namespace: dict = {"__name__": "readme"}
    for block in _BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8")):
        exec(compile(block["code"], "README.md", "exec", dont_inherit=True), namespace)
        if block["image"]:
            target = ROOT / block["image"]
            target.parent.mkdir(exist_ok=True)
            namespace["figure"].savefig(target)
            print(f"drew {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
