"""Which names with a leading underscore the tests know of the library, and why: the list is whole.

A name is added only where no public one tells the same.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

KNOWN = {
    "a size, a number or a time that a test sets, so that little is enough": """
        _BLOCK_MULTIPLE _BLOCK_WORK _CGROUP_FILES _LONGEST_INDEX _QUIET_SECONDS
        _SECONDS_PER_COMPILED_EQUATION _SECONDS_PER_NUMPY_CALL _SHORT _SHORT_PROGRAM
        _WORK_FOR_THREADS _WORK_UNINTERRUPTED
    """,
    "a protection that a control takes away": """
        _BodyWriter _CREDIT _Counter _Finder _IN_THE_FORM_OF _MOST_PIECES _ONE_SIDED _PAUSES_SECONDS
        _Run _agree_with_rows _are_derivatives _by_forward_formulas _clean _constant
        _delete _depends_alike _end _failure _find_in_loop _first_that_has_rules _is_superseded
        _is_transposed _is_wide_enough _jacobian_of_field _killed _node
        _outside _problem _put_once _record _run _taken _takes_positions _terminating _transposed
    """,
    "a part in whose place a test puts one of its own: a store, work that kills, a terminal": """
        _forget _is_interactive _store _use_one_thread _work
    """,
    "the tables of rules, of which every row is tried": "_COMPARISONS _FORMULAS",
    "how LLVM is asked for the assembly that it writes": "_binding",
    "what is held while a process forks": "_direct _lock",
    "what a run that was taken over still appends, past the check that tells it": "_ledger",
    "when another process started, as /proc has it": "_started",
    "how much a tree of states holds": "_waiting",
    "functions whose options a test reads": "_arange",
    "none of the library's here: the end of a variable's name": "_imag _jax _matrix _real _std",
}


def words(tree: ast.AST) -> Iterator[str]:
    """Yield every name that is read of a module or a value, and what strings name of them."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(_, name):
                yield name
            case ast.ImportFrom(module, names):
                yield from (module or "").split(".")
                yield from (alias.name for alias in names)
            case ast.Constant(str(text)):
                yield from re.findall(r"(?:^|\.)(\w+)", text)


def defined(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a file gives to something."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name) | ast.ClassDef(name) | ast.Name(name, ast.Store()):
                yield name
            case ast.Attribute(ast.Name("self"), name, ast.Store()):
                yield name


def known(tests: Path, library: Path) -> set[str]:
    """Return the private names of a library that tests know."""
    own = {name for path in library.rglob("*.py") for name in defined(ast.parse(path.read_text()))}
    private = {name for name in own if re.fullmatch(r"_[A-Za-z](\w*[^\W_])?", name)}
    found: set[str] = set()
    for path in tests.rglob("*.py"):
        tree = ast.parse(path.read_text())
        found |= private.intersection(words(tree)).difference(defined(tree))
    return found


def test_the_private_names_that_tests_know_are_listed_with_a_reason():
    found = known(ROOT / "tests", ROOT / "src" / "gradsweep")
    assert sorted(found) == sorted(" ".join(KNOWN.values()).split())


def test_control_a_private_name_is_found_however_it_is_known(tmp_path):
    (tmp_path / "house.py").write_text(
        "_attic = 1\n"
        "def _bedroom(): pass\n"
        "class Cellar:\n    def __init__(self): self._damp = 1\n"
        "def _eaves(): pass\n"
    )
    tests = tmp_path / "tests"
    tests.mkdir()
    for text, name in {
        "from house import _attic": "_attic",
        "house._bedroom()": "_bedroom",
        "Cellar()._damp": "_damp",
        "setattr(house, '_attic', 2)": "_attic",
        "setattr('house._bedroom', None)": "_bedroom",
        "run('import house; house._attic = 2')": "_attic",
        "def _eaves(): pass\nx._eaves()": None,
        "os._exit(0)": None,
    }.items():
        (tests / "test_house.py").write_text(text)
        assert known(tests, tmp_path) == ({name} if name else set()), text
