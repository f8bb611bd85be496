"""The torch frontend: Programs against torch's own autograd, state, branches, dtypes.

Expected numbers come from torch's plain autograd at one point at a time, from closed forms or
from scipy; Programs are evaluated by the reference engine's meaning of the primitives.
"""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import gradsweep as gs  # noqa: E402
from gradsweep.errors import OutputError, StatefulFunction  # noqa: E402
from gradsweep.program.primitives import PRIMITIVES  # noqa: E402
from gradsweep.request.function import bind  # noqa: E402
from gradsweep.request.quantities import Derivative  # noqa: E402
from gradsweep.request.sweep import Sweep  # noqa: E402
from gradsweep.tracing.torch import Float64Mode, trace  # noqa: E402

pytestmark = pytest.mark.torch

F = torch.nn.functional
special = torch.special
VECTOR = np.array([0.3, -0.7, 1.9])
POSITIVE = np.array([0.4, 1.3, 2.2])
UNIT = np.array([0.2, 0.55, 0.8])
MATRIX = np.array([[0.3, -0.7, 1.9], [1.1, 0.6, -0.2]])
SQUARE = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.7], [0.2, -0.6, 1.8]])
INDEX = torch.tensor([2, 0, 2])


def traced(f, quantity="gradient", **point):
    point = {name: np.asarray(value) for name, value in point.items()}
    sweep = Sweep(**{name: ((), value) for name, value in point.items()})
    wrt = tuple(name for name, value in point.items() if value.dtype.kind == "f")
    return trace(bind(f, sweep), Derivative(quantity, wrt), point)


def evaluate(program, **point):
    """Return the outputs of a Program at a point, and whether its guards hold there."""
    values = [np.asarray(point[i.leaf]).ravel()[i.element] for i in program.inputs]
    values += [np.dtype(c.dtype).type(c.value) for c in program.constants]
    with np.errstate(all="ignore"):
        for primitive, operands, dtype in program.equations:
            result = PRIMITIVES[primitive].numpy(*(values[o] for o in operands))
            assert np.asarray(result).dtype == dtype, (primitive, dtype)
            values.append(result)
    outputs = [np.array([values[v] for v in o.variables]).reshape(o.shape) for o in program.outputs]
    return outputs, all(values[g.variable] == g.expected for g in program.guards)


def assert_agrees(f, x, quantity, expected, rtol=1e-9):
    result = traced(f, quantity, x=x)
    assert result.program is not None, result.reason
    (found,), holds = evaluate(result.program, x=x)
    assert holds
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-12)
    assert found.dtype == np.float64


def weigh(y):
    """Return a scalar in which every element of y counts differently."""
    weights = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)
    return (y.double() * weights).sum()


def rows(point, **functions):
    return [pytest.param(f, point, id=name) for name, f in functions.items()]


