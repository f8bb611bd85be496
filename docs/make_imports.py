"""Draw which folder of the package imports which: docs/figures/imports.svg.

    python docs/make_imports.py

A folder stands below those that import it, so that every number stands below the diagonal. The
numbers count imports of names from modules, those for type checkers alone included.
"""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "figures" / "imports.svg"

# From above: what stands on one line never meets.
ORDER = """
    cli testing checks comparison api figures planning running tracing engines results interpreters
    program request support
""".split()

CELL, LEFT, TOP = 34, 112, 96


def counted(package: Path) -> Counter[tuple[str, str]]:
    """Return how often a folder, or file, of the package imports from another."""
    found: Counter[tuple[str, str]] = Counter()
    for path in package.rglob("*.py"):
        here = path.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            first, *below = node.module.split(".")
            names = [alias.name for alias in node.names]
            for there in [below[0]] * len(names) if below else names:
                if first == package.name and {here, there} <= set(ORDER) and there != here:
                    found[here, there] += 1
    return found


def drawn(counts: Counter[tuple[str, str]]) -> str:
    """Return the picture as SVG: rows are imported by columns."""
    most = max(counts.values())
    width, height = LEFT + CELL * len(ORDER) + 16, TOP + CELL * len(ORDER) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="12" role="img">',
        "<title>How often each folder imports from those below it</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, name in enumerate(ORDER):
        x, y = LEFT + CELL * place, TOP + CELL * place
        middle = y + CELL / 2 + 4
        lines += [
            f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{name}</text>',
            f'<text transform="translate({x + CELL / 2 + 4} {TOP - 8}) rotate(-60)">{name}</text>',
            f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="#dddddd"/>',
        ]
    for (here, there), n in sorted(counts.items()):
        x = LEFT + CELL * ORDER.index(here)
        y = TOP + CELL * ORDER.index(there)
        shade = 0.15 + 0.85 * (n / most) ** 0.5
        ink = "white" if shade > 0.6 else "black"
        cell = f'x="{x}" y="{y}" width="{CELL}" height="{CELL}"'
        text = f'x="{x + CELL / 2}" y="{y + CELL / 2 + 4}" text-anchor="middle"'
        lines += [
            f'<rect {cell} fill="#0072b2" fill-opacity="{shade:.2f}"/>',
            f'<text {text} fill="{ink}">{n}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(drawn(counted(ROOT / "src" / "gradsweep")))
