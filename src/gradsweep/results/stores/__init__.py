"""Where results go: memory, Zarr, or running statistics. Siblings never meet."""
