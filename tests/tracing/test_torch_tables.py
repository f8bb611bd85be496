"""Tables of torch: lookups and interpolation at places that are swept."""

import numpy as np
import pytest
import scipy.interpolate

import gradsweep as gs
from gradsweep.program.program import Program
from tests.support.plain_loop import assert_as_a_loop

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

F = torch.nn.functional
RNG = np.random.default_rng(11)
X = np.sort(RNG.uniform(-2.0, 3.0, 30))
Y = RNG.normal(size=30)
KNOTS, VALUES = torch.tensor(X), torch.tensor(Y)
GRID = torch.tensor(RNG.normal(size=(7, 9)))
COUNTS = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])
FLAGS = torch.arange(8) % 3 == 0
# Between knots, at some, at both ends and beyond them.
POINTS = np.array([-0.3, X[4], X[11], 2.1, X[0], X[-1], -2.5, 3.5, 0.0])
SPLINE = scipy.interpolate.CubicSpline(X, Y)
COEFFICIENTS = torch.tensor(SPLINE.c)


def program_of(f, *points) -> Program:
    """Return the Program of a gradient, which has no guards: a kernel for all points."""
    names = "xyz"[: len(points)]
    sweep = gs.Sweep(**{name: (name, np.asarray(p)) for name, p in zip(names, points)})
    plan = gs.plan(gs.gradient, f, sweep)
    (entry,) = plan.branches
    program = entry.branch.traced.program
    assert plan.engine == "fused" and program is not None and not program.guards
    return program


def interval(x, right=False):
    return torch.clamp(torch.searchsorted(KNOTS, x, right=right), 1, len(X) - 1)


def linear(x):
    i = interval(x)
    slope = (VALUES[i] - VALUES[i - 1]) / (KNOTS[i] - KNOTS[i - 1])
    return VALUES[i - 1] + slope * (x - KNOTS[i - 1])


def linear_from_the_right(x):
    i = interval(x, right=True) - 1
    w = (x - KNOTS[i]) / (KNOTS[i + 1] - KNOTS[i])
    return torch.lerp(VALUES[i], VALUES[i + 1], w)


def linear_by_bucketize(x):
    i = torch.bucketize(x.clamp(X[0], X[-1]), KNOTS[1:-1])
    return VALUES[i] + (x - KNOTS[i]) * (VALUES[i + 1] - VALUES[i]) ** 2


def cubic(x):
    i = interval(x) - 1
    return torch.stack([c[i] * (x - KNOTS[i]) ** (3 - k) for k, c in enumerate(COEFFICIENTS)]).sum()


def cubic_by_rows(x):
    i = interval(x) - 1
    c, h = COEFFICIENTS[:, i], x - KNOTS[i]
    return ((c[0] * h + c[1]) * h + c[2]) * h + c[3]


def uniform(x):
    """Entries of a table at equal distances, by floor."""
    at = ((x + 2.0) / 0.5).clamp(0.0, 28.0)
    i = torch.floor(at).long()
    return VALUES[i] + (at - i) * (VALUES[i + 1] - VALUES[i])


def row_of_a_grid(x):
    i = torch.floor(x.abs()).to(torch.int32)
    return (GRID[i] * torch.cos(x)).sum() + GRID[i, 2] * GRID[..., i].norm() * x


def every_way_of_indexing(x):
    i = torch.floor(x.abs()).long()
    return (
        torch.take(GRID, i * 7) * x
        + GRID.index_select(1, i[None]).sum() * x**2
        + VALUES.gather(0, i.reshape(1))[0] * torch.sin(x)
        + GRID[None, i, :, None][0, 1:3].sum() * x
        + GRID[1:, i][2] * GRID[i, i + 1] * x
        + GRID.T[torch.stack([i, i + 2]), i].sum() * x
        + GRID[-i - 1].sum() * x
    )


def integers_and_truth_values(x):
    i = torch.floor(x.abs()).long()
    return torch.where(FLAGS[i], x**2, x**3) * COUNTS[i] + VALUES[COUNTS[i]] * x


def of_what_is_computed(x):
    """A table that each point has of its own."""
    table = torch.sin(x * torch.arange(1, 7))
    return table[table.argmax()] + table[torch.floor(x.abs()).long()] * x


def step(x):
    return VALUES[interval(x)] * torch.ones_like(x) + 0.0 * x


FUNCTIONS = [
    linear,
    linear_from_the_right,
    linear_by_bucketize,
    cubic,
    cubic_by_rows,
    uniform,
    row_of_a_grid,
    every_way_of_indexing,
    integers_and_truth_values,
    of_what_is_computed,
    step,
]


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_lookups_have_torchs_own_values_and_derivatives(f):
    assert_as_a_loop(f, "torch", points=POINTS)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_one_kernel_computes_all_points(f):
    program_of(f, POINTS)


