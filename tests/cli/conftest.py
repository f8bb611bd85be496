"""The command, a model for it, and its refusals."""

import sys
from pathlib import Path

import pytest

from gradsweep.cli import main
from tests.support.command_line import MODEL


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A folder with model.py, in which the commands run."""
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [
        n for n, m in sys.modules.items() if str(tmp_path) in str(getattr(m, "__file__", ""))
    ]:
        del sys.modules[name]


@pytest.fixture
def run(capsys):
    """Run a command that succeeds and return its stdout."""

    def call(*words: str) -> str:
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    return call


@pytest.fixture
def refuse(capsys):
    """Run a command that is not understood and return its stderr."""

    def call(*words: str, code: int = 2) -> str:
        assert main([str(word) for word in words]) == code
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Traceback" not in printed.err
        return printed.err

    return call
