"""A Program over axes becomes a kernel.

A Trace enters, with the dims, shapes and dtypes of its leaves; a kernel leaves, which fills arrays.
An engine is one file, or one folder, that implements job.Engine; a line in `ENGINES` of choice.py
makes it one that can be chosen.
Never sees how a Trace was made, nor what becomes of the numbers.
"""