OPERATIONS = [
    *rows(
        VECTOR,
        add=lambda x: torch.add(x, x.flip(0), alpha=1.7),
        sub=lambda x: torch.sub(x, 2.0, alpha=3),
        rsub=lambda x: torch.rsub(x, 2.0, alpha=1.5) + (1 - x),
        mul=lambda x: x * x * 2.5,
        div=lambda x: x / (x + 3.0) + 1.0 / x,
        floor_mode=lambda x: x * torch.div(x, 0.4, rounding_mode="floor"),
        trunc_mode=lambda x: x * torch.div(x, 0.4, rounding_mode="trunc"),
        floor_divide=lambda x: x * (x.detach() // 0.3),
        neg=lambda x: -x,
        reciprocal=torch.reciprocal,
        square=torch.square,
        cube=lambda x: x**3 + x**-2 + x**0,
        exponent=lambda x: 2.0**x,
        abs=torch.abs,
        exp=torch.exp,
        exp2=torch.exp2,
        expm1=torch.expm1,
        sin=torch.sin,
        cos=torch.cos,
        tan=torch.tan,
        atan=torch.atan,
        sinh=torch.sinh,
        cosh=torch.cosh,
        tanh=torch.tanh,
        asinh=torch.asinh,
        atan2=lambda x: torch.atan2(x, x.flip(0)),
        hypot=lambda x: torch.hypot(x, x.flip(0)),
        erf=torch.erf,
        erfc=torch.erfc,
        sigmoid=torch.sigmoid,
        softplus=lambda x: F.softplus(x) + F.softplus(x, beta=3, threshold=2),
        relu=F.relu,
        relu6=F.relu6,
        leaky_relu=lambda x: F.leaky_relu(x, 0.2),
        elu=lambda x: F.elu(x, 1.3),
        selu=F.selu,
        celu=lambda x: F.celu(x, 0.8),
        gelu=F.gelu,
        gelu_tanh=lambda x: F.gelu(x, approximate="tanh"),
        silu=F.silu,
        mish=F.mish,
        hardtanh=lambda x: F.hardtanh(x, -0.5, 0.5),
        hardswish=F.hardswish,
        softsign=F.softsign,
        log_sigmoid=F.logsigmoid,
        softshrink=lambda x: F.softshrink(x, 0.4),
        threshold=lambda x: F.threshold(x, 0.1, 0.2),
        clamp=lambda x: x.clamp(-0.5, 0.5) + x.clamp(min=0.1) + x.clamp(max=0.1),
        clamp_tensor=lambda x: torch.clamp(x, x.flip(0) - 0.4, torch.tensor(0.5)),
        where=lambda x: torch.where(x > 0, x * x, -x),
        masked_fill=lambda x: (x * x).masked_fill(x > 1, 0.5),
        maximum=lambda x: torch.maximum(x, x.flip(0)) + torch.minimum(x, torch.tensor(0.1)),
        fmax=lambda x: torch.fmax(x, x.flip(0)) + torch.fmin(x, torch.tensor(0.1)),
        remainder=lambda x: torch.remainder(x, 0.4) + x % -0.3 + torch.remainder(2.0, x.detach()),
        fmod=lambda x: torch.fmod(x, 0.4),
        rounding=lambda x: x * (x.floor() + x.ceil() + x.round() + x.trunc()) + x.frac(),
        round_decimals=lambda x: x * torch.round(x, decimals=1),
        sign=lambda x: x * x.sign() + x * torch.sgn(x),
        comparisons=lambda x: x * ((x > 0).double() + (x <= 0.3) + (x != 1) + (x == 1.9)),
        logic=lambda x: x * ((x > 0) & (x < 1) | ~(x > 0) ^ (x < -1)),
        logical=lambda x: x * torch.logical_and(x > 0, torch.logical_not(x)).double(),
        isfinite=lambda x: x * (torch.isfinite(x) & ~torch.isnan(x) & ~torch.isinf(x)),
        nan_to_num=torch.nan_to_num,
        lerp=lambda x: torch.lerp(x, x.flip(0), 0.3) + torch.lerp(x, x.flip(0), torch.tensor(0.7)),
        addcmul=lambda x: torch.addcmul(x, x, x.flip(0), value=0.3),
        addcdiv=lambda x: torch.addcdiv(x, x, x.flip(0), value=0.3),
        copysign=lambda x: torch.copysign(x, x.flip(0)),
        heaviside=lambda x: x * torch.heaviside(x.detach(), torch.tensor(0.5)),
        sinc=torch.sinc,
        logaddexp=lambda x: torch.logaddexp(x, x.flip(0)) + torch.logaddexp2(x, 2 * x.flip(0)),
        ndtr=special.ndtr,
        i0=lambda x: special.i0(x) + special.i0e(x) + special.i1(x) + special.i1e(x),
        deg2rad=lambda x: torch.deg2rad(x) + torch.rad2deg(x),
    ),
    *rows(
        POSITIVE,
        sqrt=lambda x: torch.sqrt(x) + x**0.5 + x**-0.5 + torch.rsqrt(x),
        powers=lambda x: x ** x.flip(0) + x**2.7,
        log=torch.log,
        log1p=torch.log1p,
        log2=torch.log2,
        log10=torch.log10,
        acosh=lambda x: torch.acosh(1 + x),
        lgamma=torch.lgamma,
        digamma=torch.digamma,
        polygamma=lambda x: torch.polygamma(2, x),
        xlogy=lambda x: torch.xlogy(x, x.flip(0)) + special.xlog1py(x, x.flip(0)),
        entr=special.entr,
        zeta=lambda x: special.zeta(torch.tensor(2.5), x),
        igamma=lambda x: special.gammainc(torch.tensor(1.7), x),
        igammac=lambda x: special.gammaincc(torch.tensor(1.7), x),
        multigammaln=lambda x: special.multigammaln(x + 3, 2),
    ),
    *rows(
        UNIT,
        asin=torch.asin,
        acos=torch.acos,
        atanh=torch.atanh,
        erfinv=torch.erfinv,
        ndtri=special.ndtri,
        logit=lambda x: torch.logit(x) + torch.logit(x, eps=0.3),
    ),
    *rows(
        MATRIX,
        view=lambda x: x.view(3, 2).reshape(2, 3) * x,
        transpose=lambda x: x.t() @ x + x.T.reshape(3, 2) @ x,
        permute=lambda x: x[None].permute(2, 0, 1).squeeze(1) @ x,
        slices=lambda x: x[:, 1:] * x[:, :-1] + x[0, 1] + x[..., -1:],
        steps=lambda x: x[:, ::2] ** 2,
        index=lambda x: x[:, INDEX] ** 2 + x[[1, 0]][:, [0, 1, 1]],
        index_select=lambda x: torch.index_select(x, 1, INDEX) ** 2,
        gather=lambda x: torch.gather(x, 1, torch.tensor([[2, 0], [1, 1]])) ** 2,
        scatter=lambda x: torch.zeros(2, 3).scatter(1, INDEX[:2].repeat(2, 1), x[:, :2]) * x,
        scatter_add=lambda x: x.scatter_add(1, torch.tensor([[2, 2], [1, 0]]), x[:, :2] ** 2),
        index_add=lambda x: x.index_add(1, INDEX, x**2, alpha=0.4),
        take_along=lambda x: torch.take_along_dim(x, torch.tensor([[1, 0, 2]]), 1) * x,
        stack=lambda x: torch.stack([x[0], x[1] ** 2, x[0] * x[1]]),
        cat=lambda x: torch.cat([x, x**2, torch.zeros(2, 1)], dim=1),
        split=lambda x: torch.split(x, 2, dim=1)[0] * x[:, 1:] + torch.chunk(x, 3, 1)[2],
        unbind=lambda x: x.unbind(0)[0] * x.unbind(0)[1],
        squeeze=lambda x: x.unsqueeze(1).squeeze() * x,
        flip=lambda x: x.flip(0, 1) * x,
        roll=lambda x: torch.roll(x, 1, 1) * x,
        diagonal=lambda x: torch.diagonal(x, offset=1) ** 2,
        diag_embed=lambda x: torch.diag_embed(x) @ x.T,
        diag=lambda x: torch.diag(x[0]) @ x[1],
        tril=lambda x: torch.tril(x) * x + torch.triu(x, 1),
        repeat=lambda x: x.repeat(2, 1) ** 2,
        repeat_interleave=lambda x: x.repeat_interleave(2, dim=1) ** 2,
        expand=lambda x: x[:, :1].expand(2, 4) ** 2,
        clone=lambda x: x.clone().contiguous() * x.detach(),
        cast=lambda x: x.float().double() * x.to(torch.float64),
        pad=lambda x: F.pad(x, (1, 2), value=0.7) ** 2,
        unfold=lambda x: x.unfold(1, 2, 1) ** 2,
        rot90=lambda x: torch.rot90(x) @ x,
        kron=lambda x: torch.kron(x, x[:, :2]),
        sum=lambda x: x.sum(0) * x.sum() + x.sum(1, keepdim=True)[0],
        mean=lambda x: x.mean(1) * x.mean(),
        prod=lambda x: x.prod(1) * x.prod(),
        amax=lambda x: x.amax(1) + x.amin(),
        max=lambda x: x.max() * x.min(),
        max_dim=lambda x: x.max(1).values * x.min(1).values,
        argmax=lambda x: x[0][x[0].argmax()] * x[0],
        var=lambda x: x.var(1) + x.std(0, unbiased=False)[:2] + x.var(),
        logsumexp=lambda x: torch.logsumexp(x, 1) + x.logsumexp((0, 1)),
        any_all=lambda x: x * (x > 1).any(0) + x * (x > -1).all(),
        norms=lambda x: x.norm(dim=1) + x.norm(p=1, dim=1) + x.norm(p=3, dim=1) + x.norm(),
        inf_norm=lambda x: torch.linalg.vector_norm(x, math.inf, dim=1),
        cumsum=lambda x: x.cumsum(1) * x,
        cumprod=lambda x: x.cumprod(1),
        cummax=lambda x: x.cummax(1).values * x,
        sort=lambda x: x.sort(1).values * x,
        topk=lambda x: x.topk(2, 1).values ** 2,
        median=lambda x: x.median(1).values * x.median(),
        softmax=lambda x: x.softmax(1) + F.log_softmax(x, 0),
        mm=lambda x: x @ x.T,
        mv=lambda x: x @ x[0],
        bmm=lambda x: torch.bmm(x[None], x.T[None]),
        addmm=lambda x: torch.addmm(x[:, :2], x, x.T, beta=0.3, alpha=1.7),
        addmv=lambda x: torch.addmv(x[:, 0], x, x[1]),
        baddbmm=lambda x: torch.baddbmm(x[None, :, :2], x[None], x.T[None], beta=0.2),
        dot=lambda x: torch.dot(x[0], x[1]) + torch.outer(x[0], x[1]),
        cross=lambda x: torch.linalg.cross(x[0], x[1]),
        einsum=lambda x: torch.einsum("ij,kj,k->i", x, x, x[:, 0]),
        tensordot=lambda x: torch.tensordot(x, x, dims=([1], [1])),
        linear=lambda x: F.linear(x, x[:, :] * 2, x[:, 0]),
        layer_norm=lambda x: F.layer_norm(x, (3,)),
        polyval=lambda x: (x[0, 0] * x + x[0, 1]) * x + x[0, 2],
        cdist=lambda x: (x[0] - x[1]).norm(),
        trace=lambda x: torch.trace(x[:, :2] @ x[:, 1:]),
        cosine=lambda x: F.cosine_similarity(x[0], x[1], dim=0),
        normalize=lambda x: F.normalize(x, dim=1),
        mse=lambda x: F.mse_loss(x[0], x[1]) + F.huber_loss(x[0], x[1]),
        interpolation=lambda x: (
            torch.tensor([1.0, 4.0, 9.0])[torch.searchsorted(torch.tensor([-0.5, 0.5]), x)] * x
        ),
        interpolate=lambda x: F.interpolate(x[None], size=5, mode="linear"),
        pixel_unshuffle=lambda x: F.pixel_unshuffle(x[None, :, :2].reshape(1, 1, 2, 2), 2),
        pixel_shuffle=lambda x: F.pixel_shuffle(x.T[:, :, None].reshape(1, 1, 3, 2), 1),
        reshape_of_a_transpose=lambda x: x.T.reshape(-1) ** 2,
        searched_table=lambda x: torch.bucketize(x, torch.tensor([0.0, 1.0])) * x,
    ),
]


def pair(x):
    """Two matrices at once."""
    return torch.stack([x, x[[1, 2, 0]] ** 2 + 0.1])


OPERATIONS += rows(
    SQUARE,
    solve=lambda x: torch.linalg.solve(x, x[0] * x[1]),
    solve_matrix=lambda x: torch.linalg.solve(x + x.T, x[:, :2] ** 2),
    solve_right=lambda x: torch.linalg.solve(x, x[:2] ** 2, left=False),
    pivoting=lambda x: torch.linalg.solve(x[[1, 2, 0]], x[:, 0]),
    inverse=torch.linalg.inv,
    log_determinant=lambda x: torch.linalg.slogdet(x[[2, 1, 0]]).logabsdet,
    cholesky=lambda x: torch.linalg.cholesky(x @ x.T),
    cholesky_upper=lambda x: torch.linalg.cholesky(x @ x.T, upper=True),
    cholesky_solve=lambda x: torch.cholesky_solve(x[:, :2], torch.linalg.cholesky(x @ x.T)),
    cholesky_solve_upper=lambda x: torch.cholesky_solve(
        x[:, :2], torch.linalg.cholesky(x @ x.T, upper=True), upper=True
    ),
    cholesky_inverse=lambda x: torch.cholesky_inverse(torch.linalg.cholesky(x @ x.T)),
    triangular=lambda x: torch.linalg.solve_triangular(x, x[:, :2] ** 2, upper=True),
    many_systems=lambda x: torch.linalg.solve(pair(x), x[:, :2] ** 2),
    many_systems_of_vectors=lambda x: torch.linalg.solve(pair(x), pair(x)[:, 1]),
    many_inverses=lambda x: torch.linalg.inv(pair(x)[None]),
    many_log_determinants=lambda x: torch.linalg.slogdet(pair(x)).logabsdet,
    many_cholesky_factors=lambda x: torch.linalg.cholesky(pair(x) @ pair(x).mT),
    many_triangular_systems=lambda x: torch.linalg.solve_triangular(pair(x), x, upper=False),
    normal_of_many_variables=lambda x: torch.distributions.MultivariateNormal(
        x[0], scale_tril=torch.linalg.cholesky(x @ x.T)
    ).log_prob(x[1:]),
)


@pytest.mark.parametrize("f, x", OPERATIONS)
def test_operation_has_torchs_own_value_gradient_and_hessian(f, x):
    def scalar(x):
        return weigh(f(x))

    with Float64Mode():
        at = torch.tensor(x)
        value = scalar(at).numpy()
        gradient = torch.func.grad(scalar)(at).numpy()
        hessian = torch.autograd.functional.hessian(scalar, at).numpy()
    assert_agrees(scalar, x, "value", value)
    assert_agrees(scalar, x, "gradient", gradient)
    assert_agrees(scalar, x, "hessian", hessian, rtol=1e-8)


def test_running_logsumexp_has_torchs_own_gradient():
    # Its second derivative is NaN in torch's own forward-over-reverse too.
    def f(x):
        return weigh(x.logcumsumexp(1))

    assert_agrees(f, MATRIX, "gradient", torch.func.grad(f)(torch.tensor(MATRIX)).numpy())


def test_determinant_has_torchs_own_gradient():
    # torch writes its second derivative with a singular value decomposition: no Program.
    def one(x):
        return torch.linalg.det(x[[1, 2, 0]])

    def many(x):
        return torch.linalg.det(pair(x)).sum()

    for f in (one, many):
        assert_agrees(f, SQUARE, "gradient", torch.func.grad(f)(torch.tensor(SQUARE)).numpy())


@pytest.mark.parametrize(
    "f",
    [
        pytest.param(lambda x: torch.cdist(x, x[:2] * 2), id="cdist"),
        pytest.param(lambda x: torch.cdist(x[None], x[None]), id="cdist to itself, in a batch"),
        pytest.param(lambda x: torch.cdist(x, x + 1, p=1), id="cdist of order 1"),
        pytest.param(torch.pdist, id="pdist"),
        pytest.param(lambda x: torch.pdist(x, p=1), id="pdist of order 1"),
    ],
)
def test_distances_have_torchs_own_gradient(f):
    # torch has no second derivative of them. Its first is 0 where two rows are equal.
    def scalar(x):
        return weigh(f(x))

    expected = torch.func.grad(scalar)(torch.tensor(SQUARE)).numpy()
    assert np.isfinite(expected).all()
    assert_agrees(scalar, SQUARE, "value", scalar(torch.tensor(SQUARE)).numpy())
    assert_agrees(scalar, SQUARE, "gradient", expected)


def test_systems_are_eliminated_up_to_order_16():
    def f(x):
        n = len(x)
        return torch.linalg.solve(torch.outer(x, x) + torch.eye(n, dtype=x.dtype), x)[0]

    # By Sherman and Morrison, (1 + x x')^-1 x = x / (1 + x' x).
    x = np.linspace(-1.0, 1.3, 16)
    n = 1 + x @ x
    assert_agrees(f, x, "gradient", np.eye(16)[0] / n - 2 * x[0] * x / n**2)
    assert traced(f, x=np.ones(17)).program is None


def test_writing_into_zeros_is_followed_and_leaves_the_zeros_out():
    def f(q):
        matrix = torch.zeros(3, 3)
        matrix[0, 0], matrix[1, 1] = torch.cos(q), torch.sin(q)
        matrix[2, 2] = 1.0
        return matrix @ matrix @ torch.ones(3)

    result = traced(f, "jacobian", q=0.4)
    (found,), _ = evaluate(result.program, q=0.4)
    np.testing.assert_allclose(found, [-math.sin(0.8), math.sin(0.8), 0.0], atol=1e-15)
    names = [primitive for primitive, *_ in result.program.equations]
    # cos, sin, -sin, and 2 cos * -sin and 2 sin * cos; no term of any zero.
    assert len(names) <= 8, result.program


def test_views_share_what_is_written_through_them():
    def f(x):
        y = x * 1.0
        row = y[0]
        row.mul_(3.0)
        y.t()[2].add_(row[:2])
        y[:, 0] += y[:, 1]
        y[y > 100] = 0.0
        return y

    assert_agrees(
        lambda x: weigh(f(x)),
        MATRIX,
        "gradient",
        torch.func.grad(lambda x: weigh(f(x)))(torch.tensor(MATRIX)).numpy(),
    )


def test_changing_an_argument_in_place_gives_the_right_answer():
    def f(x):
        x.add_(1.0)
        return (x * x).sum()

    assert_agrees(f, VECTOR, "gradient", 2 * (VECTOR + 1))
    assert_agrees(f, VECTOR, "hessian", 2 * np.eye(3))
    eager = traced(f, "gradient", x=VECTOR).eager({"x": torch.tensor(VECTOR)})
    np.testing.assert_allclose(eager[0].detach(), 2 * (VECTOR + 1))


def test_branch_becomes_a_guard_that_names_the_line():
    def f(x, y):
        if x > y:
            return x * y
        return x - y

    result = traced(f, x=2.0, y=1.0)
    (guard,) = result.program.guards
    assert guard.expected is True
    assert guard.where.startswith("test_frontend_torch.py:") and guard.where.endswith("if x > y:")
    assert evaluate(result.program, x=2.0, y=1.0)[1]
    assert not evaluate(result.program, x=1.0, y=2.0)[1]


@pytest.mark.parametrize(
    "f, n_guards",
    [
        (lambda x: x.sum() * x[1].item(), 1),
        (lambda x: x.sum() * float(x[1].detach()), 1),
        (lambda x: x[x > 0].sum(), 3),
        (lambda x: x[torch.nonzero(x > 0)].sum(), 3),
        (lambda x: x.sum() * sum(x.detach().tolist()), 3),
        (lambda x: x.sum() if torch.equal(x, x.flip(0)) else x.prod(), 1),
        (lambda x: x.sum() if torch.allclose(x, x.flip(0)) else x.prod(), 1),
    ],
    ids=["item", "float", "mask", "nonzero", "tolist", "equal", "allclose"],
)
def test_whatever_python_reads_of_a_value_is_guarded(f, n_guards):
    result = traced(f, x=VECTOR)
    assert result.program is None or len(result.program.guards) == n_guards
    if result.program is None:
        assert result.depends == (frozenset({"x"}),)


def test_branch_on_a_constant_is_no_guard():
    def f(x):
        limit = torch.tensor(3.0)
        return x * 2 if limit > 2 else x

    assert traced(f, x=1.0).program.guards == ()


def test_random_numbers_are_an_error_that_names_the_line():
    def f(x):
        return x * torch.randn(())

    with pytest.raises(StatefulFunction, match=r"randn.*test_frontend_torch.py:\d+(.|\n)*argument"):
        traced(f, x=1.0)


def test_dropout_while_training_is_an_error():
    with pytest.raises(StatefulFunction, match="random"):
        traced(lambda x: F.dropout(x, 0.5).sum(), x=VECTOR)


def test_writing_into_a_tensor_from_outside_is_an_error():
    counter = torch.zeros(())

    def f(x):
        counter.add_(1)
        return x * counter

    with pytest.raises(StatefulFunction, match=r"does not own(.|\n)*clone"):
        traced(f, x=1.0)


def test_hidden_state_is_an_error():
    calls = []

    def f(x):
        calls.append(1)
        return x * len(calls)

    with pytest.raises(StatefulFunction, match="different results for the same arguments"):
        traced(f, x=1.0)
    generator = np.random.default_rng(7)
    with pytest.raises(StatefulFunction):
        traced(lambda x: x * generator.normal(), x=1.0)


def test_error_of_the_function_itself_keeps_its_type_and_tells_the_point():
    def f(S, K):
        raise KeyError("vol")

    with pytest.raises(KeyError) as caught:
        traced(f, S=100.0, K=90.0)
    assert caught.value.__notes__ == ["while tracing f at S=100, K=90"]


@pytest.mark.parametrize("value", [None, "a", 1j, torch.tensor(1j)], ids=repr)
def test_output_that_is_no_real_number_is_an_error_that_names_it(value):
    with pytest.raises(OutputError, match="price"):
        traced(lambda x: {"price": value, "x": x}, "jacobian", x=1.0)


def test_number_and_integer_outputs_have_zero_derivatives():
    result = traced(lambda x: {"a": 3.0, "b": torch.tensor([1, 2]), "c": 2}, "jacobian", x=1.0)
    outputs, _ = evaluate(result.program, x=1.0)
    assert [o.shape for o in outputs] == [(), (2,), ()]
    assert all((o == 0).all() for o in outputs)
    assert result.depends == (frozenset(),) * 3


def test_partials_depend_on_what_they_are_computed_from():
    result = traced(lambda x, y, z: x**2 * y + z**3, x=1.0, y=2.0, z=3.0)
    assert result.depends == (frozenset("xy"), frozenset("x"), frozenset("z"))


def test_function_outside_the_table_still_tells_what_it_depends_on():
    def f(x, y):
        return special.log_ndtr(x) + y**2

    result = traced(f, x=0.5, y=2.0)
    assert result.program is None and "log_ndtr" in result.reason
    assert "x" in result.depends[0] and result.depends[1] == frozenset("y")
    call = result.call({"x": torch.tensor(0.5).double(), "y": torch.tensor(2.0).double()})
    np.testing.assert_allclose(call[1].detach(), 4.0)


def test_function_that_needs_data_runs_without_a_program():
    def f(x):
        return (x * float(np.sin(x.detach().numpy()))).sum()

    result = traced(f, "value", x=0.5)
    assert result.program is None and "NumPy" in result.reason
    assert result.depends == (frozenset("x"),)
    (found,) = result.eager({"x": torch.tensor(0.5, dtype=torch.float64)})
    np.testing.assert_allclose(found.detach(), 0.5 * math.sin(0.5), rtol=1e-15)


def test_tensors_created_without_a_dtype_are_as_wide_as_the_arguments():
    def f(x):
        weights = torch.tensor([0.1, 0.2]) + torch.linspace(0.1, 0.3, 2) + torch.arange(2) / 3
        normal = torch.distributions.Normal(0.1, 0.3)
        return (x * weights).sum() + normal.log_prob(x)

    weights = np.array([0.1, 0.2]) + np.linspace(0.1, 0.3, 2) + np.arange(2) / 3
    expected = weights.sum() - (0.7 - 0.1) / 0.3**2
    assert_agrees(f, np.array(0.7), "gradient", expected, rtol=1e-14)
    result = traced(f, x=0.7)
    for run in (result.call, result.eager):
        with result.context():
            (found,) = run({"x": torch.tensor(0.7, dtype=torch.float64)})
        np.testing.assert_allclose(found.detach(), expected, rtol=1e-14)
    assert torch.tensor([0.1]).dtype is torch.float32


def test_numbers_chosen_by_a_bool_are_as_wide_as_the_arguments():
    def f(x, call):
        return x * torch.where(call, 0.1, -0.3) + x * (call * 0.7)

    result = traced(f, x=2.0, call=np.array(True))
    (found,), _ = evaluate(result.program, x=2.0, call=np.array(True))
    np.testing.assert_allclose(found, 0.8, rtol=1e-15)


def test_float32_arguments_stay_float32():
    result = traced(lambda x: torch.sin(x) * 2.0, x=np.float32(0.5))
    (found,), _ = evaluate(result.program, x=np.float32(0.5))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 2 * np.cos(np.float32(0.5)), rtol=1e-6)


