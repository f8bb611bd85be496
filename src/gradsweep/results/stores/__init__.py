"""Where results go: memory, netCDF, Zarr, or running statistics.

A Layout and the values of parts enter; a Dataset, or a store on disk, leaves. Each file or folder
implements layout.Store.
Never sees what computes the parts.
"""
