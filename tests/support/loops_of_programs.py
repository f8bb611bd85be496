"""Loops written into a Program."""

from gradsweep.program.rolled_loops import Step, find_body

N = 57


def rolled(b, write, initial, given=(), rows=(), n_steps=N, left=0):
    """Write a loop; return its carries in the end, and the rows that it leaves."""
    read = range(len(initial))
    body = find_body(b, write, initial, given, rows, n_steps, read, range(left))
    carries, rows_left = body.roll(b)
    return [carries[k] for k in read], [list(rows_left[k]) for k in range(left)]


def affine(b, a, c):
    """x -> a x + c, from x = 1, so often; and every x on the way, before it is changed."""

    def step(inner, carries, given, rows):
        (x,), (slope, offset) = carries, given
        return Step([inner.emit("add", inner.emit("mul", slope, x), offset)], [x])

    (x,), (path,) = rolled(b, step, [b.constant(1.0, "float64")], [a, c], left=1)
    return [x, path[0], path[1], path[-1]]
