"""A Program becomes LLVM IR.

A Job enters; a Schedule of loops leaves, and its code as text.
Never sees arrays, threads or machine code.
"""