def test_result_narrower_than_the_arguments_is_widened():
    result = traced(lambda x: x.float() ** 2, "value", x=0.5)
    assert evaluate(result.program, x=0.5)[0][0].dtype == np.float64


def test_distributions_go_through():
    distributions = torch.distributions

    def f(x):
        return (
            distributions.Normal(x, 1 + x).log_prob(torch.tensor(0.3))
            + distributions.Normal(0.0, 1.0).cdf(x)
            + distributions.Gamma(1 + x, 2.0).log_prob(torch.tensor(1.5))
            + distributions.LogNormal(0.0, x).log_prob(torch.tensor(1.5))
            + distributions.kl_divergence(
                distributions.Normal(0.0, 1.0), distributions.Normal(x, 2.0)
            )
        )

    at = torch.tensor(0.8, dtype=torch.float64)
    assert_agrees(f, at.numpy(), "value", f(at).numpy(), rtol=1e-6)
    assert_agrees(f, at.numpy(), "gradient", torch.func.grad(f)(at).numpy(), rtol=1e-6)


class Doubled(torch.autograd.Function):
    """x**2, with a derivative that is deliberately twice too large."""

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 4 * x * g


class OldDoubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 4 * x * g


@pytest.mark.parametrize("rule", [Doubled, OldDoubled])
def test_custom_derivative_rule_is_used(rule):
    assert_agrees(rule.apply, np.array(3.0), "gradient", 12.0)
    assert_agrees(lambda x: rule.apply(x), np.array(3.0), "hessian", 4.0)


