"""What numbers are called, and where they are kept.

Results with the axes they vary along enter; an xarray.Dataset leaves, or a store on disk.
To add a store, implement layout.Store in a file of stores/; running/destination.py chooses among
them by what the user asks for.
Never sees how a number was computed.
"""
