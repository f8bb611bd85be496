"""What is decided: the mode, the branches, the engine, the parts.

A Request and options enter; a Plan leaves, which is run or described.
Never sees a framework's tensors, nor how a kernel is made.
"""