def test_an_index_that_python_reads_is_a_branch():
    """The control of the test above."""

    def read(x):
        return VALUES[int(interval(x))] * x

    with pytest.raises((AssertionError, ValueError)):
        program_of(read, POINTS)


def test_linear_interpolation_is_numpys():
    points = RNG.uniform(X[0], X[-1], 400)
    found = gs.gradient(linear, gs.Sweep(x=points), with_value=True)
    np.testing.assert_allclose(found.linear, np.interp(points, X, Y), rtol=1e-12, atol=1e-14)
    slopes = np.diff(Y) / np.diff(X)
    np.testing.assert_allclose(found.dlinear_dx, slopes[np.searchsorted(X, points) - 1], rtol=1e-12)
    second = gs.hessian(linear, gs.Sweep(x=points))
    np.testing.assert_array_equal(np.broadcast_to(*second.values(), 400), 0.0)


@pytest.mark.parametrize("f", [cubic, cubic_by_rows])
def test_a_spline_is_scipys_with_both_derivatives(f):
    points = RNG.uniform(X[0], X[-1], 400)
    found = gs.hessian(f, gs.Sweep(x=points), with_value=True)
    value, second = (found[name].values for name in found)
    (first,) = gs.gradient(f, gs.Sweep(x=points)).values()
    for order, own in enumerate((value, first, second)):
        np.testing.assert_allclose(own, SPLINE(points, order), rtol=1e-9, atol=1e-9)


def bilinear(x, y):
    i = torch.clamp(torch.searchsorted(KNOTS[:7], x), 1, 6)
    j = torch.clamp(torch.bucketize(y, KNOTS[10:19]), 1, 8)
    u = (x - KNOTS[i - 1]) / (KNOTS[i] - KNOTS[i - 1])
    v = (y - KNOTS[9 + j]) / (KNOTS[10 + j] - KNOTS[9 + j])
    low = GRID[i - 1, j - 1] * (1 - v) + GRID[i - 1, j] * v
    return low * (1 - u) + (GRID[i, j - 1] * (1 - v) + GRID[i, j] * v) * u


def test_bilinear_interpolation_is_scipys():
    x, y = RNG.uniform(X[0], X[6], 13), RNG.uniform(X[10], X[18], 17)
    found = gs.gradient(bilinear, gs.Sweep(x=x, y=y), with_value=True)
    exact = scipy.interpolate.RegularGridInterpolator((X[:7], X[10:19]), GRID.numpy())
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    np.testing.assert_allclose(found.bilinear, exact(points), rtol=1e-12, atol=1e-14)
    # Within a cell it is linear in each: a difference quotient is exact.
    h = 1e-3
    for axis, name in enumerate(("x", "y")):
        moved = np.eye(2)[axis] * h
        slope = (exact(points + moved / 2) - exact(points - moved / 2)) / h
        knots = (X[:7], X[10:19])[axis]
        is_inside = (np.abs(points[..., axis, None] - knots) > h).all(-1)
        own = found[f"dbilinear_d{name}"].values
        np.testing.assert_allclose(own[is_inside], slope[is_inside], rtol=1e-9, atol=1e-9)
    assert len(program_of(bilinear, x, y).equations) < 150


def through_entries(x, y):
    """Of a table that is an argument: entries are swept, or differentiated."""
    i = torch.clamp(torch.searchsorted(KNOTS, x), 1, len(y) - 1)
    w = (x - KNOTS[i - 1]) / (KNOTS[i] - KNOTS[i - 1])
    return y[i - 1] * (1 - w) ** 2 + y[i] ** 2 * w


def test_the_derivative_by_a_table_is_that_of_its_entries_that_are_read():
    points = RNG.uniform(X[0], X[-1], 5)
    found = gs.gradient(through_entries, gs.Sweep(x=points, y=((), Y)), wrt=["x", "y"])
    assert found.dthrough_entries_dy.dims == ("x", "y_0")
    for k, point in enumerate(points):
        x, y = (torch.tensor(a, requires_grad=True) for a in (point, Y))
        by_x, by_y = torch.autograd.grad(through_entries(x, y), (x, y))
        np.testing.assert_allclose(found.dthrough_entries_dx[k], by_x, rtol=1e-12)
        np.testing.assert_allclose(found.dthrough_entries_dy[k], by_y, rtol=1e-12)
        assert np.count_nonzero(found.dthrough_entries_dy[k]) == 2


