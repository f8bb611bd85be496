"""Machine code runs over the points of arrays.

A Schedule and its code enter; a kernel leaves, with the loops around each nest, the frame that they
read, and the threads that share the work.
Never sees a Program.
"""
