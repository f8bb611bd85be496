"""What random JAX functions do with floating arrays, a line each."""

from gradsweep.testing.fuzz.drawing.operators import ARITHMETIC
from gradsweep.testing.fuzz.drawing.rows import rows_of

__all__ = ["ROWS"]

ROWS = rows_of({
    "arithmetic": ARITHMETIC
    + """
        {a:f} % {p:positive}
        {a:f} // {p:positive}
        jnp.fmod({a:f}, {p:positive})
        jnp.remainder({a:f}, jnp.abs({b:f~}) + 0.7)
        jax.lax.rem({a:f}, {b:f=})
        jnp.divmod({a:f}, {p:positive})[1]
        jnp.reciprocal(jnp.abs({a:f}) + 0.5)
        jax.lax.integer_pow({a:f}, {e:count})
    """,
    "elementwise": """
        jnp.sin({a:f})
        jnp.cos({a:f})
        jnp.tanh({a:f})
        jnp.exp(jnp.minimum({a:f}, 2.0))
        jnp.exp(-{a:f} * {a})
        jax.nn.sigmoid({a:f})
        jnp.log(jnp.abs({a:f}) + 0.5)
        jnp.log1p({a:f} * {a})
        jnp.expm1(jnp.clip({a:f}, -1.5, 1.5))
        jnp.sqrt({a:f} * {a} + 0.1)
        jax.lax.rsqrt(jnp.abs({a:f}) + 0.2)
        jnp.cbrt({a:f} + 3.0)
        jnp.square({a:f})
        jnp.arctan({a:f})
        jnp.arcsin(jnp.tanh({a:f}) * 0.9)
        jnp.arccos(jnp.tanh({a:f}) * 0.9)
        jnp.sinh(jnp.clip({a:f}, -2.0, 2.0))
        jnp.cosh(jnp.clip({a:f}, -2.0, 2.0))
        jnp.arcsinh({a:f})
        jnp.arccosh(jnp.abs({a:f}) + 1.1)
        jnp.arctanh(jnp.tanh({a:f}) * 0.8)
        jnp.tan({a:f} * 0.5)
        jnp.exp2(jnp.minimum({a:f}, 3.0))
        jnp.log2(jnp.abs({a:f}) + 0.5)
        jnp.log10(jnp.abs({a:f}) + 0.5)
        jnp.abs({a:f})
        jnp.sign({a:f}) * {b:f~}
        jax.nn.relu({a:f})
        jnp.clip({a:f}, -0.5, 1.0)
        jnp.clip({a:f}, {b:f=}, None)
        jnp.floor({a:f}) * {b:f~}
        jnp.round({a:f}) + {b:f~}
        jnp.round({a:f}, {d:digits}) * {b:f~}
        jnp.trunc({a:f}) * {b:f~}
        jnp.ceil({a:f}) - {b:f~}
        jnp.modf({a:f})[0]
        jnp.maximum({a:f}, {b:f~})
        jnp.minimum({a:f}, {b:f~})
        jnp.fmax({a:f}, {b:f~})
        jnp.fmin({a:f}, {b:f~})
        jnp.hypot({a:f}, {b:f=})
        jnp.arctan2({a:f}, {b:f~})
        jnp.copysign({a:f}, {b:f~})
        jnp.logaddexp({a:f}, {b:f~})
        jnp.logaddexp2({a:f}, {b:f~})
        jnp.heaviside({a:f}, {b:f=})
        jnp.nan_to_num({a:f} / {b:f~}, nan=0.5, posinf=2.0, neginf=-2.0)
        jnp.sinc({a:f})
        jnp.deg2rad({a:f} * 30.0)
        jnp.ldexp({a:f}, 2)
        jnp.frexp({a:f})[1] * {b:f~}
        jnp.nextafter({a:f}, {b:f=}) * {b}
        jnp.float_power({a:f}, 2)
        jax.scipy.special.erf({a:f})
        jax.scipy.special.erfc({a:f})
        jax.nn.softplus({a:f})
        jax.nn.gelu({a:f})
        jax.nn.silu({a:f})
        jax.nn.elu({a:f})
        jax.nn.leaky_relu({a:f})
        jax.nn.hard_tanh({a:f})
        jax.nn.log_sigmoid({a:f})
        jax.nn.soft_sign({a:f})
        jax.nn.mish({a:f})
        jax.lax.clamp(-0.5, {a:d}, 0.8)
        jax.lax.reduce_precision({a:f}, 8, 10) * {b:f~}
        jax.lax.round({a:f}) * {b:f~}
        jax.scipy.special.xlogy({a:f}, jnp.abs({b:f~}) + 0.1)
    """,
    "reductions": """
        {a:f}.sum()
        {a:f+}.sum({x:axis})
        {a:f+}.sum({x:axis}, keepdims=True) * {a}
        {a:f}.mean()
        {a:f+}.mean({x:axis})
        {a:f}.prod()
        {a:f+}.prod({x:axis})
        {a:f}.max()
        {a:f+}.min({x:axis})
        jax.nn.logsumexp({a:f+}, {x:axis})
        jax.nn.softmax({a:f+}, {x:axis})
        jax.nn.log_softmax({a:f+}, {x:axis})
        jnp.linalg.norm({a:f+})
        jnp.linalg.norm({a:f1}, {p:positive})
        jnp.linalg.norm({a:f1}, jnp.inf)
        {a:f+}.var()
        {a:f+}.std({x:axis})
        jnp.var({a:f+}, {x:axis}, ddof=1)
        jnp.median({a:f+})
        jnp.sort({a:f+}, {x:axis})
        jnp.sort({a:f+}, descending={t:truth})
        jax.lax.top_k({a:f+}, 1)[0]
        jnp.partition({a:f1}, 1)
        jnp.quantile({a:f+}, 0.3)
        jnp.percentile({a:f+}, 40.0, method="lower")
        jnp.nansum({a:f+})
        jnp.nanmax({a:f+})
        jnp.ptp({a:f+})
        jnp.count_nonzero({a:f}) * {b:f~}
        jnp.trapezoid({a:f+})
        jnp.diff({a:f1})
        jnp.average({a:f1}, weights=jnp.abs({b:f=}) + 0.5)
        jnp.max({a:f+}, initial={k:number})
        jnp.sum({a:f}, where={a} > {k:number})
        jax.lax.sort(({a:f1}, {b:f=}), num_keys=1)[1]
        jax.lax.reduce({a:f1}, jnp.asarray(0.0, {a}.dtype), jax.lax.add, (0,))
        jax.lax.reduce_window({a:f1}, -jnp.inf, jax.lax.max, (2,), (1,), "VALID")
        jnp.interp({a:f0}, jnp.array([-1.0, 0.5, 2.0]), jnp.array([0.3, -1.0, 2.0]))
        jnp.gradient({a:f1})
        jnp.convolve({a:f1}, {b:f1})
        jnp.histogram({a:f1}, 3)[0] * {b:f0}
        jax.nn.standardize({a:f1})
        jax.ops.segment_sum({a:f1}, jnp.arange({n:length}) // 2, 2)
        jax.ops.segment_max({a:f1}, jnp.arange({n:length}) // 2, 2)
    """,
    "shapes": """
        jnp.stack([{a:f}, {b:f=}])
        jnp.stack([{a:f}, {b:f=}, {a}], {x:axis})
        jnp.stack([{a:f}, {b:f=}, {c:f=}])
        jnp.array([{a:f0}, {b:f0}, 2.0])
        jnp.concatenate([{a:f+}, {b:f=}], {x:axis})
        jnp.hstack([{a:f}, {b:f=}])
        {a:f+}.reshape(-1)
        {a:f}[None]
        {a:f}.squeeze()
        {a:f2}.T
        jnp.moveaxis({a:f+}, 0, -1)
        jnp.broadcast_to({a:f}, (3, *{a}.shape))
        jnp.tile({a:f}, 2)
        jnp.repeat({a:f+}, 2, {x:axis})
        jnp.roll({a:f+}, 1, {x:axis})
        jnp.flip({a:f+}, {x:axis})
        jnp.rot90({a:f2})
        jnp.diag({a:f+})
        jnp.diagonal({a:f2})
        jnp.tril({a:f2})
        jnp.triu({a:f2}, 1)
        jnp.outer({a:f1}, {b:f1})
        jnp.kron({a:f}, {b:f})
        jnp.pad({a:f+}, 1, constant_values={k:number})
        jnp.pad({a:f1}, 1, mode="reflect")
        jnp.pad({a:f1}, (1, 0), mode="edge")
        jnp.split({a:f+}, 1)[0]
        jnp.meshgrid({a:f1}, {b:f1}, indexing="ij")[0]
        jnp.vander({a:f1}, 3)
        jnp.einsum("i,j->ij", {a:f1}, {b:f1})
        jnp.block([[{a:f2}, {b:f=}]])
        jnp.full(3, {a:f0})
        jnp.full_like({a:f+}, {b:f0})
        jnp.append({a:f1}, {b:f0})
        jnp.insert({a:f1}, 1, {b:f0})
        jnp.delete({a:f1}, 0)
        jax.lax.pad({a:f1}, jnp.asarray({k:number}, {a}.dtype), [(1, 0, 1)])
        jax.lax.rev({a:f+}, (0,))
        jnp.polyval({a:f1}, {b:f~})
    """,
    "indexing": """
        {a:f+}[{i:index}]
        {a:f+}[{s:slice}]
        {a:f+}[..., {i:index}]
        {a:f2}[:, {i:index}]
        {a:f+}[jnp.array({p:places})]
        {a:f2}[jnp.array({p:places}), 0]
        jnp.take({a:f+}, jnp.array({p:places}), axis=0)
        {a:f+}[None, {s:slice}]
        {a:f1}[np.arange({n:length}) > 0]
        jnp.take_along_axis({a:f1}, jnp.array({p:places}), 0)
        {a:f+}[::-1]
        jax.lax.slice_in_dim({a:f+}, 0, 1, axis={x:axis})
        jax.lax.dynamic_slice_in_dim({a:f+}, {i:count}, 1)
        {a:f+}.at[{i:index}].get()
        {a:f+}.at[7].get(mode="fill", fill_value={k:number})
        {a:f+}.at[jnp.array({p:places})].get(mode="clip")
        jnp.choose(jnp.array({p:places}) % 2, [{a:f0}, {b:f0}])
    """,
    "where": """
        jnp.where({a:f} > {k:number}, {b:f~}, {c:f~})
        jnp.where({a:f} {o:comparison} {b:f~}, {a}, {c:f~})
        jnp.where({a:f} {o:comparison} {k:number}, {a} * {a}, {l:number})
        jnp.where({m:b}, {b:f~}, {c:f~})
        jnp.where({m:b}, {b:f~}, 0.0)
        ({a:f} > {k:number}) * {b:f~}
        jnp.where({a:f} > 0, jnp.sqrt(jnp.where({a} > 0, {a}, 1.0)), 0.0)
        jnp.where({a:f} > 0, {a}, jnp.where({a} > -1, {b:f~}, {c:f~}))
        jnp.where(({a:f} > {k:number}) & ({b:f~} < {l:number}), {a}, {b})
        jnp.select([{a:f} > 1.0, {a} > 0.0], [{b:f~}, {c:f~}], {k:number})
        jnp.piecewise({a:f}, [{a} < 0.0, {a} >= 0.0], [lambda u: -u * u, lambda u: u * 2.0])
        jax.lax.select({a:f} > 0.1, {a}, {b:f=})
        jax.lax.select_n(({a:f} > 0.1).astype(jnp.int32), {a}, {b:f=})
    """,
    "cumulative": """
        jnp.cumsum({a:f+}, {x:axis})
        jnp.cumprod({a:f+}, {x:axis})
        jax.lax.cummax({a:f+}, axis=0)
        jax.lax.cummin({a:f+}, axis=0, reverse={t:truth})
        jax.lax.cumlogsumexp({a:f+}, axis=0, reverse={t:truth})
        jax.lax.cumsum({a:f+}, axis=0, reverse=True)
        jax.lax.cumprod({a:f+}, axis=0, reverse=True)
        jax.lax.associative_scan(jnp.multiply, {a:f1})
        jax.lax.associative_scan(jnp.maximum, {a:f1}, reverse=True)
        jnp.maximum.accumulate({a:f1})
    """,
    "linalg": """
        {a:f2} @ {b:f2}
        {a:f2} @ {b:f1}
        {a:f1} @ {b:f1}
        jnp.dot({a:f1}, {b:f=})
        jnp.einsum("ij,ij->i", {a:f2}, {b:f=})
        jnp.linalg.det({a:fq})
        jnp.linalg.inv({a:fq} + 4.0 * jnp.eye({n:length}))
        jnp.linalg.solve({a:fq} + 4.0 * jnp.eye({n:length}), {b:f1})
        jnp.linalg.solve({a:fq} + 4.0 * jnp.eye({n:length}), {b:f2})
        jnp.linalg.cholesky({a:fq} @ {a}.T + jnp.eye({n:length}))
        jnp.linalg.slogdet({a:fq} + 3.0 * jnp.eye({n:length}))[1]
        jnp.trace({a:fq})
        jax.scipy.linalg.expm({a:fq} * 0.3)
        jnp.linalg.matrix_power({a:fq}, {e:count})
        jnp.linalg.eigvalsh({a:fq} + {a}.T)
        jnp.linalg.svd({a:f2}, compute_uv=False)
        jnp.linalg.norm({a:f2})
        jnp.cross({a:f1}, {b:f=})
        jax.scipy.linalg.solve_triangular({a:fq} + 3.0 * jnp.eye({n:length}), {b:f2})
        jax.scipy.linalg.cho_solve((jnp.linalg.cholesky({a:fq} @ {a}.T + 1.0), True), {b:f2})
        jnp.linalg.pinv({a:f2})
        jnp.linalg.qr({a:fq} + 4.0 * jnp.eye({n:length}))[1]
        jnp.linalg.multi_dot([{a:f2}, {b:f2}, {c:f1}])
        jnp.tensordot({a:f2}, {b:f2}, 1)
        jnp.cov({a:f2})
        jax.lax.linalg.lu({a:fq} + 4.0 * jnp.eye({n:length}))[0]
    """,
    "special": """
        jax.scipy.special.gammaln(jnp.abs({a:f}) + 1.0)
        jax.scipy.special.digamma(jnp.abs({a:f}) + 1.0)
        jax.scipy.special.polygamma(1, jnp.abs({a:f}) + 1.0)
        jax.scipy.special.erfinv(jnp.tanh({a:f}) * 0.9)
        jax.scipy.special.ndtr({a:f})
        jax.scipy.special.ndtri(jax.nn.sigmoid({a:f}))
        jax.scipy.special.log_ndtr({a:f})
        jax.scipy.special.entr(jnp.abs({a:f}) + 0.1)
        jax.scipy.special.i0({a:f})
        jax.scipy.special.i0e({a:f})
        jax.scipy.special.i1({a:f})
        jax.scipy.special.i1e({a:f})
        jax.scipy.special.xlog1py({a:f}, jnp.abs({b:f~}))
        jax.scipy.special.zeta(2.5, jnp.abs({a:f}) + 1.0)
        jax.scipy.special.gammainc(1.5, jnp.abs({a:f}) + 0.1)
        jax.scipy.special.gammaincc(1.5, jnp.abs({a:f}) + 0.1)
        jax.scipy.special.betainc(1.5, 2.0, jax.nn.sigmoid({a:f}))
        jax.scipy.special.betaln(jnp.abs({a:f}) + 1.0, 2.0)
        jax.scipy.special.expit({a:f})
        jax.scipy.special.logit(jax.nn.sigmoid({a:f}))
        jax.scipy.special.spence(jnp.abs({a:f}) + 0.3)
        jax.scipy.special.factorial(jnp.abs({a:f}))
        jax.scipy.special.gamma(jnp.abs({a:f}) + 0.5)
        jax.scipy.special.bessel_jn(jnp.abs({a:f}) + 0.5, v=1, n_iter=20)[1]
        jax.scipy.special.exp1(jnp.abs({a:f}) + 0.5)
        jax.scipy.special.rel_entr(jnp.abs({a:f}) + 0.1, jnp.abs({b:f~}) + 0.2)
        jax.scipy.stats.norm.logpdf({a:f})
        jax.scipy.stats.norm.cdf({a:f}, {b:f~}, 1.3)
        jax.scipy.stats.t.logpdf({a:f}, 3.0)
    """,
})  # fmt: skip
