"""The README: its Python runs, and the program understands its commands."""

import re
import shlex
from pathlib import Path

import pytest

from gradsweep.cli.options import make_parser

ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.jax
def test_python_blocks_run_from_top_to_bottom(capsys):
    # dont_inherit and a filename keep tracebacks pointing to the block that failed.
    namespace: dict = {"__name__": "readme"}
    for number, block in enumerate(blocks("python"), start=1):
        exec(compile(block, f"README.md, block {number}", "exec", dont_inherit=True), namespace)
    assert "[4. 3. 4. 5. 6.]" in capsys.readouterr().out


def test_command_lines_are_understood():
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("gradsweep ")]
    assert len(commands) == 6
    for command in commands:
        make_parser().parse_args(command)


def test_each_quick_start_is_one_command():
    setups = [block for block in blocks("sh") if "-m venv" in block]
    assert [block.count("\n") for block in setups] == [1, 1]
    assert setups[0].strip().endswith("-m examples")
    assert setups[1].strip().endswith("-m pytest -n auto --dist worksteal")
