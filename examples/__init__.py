"""Functions to differentiate, each with a main() that shows one quantity.

Run one with `python -m examples.black_scholes`, and the tour with `python -m examples`.
"""