def test_module_is_a_function_of_its_input_with_weights_held_fixed():
    torch.manual_seed(3)
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)
    ).double()
    expected = torch.func.jacrev(model)(torch.tensor(VECTOR)).detach().numpy()
    bound = bind(model, Sweep(input=((), VECTOR)))
    result = trace(bound, Derivative("jacobian", ("input",)), {"input": VECTOR})
    (found,), _ = evaluate(result.program, input=VECTOR)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_float32_module_with_float64_input_says_what_to_do():
    model = torch.nn.Linear(3, 1)
    with pytest.raises(RuntimeError) as caught:
        traced(lambda x: model(x), x=VECTOR)
    assert any(".double()" in note for note in caught.value.__notes__)


def test_forward_and_reverse_give_the_same_jacobian():
    def f(x):
        return torch.stack([x[0] * x[1], torch.sin(x[2]), x.prod(), x.norm()])

    point = {"x": VECTOR}
    sweep = Sweep(x=((), VECTOR))
    found = []
    for mode in ("forward", "reverse"):
        derivative = Derivative("jacobian", ("x",), mode=mode)
        (jacobian,), _ = evaluate(trace(bind(f, sweep), derivative, point).program, **point)
        found.append(jacobian)
    np.testing.assert_allclose(*found, rtol=1e-12)
    np.testing.assert_allclose(found[0], torch.func.jacrev(f)(torch.tensor(VECTOR)), rtol=1e-12)


