"""Programs of these tests, each in a process of its own that finds everything imported.

What takes a second is to import; so one process does, and forks for each program that is asked for.
As a program this is that process: it reads the words of one in each line, as JSON, and answers with
its exit status and what it wrote to stdout and stderr.
"""

import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

__all__ = ["ROOT", "python"]

ROOT = Path(__file__).parents[2]
_IMPORTED = ("tests.support.rivals", "zarr")


def python(*words: object, module: str = "tests.support.storing") -> subprocess.CompletedProcess:
    """Run `main` of a module of these tests, as `python -m` does."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    try:
        print(json.dumps([module, *map(str, words)]), file=server.stdin, flush=True)
        return subprocess.CompletedProcess(words, *json.loads(server.stdout.readline()))
    except BaseException:  # a test that took too long, say: its answer would be taken for another's
        server.kill()
        _server.cache_clear()
        raise


@functools.cache
def _server() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)
    temporary = functools.partial(tempfile.TemporaryFile, "w+")
    for line in sys.stdin:
        with open(os.devnull) as nothing, temporary() as out, temporary() as err:
            pid = os.fork()
            if not pid:
                for number, file in enumerate((nothing, out, err)):
                    os.dup2(file.fileno(), number)
                _run(*json.loads(line))
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            out.seek(0)
            err.seek(0)
            print(json.dumps([status, out.read(), err.read()]), flush=True)


def _run(module: str, *words: str) -> NoReturn:
    sys.argv, status = [module, *words], 1
    try:
        importlib.import_module(module).main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 2
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
