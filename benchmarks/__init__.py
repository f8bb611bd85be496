"""How fast gradsweep is, against what else one could use, side by side in one process.

    python -m benchmarks --quick

Cases and rivals are tables (`cases.py`, `rivals/`). Every rival's values are compared with a
closed form before it is timed, and one that cannot run, is wrong or is not installed stays in
the table with the reason.
"""
