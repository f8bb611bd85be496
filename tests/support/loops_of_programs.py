"""Loops that are written into a Program."""

from gradsweep.program.rolled_loops import Operands, Step, find_body

N = 57


def rolled(b, write, initial, given=(), rows=(), n_steps=N):
    """Write a loop; return its final carries, and the rows that it leaves."""
    read = range(len(initial))
    body = find_body(b, write, Operands(initial, given, rows), n_steps, read)
    carries, left = body.roll(b)
    return [carries[k] for k in read], [list(left[k]) for k in sorted(left)]


def affine(b, a, c):
    """x -> a x + c, from x = 1, N times; and every x on the way, before it is changed."""

    def step(inner, carries, given, rows):
        (x,), (slope, offset) = carries, given
        return Step([inner.emit("add", inner.emit("mul", slope, x), offset)], [x])

    (x,), (path,) = rolled(b, step, [b.constant(1.0, "float64")], [a, c])
    return [x, path[0], path[1], path[-1]]
