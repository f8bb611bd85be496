"""The decisions of a run: the mode, the branches, the engine, the parts; and the Plan that runs.

A Request and options enter; a Plan leaves, which is run, or written as text by describe.py. The
mode is chosen in modes.py, the size of parts in parts.py, the engine in engines/choice.py.
Never sees a framework's tensors, nor how a kernel is made.
"""
