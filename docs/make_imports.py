"""Draw which folder of the package imports which: docs/figures/imports.svg.

    python docs/make_imports.py

A folder stands below those that import it, in the order of the layers in pyproject.toml, so that
every number stands below the diagonal. The numbers count names that are imported, those for type
checkers alone included.
"""

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "gradsweep"
PICTURE = ROOT / "docs" / "figures" / "imports.svg"

CELL, LEFT, TOP = 34, 112, 96


def modules(package: Path) -> dict[str, Path]:
    """Return the modules of a package, by name."""
    return {
        ".".join((package.name, *path.relative_to(package).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in package.rglob("*.py")
    }


def imports(package: Path) -> Iterator[tuple[str, str]]:
    """Yield, for each name that is imported, the module that imports it and the one it is of."""
    found = modules(package)
    for here, path in found.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in found else node.module for name in names]
            else:
                continue
            yield from ((here, there) for there in names if there in found and there != here)


def order() -> list[str]:
    """Return the folders from above, as the contract of import-linter lists them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [name for line in settings["contracts"][0]["layers"] for name in line.split(" | ")]


def drawn(names: Sequence[str], package: Path = PACKAGE) -> str:
    """Return the picture as SVG: rows are imported by columns."""
    folders = ([module.split(".")[1:2] for module in pair] for pair in imports(package))
    counts = Counter(
        (here[0], there[0])
        for here, there in folders
        if here != there and {*here, *there} <= {*names} and here and there
    )
    most = max(counts.values())
    width, height = LEFT + CELL * len(names) + 16, TOP + CELL * len(names) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="12" role="img">',
        "<title>How often each folder imports from those below it</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, name in enumerate(names):
        x, y = LEFT + CELL * place, TOP + CELL * place
        middle = y + CELL / 2 + 4
        lines += [
            f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{name}</text>',
            f'<text transform="translate({x + CELL / 2 + 4} {TOP - 8}) rotate(-60)">{name}</text>',
            f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="#dddddd"/>',
        ]
    for (here, there), n in sorted(counts.items()):
        x, y = LEFT + CELL * names.index(here), TOP + CELL * names.index(there)
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
    PICTURE.write_text(drawn(order()))
