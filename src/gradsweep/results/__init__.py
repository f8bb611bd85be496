"""The names of numbers, and the places where they are kept.

Results with the axes they vary along enter; an xarray.Dataset leaves, or a store on disk.
To add a store, implement layout.Store in a file of stores/; running/destination.py chooses one by
the user's options.
To add a statistic, begin with its row in statistics.py; stores/reduced.py gathers it.
Never sees how a number was computed.
"""
