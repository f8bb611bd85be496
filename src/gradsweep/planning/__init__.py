"""The decisions of a run: the mode, the branches, the engine, the parts; and the Plan that runs.

A Request and options enter; a Plan leaves, which is run, or written as text by describe.py. The
mode is chosen in modes.py, the size of parts in parts.py, the engine in engines/choice.py.
Or a CompiledQuantity leaves (compiled.py), whose calls go straight into machine code, for all ways
through the function's Python branches at once (direct_calls.py).
An option is a line of options.py, and a field of the dataclass that reads it.
Never sees a framework's tensors, nor how a kernel is made.
"""
