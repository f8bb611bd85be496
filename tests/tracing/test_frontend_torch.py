"""The torch frontend: Programs against torch's own autograd, state, branches, dtypes.

Expected numbers come from torch's plain autograd at one point at a time, from closed forms or
from scipy; Programs are evaluated by the reference engine's meaning of the primitives.
"""

import math

import numpy as np
import pytest

from gradsweep.tracing.torch import Float64Mode
from tests.support.torch_frontend import (
    MATRIX,
    VECTOR,
    F,
    assert_agrees,
    special,
    traced,
    weigh,
)

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


POSITIVE = np.array([0.4, 1.3, 2.2])
UNIT = np.array([0.2, 0.55, 0.8])
SQUARE = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.7], [0.2, -0.6, 1.8]])
INDEX = torch.tensor([2, 0, 2])


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
    # torch has no second derivative of these. Their first is 0 where two rows are equal.
    def scalar(x):
        return weigh(f(x))

    expected = torch.func.grad(scalar)(torch.tensor(SQUARE)).numpy()
    assert np.isfinite(expected).all()
    assert_agrees(scalar, SQUARE, "value", scalar(torch.tensor(SQUARE)).numpy())
    assert_agrees(scalar, SQUARE, "gradient", expected)


@pytest.mark.slow
@pytest.mark.parametrize("order", [16, 32])
def test_systems_are_eliminated_up_to_order_32(order):
    def f(x):
        n = len(x)
        return torch.linalg.solve(torch.outer(x, x) + torch.eye(n, dtype=x.dtype), x)[0]

    # By Sherman and Morrison, (1 + x x')^-1 x = x / (1 + x' x).
    x = np.linspace(-1.0, 1.3, order)
    n = 1 + x @ x
    assert_agrees(f, x, "gradient", np.eye(order)[0] / n - 2 * x[0] * x / n**2)
    assert traced(f, x=np.ones(33)).program is None
