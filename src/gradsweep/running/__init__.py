"""Carry out what was decided, here or on a cluster.

A run, its parts and a destination enter, or a kernel and arrays; the results leave, at the
destination. A part is computed and stored as a whole; a kernel works through it chunk by chunk.
To add a scheduler, implement scheduler.Scheduler in a file of its own; destination.py chooses one
by the user's options.
Never sees why the parts are cut as they are.
"""
