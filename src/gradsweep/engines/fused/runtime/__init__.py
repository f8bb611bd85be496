"""Machine code runs over the points of arrays.

A Schedule and its code enter; a kernel leaves, with the loops around each nest (loops.py and
tiles.py), the words that they read (named in fields.py, written by frame.py), and the threads that
share the work.
Never sees a Program.
"""