@pytest.mark.parametrize("engine", ["fused", "reference", "torch", "loop"])
def test_a_table_for_each_point_is_that_of_its_own(engine):
    points, tables = RNG.uniform(X[0], X[-1], 6), RNG.normal(size=(6, 30))
    sweep = gs.Sweep(x=("p", points), y=("p", tables))
    found = gs.gradient(through_entries, sweep, wrt=["x", "y"], engine=engine)
    for k in range(6):
        x, y = (torch.tensor(a, requires_grad=True) for a in (points[k], tables[k]))
        by_x, by_y = torch.autograd.grad(through_entries(x, y), (x, y))
        np.testing.assert_allclose(found.dthrough_entries_dx[k], by_x, rtol=1e-12)
        np.testing.assert_allclose(found.dthrough_entries_dy[k], by_y, rtol=1e-12)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_both_modes_differentiate_by_a_table(mode):
    sweep = gs.Sweep(x=POINTS[:4], y=((), Y))
    (found,) = gs.jacobian(through_entries, sweep, wrt="y", mode=mode).values()
    (plain,) = gs.jacobian(through_entries, sweep, wrt="y", engine="loop").values()
    np.testing.assert_allclose(found, plain, rtol=1e-12)


def written(x, y, i, j, add):
    cells = torch.zeros(5, 4, dtype=x.dtype) + y
    cells = torch.index_put(cells, (i, j), torch.sin(x), accumulate=add)
    cells = cells.index_add(0, i[None], (x**2 * torch.arange(4.0, dtype=x.dtype))[None])
    cells = cells.put(torch.stack([i, j + 7]), torch.stack([x, y]), accumulate=add)
    return (cells * torch.arange(20.0, dtype=x.dtype).reshape(5, 4)).sum()


@pytest.mark.parametrize("add", [True, False])
def test_what_is_written_at_swept_places_is_torchs(add):
    def f(x):
        i = torch.floor(x.abs()).long()
        return written(x, torch.cos(x), i, i - 1, add)

    assert_as_a_loop(f, "torch", points=POINTS)
    program_of(f, POINTS)


def test_outside_of_a_table_is_torchs_error_where_the_function_is_traced():
    def f(x):
        return VALUES[torch.floor(x).long()] * x

    with pytest.raises(IndexError, match="out of bounds"):
        gs.gradient(f, gs.Sweep(x=[40.0, 2.0]))


def test_outside_of_a_table_is_nan_at_other_points():
    def f(x):
        return VALUES[torch.floor(x).long()] * x

    points = np.array([3.5, 29.5, 30.5, -30.0, -30.5, 1e18, -1e18, np.nan, np.inf, -0.5])
    for engine in ("fused", "reference"):
        found = gs.gradient(f, gs.Sweep(x=points), engine=engine, with_value=True)
        expected = np.full(10, np.nan)
        for k in (0, 1, 3, 9):
            expected[k] = Y[int(np.floor(points[k]))]
        np.testing.assert_array_equal(found.df_dx, expected)
        np.testing.assert_array_equal(found.f, expected * points)


def test_the_search_takes_nan_and_infinity_as_torch_does():
    points = np.array([np.nan, np.inf, -np.inf, X[0], X[-1], 0.1])
    tied = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 1.5, 2.0, 2.0, 3.0, np.inf])
    for knots in (KNOTS, tied, tied[:3], tied[:1], tied[3:8]):
        for right in (False, True):

            def f(x, knots=knots, right=right):
                return torch.searchsorted(knots, x, right=right) * 1.0

            at = np.concatenate([points, tied[:5].numpy()])
            found = gs.value(f, gs.Sweep(x=at)).f
            expected = torch.searchsorted(knots, torch.tensor(at), right=right)
            np.testing.assert_array_equal(found, expected)


def test_rows_of_knots_are_searched_each_by_its_own_values():
    rows = torch.tensor(np.sort(RNG.normal(size=(2, 12)), axis=1))

    def f(x):
        return torch.searchsorted(rows, torch.stack([x, 2 * x])[:, None], side="right").sum() * x

    assert_as_a_loop(f, "torch", points=POINTS)


def through_a_view(x):
    row = GRID.clone()[torch.floor(x.abs()).long()]
    return row[2] * x


def into_a_view(x):
    cells = GRID * x
    row = cells[torch.floor(x.abs()).long()]
    row *= 2.0
    return cells.sum() * x


def into_the_table(x):
    cells = GRID * x
    row = cells[torch.floor(x.abs()).long()]
    cells[:3] = 5.0
    return row.sum() * x


def in_place(x):
    cells = torch.zeros(4, dtype=x.dtype) + x
    cells[torch.floor(x.abs()).long()] += x**2
    return (cells * torch.arange(4.0)).sum()


