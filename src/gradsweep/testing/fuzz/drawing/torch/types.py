"""What random torch functions do with other types, and at places that are computed."""

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
        torch.logical_and({a:f}, {b:f~})
        torch.isfinite({a:f} / {b:f~})
        torch.signbit({a:f})
        {a:b} * {b:f~}
        {a:b}.to({b:f}.dtype)
        {a:b}.sum() * {b:f~}
        torch.isclose({a:f}, {b:f~}, atol=0.3)
    """,
    "integers": """
        ({a:f} * 3).long()
        ({a:f} * 10).to(torch.int64)
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
        torch.div({a:l}, {s:small}, rounding_mode="trunc")
        torch.fmod({a:l}, {s:small})
        torch.abs({a:l})
        {a:l}.clamp(-2, 3)
        {a:l}.sum()
        {a:l+}.cumsum({x:axis})
        {a:l+}.prod({x:axis})
        {a:l}.double().mean()
        {a:l} * {b:f~}
        {a:l}.to({b:f}.dtype)
        torch.where({a:l} > 1, {b:f~}, {c:f~})
        {a:l+}.max()
        {a:l}.sign()
        torch.gcd({a:l}, {b:l~})
        {a:f}.pow({b:l~}.clamp(0, 3))
        {a:l}.float()
        torch.arange(3) * {a:l0}
    """,
    "narrow_integers": """
        ({a:f} * {g:large}).to(torch.int32)
        ({a:f} * 20).clamp(-120, 120).to(torch.int8)
        ({a:f}.abs() * 40).clamp(0, 250).to(torch.uint8)
        ({a:f} * {g:large}).to(torch.int16)
        {a:l}.to(torch.int8)
        {a:l}.to(torch.uint8)
        {a:l}.to(torch.int32)
        {a:w} * {b:w~}
        {a:w} + {b:w~}
        {a:w} - {b:w~}
        {a:w} * {s:small}
        {a:w} + {g:large}
        -{a:w}
        ~{a:w}
        {a:w} // {s:small}
        {a:w} % {s:small}
        {a:w} << 2
        {a:w} >> 1
        {a:w} & {b:w=}
        {a:w}.abs()
        {a:w} ** 2
        {a:w}.sum()
        {a:w+}.sum({x:axis}, dtype=torch.int8)
        {a:w+}.cumsum({x:axis}, dtype=torch.int32)
        {a:w}.to(torch.int64)
        {a:w}.to({b:f}.dtype)
        {a:w} * {b:f~}
        {a:w} > {s:small}
        torch.div({a:w}, {s:small}, rounding_mode="floor")
        {a:w}.to(torch.uint8)
        {a:b}.to(torch.uint8) - 1
        {a:w}.clamp(-3, 100)
    """,
    "casts": """
        {a:d}.float()
        {a:s}.double()
        {a:d}.to(torch.float32) * {b:f~}
        {a:s} * {b:d~}
        torch.sin({a:d}.float()).double()
        {a:f}.type(torch.float64)
        {a:s} + {k:number}
        {a:f}.to({b:f}.dtype)
    """,
    "complex": COMPLEX
    + """
        torch.complex({a:f}, {b:f=})
        torch.polar({a:f}.abs() + 0.1, {b:f=})
        {a:f} + {k:number} * 1j
        {a:c} / ({b:c~} * {b}.conj() + 0.5)
        {a:c}.conj() * {b:c~}
        torch.exp({a:c} * 0.3)
        torch.sin({a:c} * 0.3)
        torch.tanh({a:c} * 0.3)
        torch.sqrt({a:c} + 4.0)
        torch.log({a:c} + 5.0)
        {a:c}.abs()
        ({a:c} + 3.0).angle()
        {a:c}.abs() ** 2
        torch.view_as_real({a:c})
        torch.view_as_real({a:c}).sum(-1)
        {a:c}.sum()
        {a:c+}.prod()
        torch.stack([{a:c}, {b:c=}])
        torch.where({a:c}.real > 0, {a}, {b:c=})
        torch.view_as_complex(torch.stack([{a:f}, {b:f=}], -1))
        torch.fft.fft({a:f1})
        torch.fft.ifft({a:c1})
        torch.fft.rfft({a:f1})
        torch.fft.irfft(torch.fft.rfft({a:f1}) * {b:z0}, n={a}.shape[0])
        {a:c2} @ {b:c2}
        {a:c+}.cumsum({x:axis})
        {a:c}.mean()
        torch.sgn({a:c} + 2.0)
        torch.real({a:c} * {b:c~}.conj())
        torch.linalg.vector_norm({a:c})
        {a:c}.clone()
        {a:c+}.mH
        {a:c}.conj().imag
    """,
    "swept_indices": """
        {a:f1}[({b:f0} * 2).long().clamp(0, {n:length} - 1)]
        {a:f1}[({b:f0} * 2).long().clamp(0, {n:length} - 1)[None]]
        {a:f1}[torch.argmax({b:f1}) % {n:length}]
        {a:f1}[torch.argsort({a})]
        {a:f1}[{a}.argmin()] * {b:f~}
        {a:f2}[{b:f1}.argmax() % {n:length}]
        {a:f1}.gather(0, torch.argsort({b:f=}))
        {a:f+}.take_along_dim({a}.argmax(0, keepdim=True), 0)
        torch.take({a:f1}, {b:l0} % {n:length})
        {a:f1}[{b:l0} % {n:length}]
        {a:f1}.index_select(0, ({b:f0} > 0).long()[None])
        torch.scatter({a:f1}, 0, ({b:f0} > 0).long()[None], {b}[None])
        torch.index_add({a:f1}, 0, ({b:f0} > 0).long()[None], {b}[None])
        torch.nn.functional.one_hot(({b:f0} > 0).long(), 3) * {b}
        torch.searchsorted(torch.tensor([-0.5, 0.1, 0.7], dtype={a:f0}.dtype), {a}) * {b:f~}
        torch.bucketize({a:f}, torch.tensor([-0.5, 0.1, 0.7], dtype={a}.dtype)) + {b:f~}
        torch.tensor([1.0, 2.0, -1.0])[({b:f0} > 0.3).long()] * {b}
        torch.index_put({a:f1}, (({b:f0} > 0).long(),), {b}, accumulate={t:truth})
        {a:f1}.argsort() * {a}
        {a:f+}.sort().indices * {b:f~}
        torch.searchsorted({a:f1}.sort().values, {b:f0}) * {b}
        {a:f2}[({b:f0} > 0).long() % {a}.shape[0], ({b} > 0.3).long() % {a}.shape[1]]
        {a:f2}[:, ({b:f0} > 0).long() % {a}.shape[1]] * 2.0
        torch.searchsorted(torch.linspace(-1, 1, 20, dtype={a:f0}.dtype), {a}) * {b:f~}
        torch.linspace(0, 1, 20, dtype={a:f0}.dtype)[({a} * 3).long().clamp(0, 19)] * {b:f~}
    """,
    "closures": """
        (lambda u: u * {a:f0} + {k:number})({b:f})
        (lambda u, w={a:f}: u + w)({b:f~})
        sum(u * {k:number} for u in {a:f1})
        list(map(torch.sin, [{a:f}, {b:f~}]))[-1]
    """,
    "containers": """
        {'p': {a:f}, 'q': ({b:f}, 2.0)}['q'][0]
        [{a:f}, {b:f}][-1] * 2.0
        dict(p={a:f}, q={b:f})['p']
        sum([{a:f}, {b:f~}])
        max([{a:f0}, {b:f0}], key=lambda u: 1)
        torch.max({a:f1}, 0)[1] * {b:f~}
    """,
    "networks": """
        torch.nn.functional.softplus({a:f})
        torch.nn.functional.gelu({a:f})
        torch.nn.functional.gelu({a:f}, approximate="tanh")
        torch.nn.functional.silu({a:f})
        torch.nn.functional.mish({a:f})
        torch.nn.functional.elu({a:f})
        torch.nn.functional.selu({a:f})
        torch.nn.functional.celu({a:f}, 0.7)
        torch.nn.functional.leaky_relu({a:f}, 0.1)
        torch.nn.functional.hardtanh({a:f}, -0.5, 0.8)
        torch.nn.functional.hardswish({a:f})
        torch.nn.functional.softshrink({a:f}, 0.3)
        torch.nn.functional.hardshrink({a:f}, 0.3)
        torch.nn.functional.softsign({a:f})
        torch.nn.functional.logsigmoid({a:f})
        torch.nn.functional.relu6({a:f} * 5.0)
        torch.nn.functional.glu(torch.cat([{a:f1}, {b:f=}]), 0)
        torch.nn.functional.normalize({a:f+}, dim={x:axis})
        torch.nn.functional.layer_norm({a:f1}, [{n:length}])
        torch.nn.functional.mse_loss({a:f}, {b:f=})
        torch.nn.functional.huber_loss({a:f}, {b:f=})
        torch.nn.functional.smooth_l1_loss({a:f}, {b:f=}, beta=0.5)
        torch.nn.functional.l1_loss({a:f}, {b:f=})
        torch.nn.functional.binary_cross_entropy_with_logits({a:f}, torch.sigmoid({b:f=}))
        torch.nn.functional.kl_div({a:f1}, torch.softmax({b:f=}, 0), reduction="sum")
        torch.nn.functional.cross_entropy({a:f1}, torch.tensor({i:index} % {n:length}))
        torch.nn.functional.nll_loss({a:f2}, torch.zeros({n:length}, dtype=torch.int64))
        torch.nn.functional.linear({a:f1}, {b:f2})
        torch.nn.functional.bilinear({a:f1}, {b:f1}, torch.ones(2, {a}.shape[0], {b}.shape[0]))
        torch.nn.functional.conv1d({a:f1}[None, None], {b:f1}[None, None])[0, 0]
        torch.nn.functional.avg_pool1d({a:f1}[None], 2, 1)[0]
        torch.nn.functional.max_pool1d({a:f1}[None], 2, 1)[0]
        torch.nn.functional.embedding(torch.tensor([0, 1, 1]), {a:f2}, padding_idx=1)
        torch.nn.functional.embedding(torch.tensor([0, 1]), {a:f2})
        torch.nn.functional.dropout({a:f}, 0.5, training=False)
        torch.nn.functional.interpolate({a:f1}[None, None], scale_factor=2.0, mode="linear")[0, 0]
        torch.nn.functional.cosine_embedding_loss({a:f2}, {b:f=}, torch.ones({n:length}))
        torch.nn.functional.scaled_dot_product_attention({a:f2}, {b:f=}, {c:f=})
        torch.nn.functional.prelu({a:f1}, {b:f0}[None])
        torch.nn.functional.pairwise_distance({a:f2}, {b:f=})
        torch.nn.functional.triplet_margin_loss({a:f2}, {b:f=}, {c:f=})
    """,
})  # fmt: skip
