"""The words of a frame: the code that writes them and the machine code use one table."""

import subprocess
import sys
from pathlib import Path

from gradsweep.engines.fused.runtime import fields

# Reverses each header, between two words that nothing reads, before other modules are imported.
_MOVE = """
import sys
from collections import namedtuple
from enum import IntEnum
from importlib.util import module_from_spec, spec_from_file_location

name, path = sys.argv[1:]
spec = spec_from_file_location(name, path)
fields = sys.modules[name] = module_from_spec(spec)
spec.loader.exec_module(fields)


def changed(header):
    names = ["front", *reversed(header._fields), "back"]
    return namedtuple(header.__name__, names, defaults=[0] * len(names))


for words in "FRAME", "RANGE", "PHASE", "NEST", "OPERAND":
    header = changed(type(getattr(fields, words)))
    setattr(fields, header.__name__, header)
    setattr(fields, words, header(*range(len(header._fields))))
fields.Mode = IntEnum("Mode", {mode.name: 10 + 3 * mode for mode in fields.Mode})

from gradsweep.engines.fused.runtime import frame

assert (frame.NEST.function, len(frame.NEST)) == (8, 10)
"""

# Small blocks, so that frames have several, and private buffers begin with them.
_CHECK = """
from tests.engines import test_fused

frame._BLOCK_WORK, frame._BLOCK_MULTIPLE = (1, 1), 1
for lengths in (2, 3, 4), (40, 41, 42), (700, 2, 3):
    test_fused.test_a_grid_agrees_with_the_reference(lengths)
test_fused.test_arrays_of_any_strides_are_read_and_written()
"""

# A row's stride goes to the word where the loops write its address, so they find no stride.
_DISAGREE = """
frame.OperandHeader = lambda **words: fields.OperandHeader(
    **{**words, "stride": words["row"], "row": words["stride"]}
)
"""


def process(script: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", script, fields.__name__, fields.__file__]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)


def test_fields_may_be_moved_and_added_in_the_table_alone():
    done = process(_MOVE + _CHECK)
    assert done.returncode == 0, done.stderr


def test_control_a_field_that_is_written_elsewhere_than_it_is_read_is_noticed():
    done = process(_MOVE + _DISAGREE + _CHECK)
    assert "AssertionError" in done.stderr and done.returncode == 1
