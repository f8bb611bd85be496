"""The step of a loop while it is written: what it is given, and what is known at every step.

Knows nothing of frameworks.
"""
