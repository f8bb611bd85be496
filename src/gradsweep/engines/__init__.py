"""A Program over axes becomes a kernel.

A Trace enters, with the dims, shapes and dtypes of the values that it will be given; a kernel
leaves, which fills arrays. An engine is one file, or one folder, that implements job.Engine; its
line in `ENGINES` of choice.py makes it one that can be chosen.
Never sees how a Trace was made, nor what becomes of the numbers.
"""
