"""One writer at a time: who holds a store, and whether that process is gone.

A folder enters; the right to write to it leaves, or an error that says who has it.
Never sees what is stored.
"""
