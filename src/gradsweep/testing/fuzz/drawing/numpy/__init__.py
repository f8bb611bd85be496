"""The grammar of random functions written with NumPy and math."""
