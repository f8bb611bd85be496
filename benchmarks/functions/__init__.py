"""Functions to differentiate that the examples do not have."""
