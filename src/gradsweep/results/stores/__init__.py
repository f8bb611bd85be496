"""Where results go: memory, netCDF, Zarr, or running statistics.

A Layout and the values of parts enter; a Dataset leaves, or what is on disk. Each file, or folder,
implements layout.Store, and none knows another.
Never sees what computes the parts.
"""
