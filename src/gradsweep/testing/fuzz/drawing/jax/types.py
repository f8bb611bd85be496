"""What random JAX functions do with other types, and with JAX's own means."""

from gradsweep.testing.fuzz.drawing.operators import COMPLEX
from gradsweep.testing.fuzz.drawing.rows import rows_of

__all__ = ["ROWS"]

ROWS = rows_of({
    "booleans": """
        {a:f} {o:comparison} {b:f~}
        {a:f} {o:comparison} {k:number}
        {a:b} & {b:b~}
        {a:b} | {b:b~}
        {a:b} ^ {b:b~}
        ~{a:b}
        {a:b}.any()
        {a:b+}.all({x:axis})
        jnp.logical_and({a:f}, {b:f~})
        jnp.isfinite({a:f} / {b:f~})
        jnp.signbit({a:f})
        {a:b} * {b:f~}
        {a:b}.astype({b:f}.dtype)
        {a:b}.sum() * {b:f~}
        jnp.isclose({a:f}, {b:f~}, atol=0.3)
        jnp.array_equal({a:f}, {b:f~})
        jnp.argmax({a:b+}) * {b:f~}
    """,
    "integers": """
        ({a:f} * 3).astype(int)
        jnp.floor({a:f} * 2).astype(jnp.int64)
        {a:l} + {b:l~}
        {a:l} * {b:l~}
        {a:l} - {s:small}
        {a:l} // {s:small}
        {a:l} % {s:small}
        {a:l} ** 2
        {a:l} / {s:small}
        {a:l} & {s:small}
        {a:l} | {b:l~}
        {a:l} << 1
        {a:l} >> 1
        ~{a:l}
        jax.lax.rem({a:l}, {b:l=} * 0 + 3)
        jax.lax.div({a:l}, {b:l=} * 0 + 2)
        jnp.abs({a:l})
        jnp.clip({a:l}, -2, 3)
        {a:l}.sum()
        jnp.cumsum({a:l+})
        {a:l+}.prod()
        {a:l}.mean()
        {a:l} * {b:f~}
        {a:l}.astype({b:f}.dtype)
        jnp.where({a:l} > 1, {b:f~}, {c:f~})
        {a:l+}.max()
        jnp.sign({a:l})
        jnp.gcd({a:l}, {b:l~})
        {a:f} ** jnp.clip({b:l~}, 0, 3)
        jnp.arange(3) * {a:l0}
        jnp.bitwise_count({a:l}) * {b:f~}
        jax.lax.population_count({a:l}) * {b:f~}
    """,
    "narrow_integers": """
        ({a:f} * {g:large}).astype(jnp.int32)
        jnp.clip({a:f} * 20, -120, 120).astype(jnp.int8)
        jnp.clip(jnp.abs({a:f}) * 40, 0, 250).astype(jnp.uint8)
        jnp.clip(jnp.abs({a:f}) * 400, 0, 60000).astype(jnp.uint16)
        ({a:f} * {g:large}).astype(jnp.int16)
        jnp.clip(jnp.abs({a:f}) * 4e8, 0, 4e9).astype(jnp.uint32)
        {a:l}.astype(jnp.int8)
        {a:l}.astype(jnp.uint8)
        {a:l}.astype(jnp.int32)
        {a:l}.astype(jnp.uint32)
        {a:w} * {b:w~}
        {a:w} + {b:w~}
        {a:w} - {b:w~}
        {a:w} * 2
        {a:w} + jnp.asarray(120, {a}.dtype)
        -{a:w}
        ~{a:w}
        {a:w} // 2
        {a:w} % 3
        {a:w} << 2
        {a:w} >> 1
        {a:w} & {b:w=}
        jnp.abs({a:w})
        {a:w} ** 2
        {a:w} ** 3
        {a:w}.sum()
        jnp.sum({a:w+}, dtype={a}.dtype)
        jnp.cumsum({a:w+}, dtype={a}.dtype)
        jnp.prod({a:w+}, dtype={a}.dtype)
        {a:w}.astype(jnp.int64)
        {a:w}.astype({b:f}.dtype)
        {a:w} * {b:f~}
        {a:w} > 2
        {a:w}.astype(jnp.uint8)
        {a:w}.astype(jnp.int16)
        jnp.dot({a:w1}, {b:w=})
        jax.lax.shift_right_logical({a:w}, {b:w=} * 0 + 1)
        jax.lax.clz({a:w}) * {b:f~}
        jnp.sign({a:w})
    """,
    "saturating_casts": """
        ({a:f} * 300.0).astype(jnp.int8)
        ({a:f} * 300.0).astype(jnp.uint8)
        ({a:f} * 1e10).astype(jnp.int32)
        ({a:f} * 1e20).astype(jnp.int64)
        ({a:f} * 1e10).astype(jnp.uint32)
        ({a:f} / jnp.zeros_like({a})).astype(jnp.int32)
        jax.lax.convert_element_type({a:f} * 1e5, jnp.int16)
        {a:c}.real.astype(jnp.int32)
        jnp.asarray({a:f} * 300.0, jnp.int8).astype(jnp.int64)
    """,
    "casts": """
        {a:d}.astype(jnp.float32)
        {a:s}.astype(jnp.float64)
        {a:d}.astype(jnp.float32) * {b:f~}
        {a:s} * {b:d~}
        jnp.sin({a:d}.astype(jnp.float32)).astype(jnp.float64)
        {a:s} + {k:number}
        {a:f}.astype({b:f}.dtype)
        {a:d}.astype(jnp.bfloat16).astype(jnp.float64)
        jax.lax.bitcast_convert_type(jax.lax.stop_gradient({a:d}), jnp.int64) * 1e-19 * {b:f~}
        jax.lax.bitcast_convert_type({a:s}, jnp.int32) * 1e-9 * {b:f~}
    """,
    "complex": COMPLEX
    + """
        jax.lax.complex({a:f}, {b:f=})
        {a:f} + 1j * {b:f~}
        jnp.exp(1j * {a:f})
        {a:c} / ({b:c~} * jnp.conj({b}) + 0.5)
        jnp.conj({a:c}) * {b:c~}
        jnp.exp({a:c} * 0.3)
        jnp.sin({a:c} * 0.3)
        jnp.tanh({a:c} * 0.3)
        jnp.sqrt({a:c} + 4.0)
        jnp.log({a:c} + 5.0)
        jnp.abs({a:c})
        jnp.angle({a:c} + 3.0)
        jnp.abs({a:c}) ** 2
        {a:c}.sum()
        {a:c+}.prod()
        jnp.stack([{a:c}, {b:c=}])
        jnp.where({a:c}.real > 0, {a}, {b:c=})
        jnp.fft.fft({a:f1})
        jnp.fft.ifft({a:c1})
        jnp.fft.rfft({a:f1})
        jnp.fft.irfft(jnp.fft.rfft({a:f1}) * {b:z0}, {a}.shape[0])
        {a:c2} @ {b:c2}
        jnp.cumsum({a:c+})
        {a:c}.mean()
        jnp.sign({a:c} + 2.0)
        jnp.vdot({a:c1}, {b:c=}).real
        {a:c+}.at[{i:index}].set({b:z0})
        {a:c+}.at[{i:index}].multiply({b:c0})
        jnp.linalg.norm({a:c1})
        jnp.roots(jnp.stack([{a:f0} * 0 + 1.0, {a}, {b:f0} + 9.0])).imag.max()
    """,
    "swept_indices": """
        {a:f1}[jnp.clip(({b:f0} * 2).astype(int), 0, {n:length} - 1)]
        {a:f1}[({b:f0} * 2).astype(int)]
        {a:f1}[jnp.argmax({b:f1})]
        {a:f1}[jnp.argsort({a})]
        {a:f1}[jnp.argmin({a})] * {b:f~}
        {a:f2}[jnp.argmax({b:f1})]
        jnp.take({a:f1}, ({b:f0} * 2).astype(int))
        jnp.take({a:f1}, {b:l0}, mode="wrap")
        jnp.take({a:f1}, {b:l0}, mode="clip")
        {a:f1}[{b:l0} % {n:length}]
        {a:f1}.at[{b:l0}].get(mode="fill", fill_value=0.5)
        jax.lax.dynamic_slice({a:f1}, (({b:f0} * 2).astype(int),), (2,))
        jax.lax.dynamic_index_in_dim({a:f+}, ({b:f0} * 2).astype(int), keepdims=False)
        jax.lax.dynamic_update_slice({a:f1}, {b:f0}[None], (({b} * 2).astype(int),))
        {a:f1}.at[({b:f0} * 2).astype(int)].set({b})
        {a:f1}.at[({b:f0} * 2).astype(int)].add({b})
        {a:f1}.at[jnp.argmax({a})].multiply({b:f0})
        {a:f1}.at[{b:l0}].set({c:f0}, mode="drop")
        {a:f1}.at[{b:l0} % {n:length}].max({c:f0})
        jax.nn.one_hot(({b:f0} > 0).astype(int), 3) * {b}
        jnp.searchsorted(jnp.array([-0.5, 0.1, 0.7]), {a:f}) * {b:f~}
        jnp.digitize({a:f}, jnp.array([-0.5, 0.1, 0.7])) + {b:f~}
        jnp.array([1.0, 2.0, -1.0])[({b:f0} > 0.3).astype(int)] * {b}
        jnp.argsort({a:f1}) * {a}
        jnp.take_along_axis({a:f1}, jnp.argsort({b:f=}), 0)
        jax.lax.top_k({a:f1}, 1)[1] * {b:f0}
        jnp.roll({a:f1}, ({b:f0} * 2).astype(int))
        jax.ops.segment_sum({a:f1}, ({a} > 0).astype(int), 2)
        jnp.bincount(({a:f1} > 0).astype(int), weights={a}, length=2)
        jnp.interp({a:f}, jnp.linspace(-1.0, 1.0, 20), jnp.linspace(0.0, 2.0, 20) ** 2) * {b:f~}
        {a:f2}[({b:f0} > 0).astype(int), -1]
    """,
    "closures": """
        (lambda u: u * {a:f0} + {k:number})({b:f})
        (lambda u, w={a:f}: u + w)({b:f~})
        sum(u * {k:number} for u in {a:f1})
        jax.tree.map(jnp.sin, [{a:f}, {b:f~}])[-1]
    """,
    "containers": """
        {'p': {a:f}, 'q': ({b:f}, 2.0)}['q'][0]
        jax.tree.map(lambda u: u * 2.0, {'p': {a:f}, 'q': [{b:f}]})['q'][0]
        sum(jax.tree.leaves(({a:f}, {'p': {b:f~}})))
        jax.flatten_util.ravel_pytree(({a:f}, {b:f}))[0]
        jax.tree.reduce(jnp.multiply, [{a:f}, {b:f~}, {c:f~}])
    """,
    "updates": """
        {a:f+}.at[{i:index}].set({b:f0})
        {a:f+}.at[{i:index}].set({k:number})
        {a:f+}.at[{i:index}].add({b:f0})
        {a:f+}.at[{i:index}].multiply({b:f0})
        {a:f+}.at[{i:index}].divide(jnp.abs({b:f0}) + 0.5)
        {a:f+}.at[{i:index}].power(2)
        {a:f+}.at[{i:index}].min({b:f0})
        {a:f+}.at[{i:index}].max({b:f0})
        {a:f+}.at[{i:index}].apply(jnp.sin)
        {a:f+}.at[{s:slice}].set({b:f0})
        {a:f+}.at[{s:slice}].add({k:number})
        {a:f+}.at[..., {i:index}].set({b:f0})
        {a:f1}.at[jnp.array({p:places})].add({b:f0})
        {a:f1}.at[jnp.array({p:places})].set({b:f0})
        {a:f1}.at[jnp.array({p:places})].multiply({b:f0})
        {a:f1}.at[jnp.array({p:places})].max({b:f0})
        {a:f+}.at[9].set({b:f0})
        {a:f+}.at[:1].mul({b:f0})
        jnp.zeros(3).at[{i:count} - 1].set({b:f0})
        jnp.zeros((2, 2)).at[jnp.diag_indices(2)].set({b:f0})
        {a:f2}.at[:, 0].set({a}[:, -1] * {k:number})
        jnp.fill_diagonal({a:fq}, {b:f0}, inplace=False)
        jnp.put({a:f1}, 0, {b:f0}, inplace=False)
        jax.lax.dynamic_update_slice_in_dim({a:f1}, {b:f0}[None], 1, 0)
    """,
    "refs": """
        jax.new_ref({a:f} * 1.0)
        jax.new_ref(jnp.zeros(3))
        {r:r}[...] * {b:f~}
        {r:r}[...]
        {r:r+}[{i:index}] * {b:f~}
        {r:r+}[{s:slice}]
        ! {r:r}[...] = {b:f=}
        ! {r:r}[...] = {r}[...] * {k:number}
        ! {r:r}[...] += {b:f~}
        ! {r:r}[...] *= {b:f0}
        ! {r:r+}[{i:index}] = {b:f0}
        ! {r:r+}[{i:index}] += {b:f0}
        ! {r:r+}[{i:index}] *= {k:number}
        ! {r:r+}[{s:slice}] = {r}[{i:index}]
        ! {r:r1}[({b:f0} > 0).astype(int)] += {b}
    """,
    "stop_gradient": """
        jax.lax.stop_gradient({a:f})
        jax.lax.stop_gradient({a:f}) * {b:f~}
        {a:f} - jax.lax.stop_gradient({a}) + 0.5
        {a:f} + jax.lax.stop_gradient(jnp.round({a}) - {a})
        jax.lax.stop_gradient({'p': {a:f}})['p'] + {b:f~}
    """,
    "transformations": """
        jax.jit(lambda u, v: u * v + jnp.sin(u))({a:f}, {b:f~})
        jax.jit(lambda u: u * {b:f~})({a:f})
        jax.vmap(lambda u: u * {b:f0} + jnp.cos(u))({a:f1})
        jax.vmap(lambda u, v: jnp.where(u > v, u, v * v))({a:f1}, {b:f=})
        jax.vmap(lambda u: u.sum() * u)({a:f2})
        jax.vmap(lambda u: jax.lax.cond(u > 0, jnp.sin, jnp.cos, u))({a:f1})
        jax.vmap(jnp.dot, in_axes=(0, None))({a:f2}, {b:f1})
        jax.checkpoint(lambda u: jnp.sin(u) * jnp.exp(-u * u))({a:f})
        jax.grad(lambda u: jnp.sin(u) * {b:f0})({a:f0})
        jax.grad(lambda u: (u * u * u).sum())({a:f})
        jax.jvp(jnp.tanh, ({a:f},), ({b:f=},))[1]
        jax.vjp(jnp.tanh, {a:f})[1]({b:f=})[0]
        jax.jacfwd(lambda u: u * u)({a:f1})
        jax.jacrev(lambda u: jnp.cumsum(u) * u)({a:f1})
        jax.hessian(lambda u: (u * u * u).sum())({a:f1})
        jax.linearize(jnp.sin, {a:f})[1]({b:f=})
        jnp.vectorize(lambda u: u * u + 1.0)({a:f})
        jax.value_and_grad(lambda u: jnp.exp(-u * u))({a:f0})[0]
    """,
})  # fmt: skip
