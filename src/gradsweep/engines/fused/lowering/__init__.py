"""A Program becomes LLVM IR.

A Job enters; a Schedule leaves, which says which loop computes what, and its code as text.
Never sees arrays, threads or machine code.
"""
