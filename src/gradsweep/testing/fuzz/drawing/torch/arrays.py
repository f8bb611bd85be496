"""What random torch functions do with floating arrays, a line each."""

from gradsweep.testing.fuzz.drawing.operators import ARITHMETIC
from gradsweep.testing.fuzz.drawing.rows import rows_of

__all__ = ["ROWS"]

# Without torch.kron: its derivative is wrong where its operands are written to later.
ROWS = rows_of({
    "arithmetic": ARITHMETIC
    + """
        torch.addcmul({a:f}, {b:f~}, {c:f~}, value={k:number})
        torch.addcdiv({a:f}, {b:f~}, {c:f~}.abs() + 0.4)
        torch.add({a:f}, {b:f~}, alpha={k:number})
        torch.rsub({a:f}, {b:f~})
        torch.lerp({a:f}, {b:f=}, {k:number})
        torch.lerp({a:f}, {b:f=}, {c:f=})
        {a:f} % {p:positive}
        torch.fmod({a:f}, {p:positive})
        torch.remainder({a:f}, {b:f~}.abs() + 0.7)
        {a:f} // {p:positive}
        torch.div({a:f}, {p:positive}, rounding_mode="trunc")
        torch.reciprocal({a:f}.abs() + 0.5)
    """,
    "elementwise": """
        torch.sin({a:f})
        torch.cos({a:f})
        torch.tanh({a:f})
        torch.exp({a:f}.clamp(max=2.0))
        torch.exp(-{a:f} * {a})
        torch.sigmoid({a:f})
        torch.log({a:f}.abs() + 0.5)
        torch.log1p({a:f} * {a})
        torch.expm1({a:f}.clamp(-1.5, 1.5))
        torch.sqrt({a:f} * {a} + 0.1)
        torch.rsqrt({a:f}.abs() + 0.2)
        torch.square({a:f})
        torch.atan({a:f})
        torch.asin(torch.tanh({a:f}) * 0.9)
        torch.acos(torch.tanh({a:f}) * 0.9)
        torch.sinh({a:f}.clamp(-2.0, 2.0))
        torch.cosh({a:f}.clamp(-2.0, 2.0))
        torch.asinh({a:f})
        torch.acosh({a:f}.abs() + 1.1)
        torch.atanh(torch.tanh({a:f}) * 0.8)
        torch.tan({a:f} * 0.5)
        torch.exp2({a:f}.clamp(max=3.0))
        torch.log2({a:f}.abs() + 0.5)
        torch.log10({a:f}.abs() + 0.5)
        torch.abs({a:f})
        torch.sign({a:f}) * {b:f~}
        torch.relu({a:f})
        {a:f}.clamp(-0.5, 1.0)
        {a:f}.clamp(min={b:f=})
        torch.clip({a:f}, {k:number}, 5.0)
        torch.floor({a:f}) * {b:f~}
        torch.round({a:f}) + {b:f~}
        torch.round({a:f}, decimals={d:digits}) * {b:f~}
        torch.trunc({a:f}) * {b:f~}
        torch.frac({a:f})
        torch.ceil({a:f}) - {b:f~}
        torch.maximum({a:f}, {b:f~})
        torch.minimum({a:f}, {b:f~})
        torch.fmax({a:f}, {b:f~})
        torch.fmin({a:f}, {b:f~})
        torch.hypot({a:f}, {b:f=})
        torch.atan2({a:f}, {b:f~})
        torch.copysign({a:f}, {b:f~})
        torch.logaddexp({a:f}, {b:f~})
        torch.logaddexp2({a:f}, {b:f~})
        torch.xlogy({a:f}, {b:f~}.abs() + 0.1)
        torch.heaviside({a:f}, {b:f=})
        torch.nan_to_num({a:f} / {b:f~}, nan=0.5, posinf=2.0, neginf=-2.0)
        torch.sinc({a:f})
        torch.logit({a:f}, eps=0.1)
        torch.deg2rad({a:f} * 30.0)
        torch.ldexp({a:f}, torch.tensor(2))
        torch.float_power({a:f}, 2)
        torch.erf({a:f})
        torch.erfc({a:f})
        torch.threshold({a:f}, 0.2, -0.3)
        torch.dist({a:f}, {b:f=})
    """,
    "reductions": """
        {a:f}.sum()
        {a:f+}.sum({x:axis})
        {a:f+}.sum({x:axis}, keepdim=True) * {a}
        {a:f}.mean()
        {a:f+}.mean({x:axis})
        {a:f}.prod()
        {a:f+}.prod({x:axis})
        {a:f}.amax()
        {a:f+}.amin({x:axis})
        {a:f+}.max({x:axis}).values
        {a:f+}.min({x:axis})[0]
        {a:f}.max()
        {a:f}.min()
        {a:f+}.logsumexp({x:axis})
        torch.softmax({a:f+}, {x:axis})
        torch.log_softmax({a:f+}, {x:axis})
        {a:f}.norm()
        {a:f+}.norm({p:positive}, {x:axis})
        torch.linalg.vector_norm({a:f}, ord={n:count})
        torch.linalg.vector_norm({a:f}, ord=float("inf"))
        {a:f+}.var()
        {a:f+}.std({x:axis})
        torch.var_mean({a:f+}, {x:axis}, correction=0)[0]
        {a:f+}.median()
        {a:f+}.sort({x:axis}).values
        {a:f+}.sort({x:axis}, descending={t:truth})[0]
        {a:f+}.topk(1, {x:axis}).values
        {a:f+}.kthvalue(1, {x:axis}).values
        {a:f+}.nansum()
        torch.count_nonzero({a:f}) * {b:f~}
        torch.trapezoid({a:f+})
        torch.diff({a:f+}, dim={x:axis})
        torch.aminmax({a:f}).max
        torch.quantile({a:f+}, 0.3)
        torch.std_mean({a:f+})[1]
        {a:f+}.renorm(2, 0, 1.0)
        torch.nanmean({a:f+})
    """,
    "shapes": """
        torch.stack([{a:f}, {b:f=}])
        torch.stack([{a:f}, {b:f=}, {a}], {x:axis})
        torch.stack([{a:f}, {b:f=}, {c:f=}])
        torch.cat([{a:f+}, {b:f=}], {x:axis})
        torch.hstack([{a:f}, {b:f=}])
        {a:f+}.reshape(-1)
        {a:f+}.flatten()
        {a:f}.unsqueeze(0)
        {a:f}[None]
        {a:f}.squeeze()
        {a:f2}.T
        {a:f2}.transpose(0, 1)
        {a:f+}.movedim(0, -1)
        {a:f}.expand(3, *{a}.shape)
        {a:f}.repeat(2, *[1] * {a}.ndim)
        torch.tile({a:f}, (2,))
        {a:f+}.repeat_interleave(2, {x:axis})
        torch.roll({a:f+}, 1, {x:axis})
        torch.flip({a:f+}, [{x:axis}])
        torch.rot90({a:f2})
        torch.diag({a:f+})
        torch.diagonal({a:f2})
        torch.diag_embed({a:f1})
        torch.tril({a:f2})
        torch.triu({a:f2}, 1)
        torch.outer({a:f1}, {b:f1})
        torch.broadcast_to({a:f0}, (3,))
        torch.nn.functional.pad({a:f+}, (1, 0), value={k:number})
        torch.nn.functional.pad({a:f1}[None], (1, 1), mode="reflect")[0]
        {a:f+}.split(1, {x:axis})[0]
        {a:f+}.chunk(2)[-1]
        {a:f+}.unbind({x:axis})[-1]
        torch.meshgrid({a:f1}, {b:f1}, indexing="ij")[0]
        torch.block_diag({a:f}, {b:f})
        torch.cartesian_prod({a:f1}, {b:f1})[:3]
        torch.vander({a:f1}, 3)
        torch.einsum("i,j->ij", {a:f1}, {b:f1})
        torch.combinations({a:f1})
    """,
    "indexing": """
        {a:f+}[{i:index}]
        {a:f+}[{s:slice}]
        {a:f+}[..., {i:index}]
        {a:f2}[:, {i:index}]
        {a:f+}[{p:places}]
        {a:f+}[torch.tensor({p:places})]
        {a:f2}[{p:places}, 0]
        {a:f+}.index_select(0, torch.tensor({p:places}))
        {a:f+}.select({x:axis}, 0)
        {a:f+}.narrow({x:axis}, 0, 1)
        {a:f1}.gather(0, torch.tensor({p:places}))
        torch.take({a:f+}, torch.tensor({p:places}))
        {a:f+}[None, {s:slice}]
        {a:f1}[torch.arange({n:length}) > 0]
        torch.index_add({a:f1}, 0, torch.tensor([{i:index} % {n:length}]), {b:f0}[None])
        torch.scatter({a:f1}, 0, torch.tensor([0]), {b:f0}[None])
        torch.index_put({a:f1}, (torch.tensor({p:distinct}),), {b:f0})
        {a:f1}.unfold(0, 2, 1)
        torch.select_scatter({a:f+}, {a}[0] * 2.0, 0, {i:index} % {n:length})
        torch.masked_select({a:f1}, torch.arange({n:length}) != 1)
    """,
    "where": """
        torch.where({a:f} > {k:number}, {b:f~}, {c:f~})
        torch.where({a:f} {o:comparison} {b:f~}, {a}, {c:f~})
        torch.where({a:f} {o:comparison} {k:number}, {a} * {a}, {l:number})
        torch.where({m:b}, {b:f~}, {c:f~})
        torch.where({m:b}, {b:f~}, 0.0)
        {a:f}.masked_fill({a} {o:comparison} {k:number}, {l:number})
        ({a:f} > {k:number}) * {b:f~}
        torch.where({a:f} > 0, torch.sqrt(torch.where({a} > 0, {a}, 1.0)), 0.0)
        torch.where({a:f} > 0, {a}, torch.where({a} > -1, {b:f~}, {c:f~}))
        torch.where(({a:f} > {k:number}) & ({b:f~} < {l:number}), {a}, {b})
    """,
    "cumulative": """
        {a:f+}.cumsum({x:axis})
        {a:f+}.cumprod({x:axis})
        {a:f+}.cummax({x:axis}).values
        {a:f+}.cummin({x:axis})[0]
        torch.logcumsumexp({a:f+}, {x:axis})
        torch.cumulative_trapezoid({a:f+})
        torch.flip(torch.cumsum(torch.flip({a:f+}, [0]), 0), [0])
    """,
    "linalg": """
        {a:f2} @ {b:f2}
        {a:f2} @ {b:f1}
        {a:f1} @ {b:f1}
        torch.mv({a:f2}, {b:f1})
        torch.dot({a:f1}, {b:f=})
        torch.addmm({a:f2}, {b:f2}, {c:f2})
        torch.einsum("ij,ij->i", {a:f2}, {b:f=})
        torch.linalg.det({a:fq})
        torch.linalg.inv({a:fq} + 4.0 * torch.eye({n:length}))
        torch.linalg.solve({a:fq} + 4.0 * torch.eye({n:length}), {b:f1})
        torch.linalg.solve({a:fq} + 4.0 * torch.eye({n:length}), {b:f2})
        torch.linalg.cholesky({a:fq} @ {a}.T + torch.eye({n:length}))
        torch.linalg.slogdet({a:fq} + 3.0 * torch.eye({n:length})).logabsdet
        torch.logdet({a:fq} @ {a}.T + torch.eye({n:length}))
        torch.trace({a:fq})
        torch.matrix_exp({a:fq} * 0.3)
        torch.linalg.matrix_power({a:fq}, {e:count})
        torch.linalg.eigvalsh({a:fq} + {a}.T)
        torch.linalg.svdvals({a:f2})
        torch.linalg.matrix_norm({a:f2})
        torch.cross({a:f+}, {b:f=}, dim={x:axis})
        torch.cdist({a:f2}, {b:f2})
        torch.linalg.solve_triangular({a:fq}.triu().exp(), {b:f2}, upper=True)
        torch.cholesky_solve({b:f2}, torch.linalg.cholesky({a:fq} @ {a}.T + 1.0))
        torch.linalg.pinv({a:f2})
        torch.linalg.qr({a:fq} + 4.0 * torch.eye({n:length})).R
        torch.linalg.multi_dot([{a:f2}, {b:f2}, {c:f1}])
        torch.bmm({a:f2}[None], {b:f2}[None])[0]
        torch.cov({a:f2})
        torch.tensordot({a:f2}, {b:f2}, dims=1)
        torch.cosine_similarity({a:f+}, {b:f=}, dim={x:axis})
    """,
    "special": """
        torch.lgamma({a:f}.abs() + 1.0)
        torch.digamma({a:f}.abs() + 1.0)
        torch.polygamma(2, {a:f}.abs() + 1.0)
        torch.erfinv(torch.tanh({a:f}) * 0.9)
        torch.special.ndtr({a:f})
        torch.special.ndtri(torch.sigmoid({a:f}))
        torch.special.log_ndtr({a:f})
        torch.special.erfcx({a:f})
        torch.special.entr({a:f}.abs() + 0.1)
        torch.i0({a:f})
        torch.special.i0e({a:f})
        torch.special.i1({a:f})
        torch.special.i1e({a:f})
        torch.special.bessel_j0({a:f})
        torch.special.bessel_y1({a:f}.abs() + 0.5)
        torch.special.modified_bessel_i0({a:f})
        torch.special.modified_bessel_k1({a:f}.abs() + 0.5)
        torch.special.spherical_bessel_j0({a:f})
        torch.special.airy_ai({a:f})
        torch.special.chebyshev_polynomial_t({a:f}, 2)
        torch.special.legendre_polynomial_p({a:f}, 2)
        torch.special.xlog1py({a:f}, {b:f~}.abs())
        torch.special.zeta(2.5, {a:f}.abs() + 1.0)
        torch.special.gammainc(torch.tensor(1.5, dtype={a:f}.dtype), {a}.abs() + 0.1)
        torch.special.gammaincc(torch.tensor(1.5, dtype={a:f}.dtype), {a}.abs() + 0.1)
        torch.mvlgamma({a:f}.abs() + 2.0, 2)
        torch.special.multigammaln({a:f}.abs() + 2.0, 2)
    """,
})  # fmt: skip