def test_search_takes_nan_for_the_largest_number():
    def entry(x):
        return torch.tensor([10.0, 20.0, 30.0])[torch.bucketize(x, torch.tensor([0.0, 1.0]))]

    found = gs.value(entry, gs.Sweep(x=[-1.0, np.nan, 1.0, 2.0])).entry
    np.testing.assert_array_equal(found, [10.0, 30.0, 20.0, 30.0])


def test_reverse_mode_is_taken_where_torch_has_no_forward_rule():
    points = np.random.default_rng(0).normal(size=(2, 3, 2))

    def attention(a):
        return F.scaled_dot_product_attention(a[None], a[None] ** 2, a[None])[0]

    found = gs.jacobian(attention, gs.Sweep(a=("s", points))).dattention_da
    expected = [torch.autograd.functional.jacobian(attention, torch.tensor(p)) for p in points]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-12, atol=1e-14)


@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_what_torch_maps_wrongly_is_not_mapped():
    """torch.vmap of forward mode of `solve` takes one matrix's pivots for all (torch 2.13)."""
    rng = np.random.default_rng(1)
    n, p = 20, 9
    fixed, slopes = torch.tensor(rng.normal(size=(n, n))), torch.tensor(rng.normal(size=(p, n, n)))
    side, points = torch.tensor(rng.normal(size=n)), rng.normal(size=(3, p))

    def state(x):
        return torch.linalg.solve(fixed + torch.tensordot(x, slopes, 1), side)

    found = gs.jacobian(state, gs.Sweep(x=("s", points))).dstate_dx
    for jacobian, point in zip(found, points):
        matrix = (fixed + torch.tensordot(torch.tensor(point), slopes, 1)).numpy()
        inverse = np.linalg.inv(matrix)
        expected = -np.einsum("ij,pjk,k->ip", inverse, slopes, inverse @ side.numpy())
        np.testing.assert_allclose(jacobian, expected, rtol=1e-8, atol=1e-10)
