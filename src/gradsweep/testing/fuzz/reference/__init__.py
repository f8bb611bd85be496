"""What a derivative should be: the framework's own, at one point after another.

A function and the values of its arguments enter; arrays leave.
Never sees gradsweep's own numbers.
"""
