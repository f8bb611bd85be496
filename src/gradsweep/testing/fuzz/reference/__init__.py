"""What a derivative should be: the framework's own, or NumPy's by differences, point after point.

A function and the values of its arguments enter; arrays leave.
Never sees gradsweep's own numbers.
"""