@pytest.mark.parametrize("f", [through_a_view, into_a_view, into_the_table, in_place])
def test_writes_through_an_entry_are_torchs(f):
    """`table[i]` is a view in torch, and is gathered here where nobody can tell."""
    assert_as_a_loop(f, "torch", points=POINTS)


def test_a_write_into_a_table_that_is_not_owned_is_an_error():
    def f(x):
        row = GRID[torch.floor(x.abs()).long()]
        row *= 2.0
        return row.sum() * x

    before = GRID.clone()
    with pytest.raises(gs.errors.StatefulFunction, match="does not own"):
        gs.gradient(f, gs.Sweep(x=POINTS))
    assert torch.equal(GRID, before)


def test_a_lookup_under_no_grad_is_a_constant():
    def f(x):
        with torch.no_grad():
            weight = (GRID * x)[torch.floor(x.abs()).long(), 1]
        return weight * x

    assert_as_a_loop(f, "torch", points=POINTS)


def test_single_precision_stays_so():
    knots, values = KNOTS.float(), VALUES.float()

    def f(x):
        i = torch.clamp(torch.searchsorted(knots, x), 1, 29)
        return values[i] * x

    points = RNG.uniform(-2, 3, 20).astype("float32")
    (found,) = gs.gradient(f, gs.Sweep(x=points)).values()
    assert found.dtype == np.float32
    places = np.clip(np.searchsorted(knots.numpy(), points), 1, 29)
    np.testing.assert_array_equal(found, values.numpy()[places])


def test_a_complex_table_is_looked_up():
    table = VALUES[:12] + 1j * VALUES[12:24]

    def f(x):
        return (table[torch.floor(x.abs() * 3).long()] * torch.exp(1j * x)).real

    points = RNG.uniform(-3, 3, 20)
    found = gs.gradient(f, gs.Sweep(x=points), with_value=True)
    entries = table.numpy()[np.floor(abs(points) * 3).astype(int)]
    np.testing.assert_allclose(found.f, (entries * np.exp(1j * points)).real, rtol=1e-12)
    np.testing.assert_allclose(found.df_dx, (1j * entries * np.exp(1j * points)).real, rtol=1e-12)


def test_equations_grow_with_the_logarithm_of_a_table():
    def n_equations(n: int) -> int:
        knots = torch.linspace(-2.0, 3.0, n)
        return len(program_of(lambda x: torch.searchsorted(knots, x) * x, POINTS).equations)

    assert n_equations(4096) - n_equations(512) == 3 * (n_equations(1024) - n_equations(512))


IMAGES = torch.tensor(RNG.normal(size=(2, 2, 3, 4)))


def sampled(mode, padding, aligns):
    def f(x):
        grid = torch.stack([torch.sin(3 * x) * 1.7, x * 0.6, x * 0.3, torch.cos(x) * 2.1])
        found = F.grid_sample(
            IMAGES * torch.cos(x),
            grid.reshape(1, 2, 1, 2).expand(2, 2, 1, 2),
            mode=mode,
            padding_mode=padding,
            align_corners=aligns,
        )
        return (found * torch.arange(8.0, dtype=x.dtype).reshape(2, 2, 2, 1)).sum()

    return f


@pytest.mark.parametrize("aligns", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_samples_of_images_are_torchs(mode, padding, aligns):
    f = sampled(mode, padding, aligns)
    points = np.array([-0.3, 0.7, 2.1, -3.4, 1.9, 0.0])
    assert_as_a_loop(f, "torch", second=False, points=points)
    program_of(f, points)


def test_a_sample_is_that_of_scipy_between_pixels():
    image = IMAGES[:1, :1]

    def f(x, y):
        return F.grid_sample(image, torch.stack([x, y]).reshape(1, 1, 1, 2), align_corners=True)[
            0, 0, 0, 0
        ]

    x, y = RNG.uniform(-1, 1, 7), RNG.uniform(-1, 1, 8)
    found = gs.gradient(f, gs.Sweep(x=x, y=y), with_value=True)
    exact = scipy.interpolate.RegularGridInterpolator(
        (np.linspace(-1, 1, 3), np.linspace(-1, 1, 4)), image[0, 0].numpy()
    )
    points = np.stack(np.meshgrid(y, x), axis=-1)
    np.testing.assert_allclose(found.f, exact(points), rtol=1e-12, atol=1e-13)


def test_a_bicubic_sample_runs_on_torch():
    f = sampled("bicubic", "zeros", True)
    plan = gs.plan(gs.gradient, f, gs.Sweep(x=[0.3, 0.8]))
    assert plan.engine != "fused" and "bicubic" in str(plan)
