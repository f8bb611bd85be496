"""The layout stays as it was drawn: folders are the stages, and none grows too large."""

import ast
import re
import runpy
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "gradsweep"

# The script that draws the picture reads the imports.
PICTURE = runpy.run_path(str(ROOT / "docs" / "make_imports.py"))

MOST_LOOSE_FILES = 8
MOST_FILES_IN_A_FOLDER = 14
MOST_LINES = 400
MOST_LINES_OF_TESTS = 500


def folders(root: Path) -> list[Path]:
    return [root, *sorted({path.parent for path in root.rglob("*.py")} - {root})]


def too_long(root: Path, most: int) -> list[Path]:
    return [path for path in root.rglob("*.py") if len(path.read_text().splitlines()) > most]


def imports(root: Path) -> dict[str, set[str]]:
    """Return the modules that each module of a package imports, anywhere in its code."""
    found: dict[str, set[str]] = {name: set() for name in PICTURE["modules"](root)}
    for here, there in PICTURE["imports"](root):
        found[here].add(there)
    return found


def circles(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the modules that import themselves through others."""

    def reached(start: str) -> set[str]:
        seen, waiting = set(), list(graph[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph[name]
        return seen

    return [name for name in graph if name in reached(name)]


def test_few_files_are_loose():
    loose = [path for path in PACKAGE.iterdir() if path.is_file()]
    assert len(loose) <= MOST_LOOSE_FILES, loose


@pytest.mark.parametrize("folder", folders(PACKAGE), ids=lambda f: f.name)
def test_no_folder_holds_too_many_files_and_each_says_what_it_is(folder):
    assert len(list(folder.glob("*.py"))) <= MOST_FILES_IN_A_FOLDER
    says = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    assert says
    if folder.parent == PACKAGE:  # a stage
        assert "enter" in says and "leave" in says and "Never sees" in says


def test_no_file_is_too_long():
    assert not too_long(PACKAGE, MOST_LINES)
    assert not too_long(ROOT / "tests", MOST_LINES_OF_TESTS)


def test_no_modules_import_each_other_in_a_circle():
    graph = imports(PACKAGE)
    assert "gradsweep.request.sweep" in graph["gradsweep.api.plans"]
    assert not circles(graph)


def test_the_picture_in_the_documentation_shows_what_is_imported():
    order = PICTURE["order"]()
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders <= set(order)
    assert PICTURE["PICTURE"].read_text() == PICTURE["drawn"](order), "python docs/make_imports.py"


def test_tests_mirror_the_folders():
    stages = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    others = {"contracts", "support", "__pycache__"}
    found = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert found - others <= stages
    assert not list((ROOT / "tests").glob("test_*.py"))


def test_control_a_circle_is_found_wherever_its_imports_stand(tmp_path):
    root = tmp_path / "house"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "roof.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.wall import Wall\n"
    )
    (root / "wall.py").write_text("def build():\n    from house import ground\n")
    (root / "ground.py").write_text("import house.roof\n")
    assert sorted(circles(imports(root))) == ["house.ground", "house.roof", "house.wall"]
    (root / "ground.py").write_text("")
    assert not circles(imports(root))
    assert too_long(root, 0) and not too_long(root, 3)


# Folders that one row stands for: of tables, and of one thing in many files.
WHOLE = ("stores/zarr", "torch/recorder", "jax/rules", "fuzz/drawing", "fuzz/reference")


def unnamed(text):
    """Return the modules of the package that a page does not name."""
    words = {word for code in re.findall(r"`([^`]*)`", text) for word in re.findall(r"\w+", code)}
    return [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.stem not in {"__init__", "_version"} | words
        and not any(folder in path.as_posix() for folder in WHOLE)
    ]


def test_the_page_on_the_architecture_names_every_file():
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert unnamed(text) == []
    assert unnamed(text.replace("`support/memory`, `memory_pool`", "")) == [
        "support/memory_pool.py"
    ], "control: a file that the page leaves out is found"
