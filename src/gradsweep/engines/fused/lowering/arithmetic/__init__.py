"""What LLVM IR computes a primitive: a few instructions, a function of our own, a library's.

Names of vectors enter, lines of IR leave.
Never sees a Program.
"""
