"""A Program over axes becomes a kernel.

A Trace, and the form of the values that it will be computed of, enter; a kernel leaves, which fills
arrays. An engine is one file, or one folder, that implements job.Engine; choice.py lists them.
Never sees how a Trace was made, nor what becomes of the numbers.
"""
