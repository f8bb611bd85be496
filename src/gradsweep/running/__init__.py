"""Carrying out what was decided: part by part, chunk by chunk, here or on a cluster.

A run, its parts and a destination enter; what the destination makes of the results leaves.
Never sees why the parts are cut as they are.
"""
