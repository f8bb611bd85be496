"""What is decided: the mode, the branches, how many points at once; and what runs it.

A Request and options enter; a Plan leaves, which is run, or written as text by describe.py. The
mode is chosen in modes.py, the size of parts in planner.py; the engine in engines/choice.py, which
is asked.
Never sees a framework's tensors, nor how a kernel is made.
"""
