"""What random NumPy functions do with numbers and arrays, a line each."""

from gradsweep.testing.fuzz.drawing.operators import ARITHMETIC, COMPLEX, ENTRIES
from gradsweep.testing.fuzz.drawing.rows import rows_of

__all__ = ["ROWS"]

# Without what NumPy does not compute in long doubles, which the reference needs: linear algebra by
# LAPACK, and functions of scipy.special.
ROWS = rows_of({
    "arithmetic": ARITHMETIC
    + """
        {a:f} % {p:positive}
        {a:f} // {p:positive}
        np.add({a:f}, {b:f~})
        np.subtract({a:f}, {b:f~})
        np.multiply({a:f}, {b:f~})
        np.divide({a:f}, np.abs({b:f~}) + 0.5)
        np.true_divide({a:f}, {p:positive})
        np.power(np.abs({a:f}) + 0.2, {e:exponent})
        np.negative({a:f})
        np.mod({a:f}, {p:positive})
        np.fmod({a:f}, {p:positive})
        np.remainder({a:f}, np.abs({b:f~}) + 0.7)
        np.reciprocal(np.abs({a:f}) + 0.5)
        np.float_power({a:f}, 2)
    """,
    "elementwise": """
        np.sin({a:f})
        np.cos({a:f})
        np.tan({a:f} * 0.5)
        np.tanh({a:f})
        np.exp(np.minimum({a:f}, 2.0))
        np.exp(-{a:f} * {a})
        1.0 / (1.0 + np.exp(-{a:f}))
        np.log(np.abs({a:f}) + 0.5)
        np.log1p({a:f} * {a})
        np.expm1(np.clip({a:f}, -1.5, 1.5))
        np.sqrt({a:f} * {a} + 0.1)
        np.cbrt({a:f} * {a} + 0.1)
        np.square({a:f})
        np.arctan({a:f})
        np.arcsin(np.tanh({a:f}) * 0.9)
        np.arccos(np.tanh({a:f}) * 0.9)
        np.sinh(np.clip({a:f}, -2.0, 2.0))
        np.cosh(np.clip({a:f}, -2.0, 2.0))
        np.arcsinh({a:f})
        np.arccosh(np.abs({a:f}) + 1.1)
        np.arctanh(np.tanh({a:f}) * 0.8)
        np.exp2(np.minimum({a:f}, 3.0))
        np.log2(np.abs({a:f}) + 0.5)
        np.log10(np.abs({a:f}) + 0.5)
        np.abs({a:f})
        np.absolute({a:f})
        np.fabs({a:f})
        abs({a:f})
        np.sign({a:f}) * {b:f~}
        np.clip({a:f}, -0.5, 1.0)
        {a:f}.clip(-0.5, 1.0)
        np.floor({a:f}) * {b:f~}
        np.ceil({a:f}) - {b:f~}
        np.rint({a:f}) + {b:f~}
        np.round({a:f}, {d:digits}) * {b:f~}
        np.trunc({a:f}) * {b:f~}
        np.maximum({a:f}, {b:f~})
        np.minimum({a:f}, {b:f~})
        np.maximum({a:f}, {k:number})
        np.fmax({a:f}, {b:f~})
        np.fmin({a:f}, {b:f~})
        np.hypot({a:f}, {b:f~})
        np.arctan2({a:f}, {b:f~})
        np.copysign({a:f}, {b:f~})
        np.logaddexp({a:f}, {b:f~})
        np.logaddexp2({a:f}, {b:f~})
        np.heaviside({a:f}, 0.5)
        np.nan_to_num({a:f} * {b:f~})
        np.sinc({a:f})
        np.deg2rad({a:f} * 30.0)
        np.radians({a:f})
        np.degrees({a:f}) * 0.01
        np.interp({a:f0}, [-2.0, 0.1, 1.3, 4.0], [0.5, -1.0, 2.0, 1.5])
        np.polyval([0.5, -1.0, 2.0], {a:f})
    """,
    "math": """
        math.exp(min({a:f0}, 2.0))
        math.sqrt({a:f0} * {a} + 0.1)
        math.sin({a:f0})
        math.cos({a:f0}) * {b:f~}
        math.tanh({a:f0})
        math.log(abs({a:f0}) + 0.5)
        math.log1p({a:f0} ** 2)
        math.atan2({a:f0}, {b:f0})
        math.atan({a:f0})
        math.pow(abs({a:f0}) + 0.2, 1.5)
        math.hypot({a:f0}, {b:f0})
        math.fabs({a:f0})
        math.pi * {a:f}
        max({a:f0}, {b:f0})
        min({a:f0}, {k:number})
        sum([{a:f0}, {b:f0}, {c:f0}])
        sum({a:f1})
        sum(v * v for v in {a:f1})
        sum(u * v for u, v in zip({a:f1}, {b:f=}))
    """,
    "complex": COMPLEX
    + """
        {a:f} + {k:number} * 1j
        {a:f} + 1j * {b:f~}
        np.exp(1j * {a:f})
        {a:c} / ({b:c~} * np.conj({b}) + 0.5)
        np.conj({a:c}) * {b:c~}
        {a:c}.conjugate()
        np.exp({a:c} * 0.3)
        np.sin({a:c} * 0.3)
        np.tanh({a:c} * 0.3)
        np.sqrt({a:c} + 4.0)
        np.log({a:c} + 5.0)
        np.real({a:c}) * {b:f~}
        np.abs({a:c})
        abs({a:c}) ** 2
        np.angle({a:c} + 3.0)
        np.sum({a:c})
        np.prod({a:c+})
        np.cumsum({a:c+}, axis={x:axis})
        np.stack([{a:c}, {b:c=}])
        np.array([{a:c0}, {b:z0}])
        np.where({a:c}.real > 0, {a}, {b:c=})
        np.sign({a:c} + 2.0)
        np.vdot({a:c1}, {b:c=}).real
        cmath.exp({a:z0} * 0.3)
        cmath.sqrt({a:z0} - 4.0)
        cmath.log({a:z0} + 5.0) * {b:f~}
        cmath.phase({a:z0} + 3.0)
        cmath.polar({a:z0} + 3.0)[0]
        cmath.rect(1.2, {a:f0})
        complex({a:f0}, {b:f0})
    """,
    "complex_views": """
        np.zeros(3, np.complex128)
        np.zeros((2, 2), np.complex128)
        np.array([{a:f0}, 1j, {b:f0}])
        {a:f+} * (1.0 + 0.5j)
        {a:c+!}[{s:slice}].imag
        {a:c+!}.T.real
        {a:c+!}.real.reshape(-1)
        ! {a:c+!}.real[{i:index}] = {b:f0}
        ! {a:c+!}[{i:index}] = {b:z0}
        ! {a:c+!}.imag += {b:f0}
        ! {a:c+!}.imag = {a}.real * {k:number}
        ! {a:c+!}[{s:slice}].real *= {k:number}
    """,
    "reductions": """
        np.sum({a:f})
        {a:f+}.sum({x:axis})
        np.sum({a:f+}, axis={x:axis}, keepdims=True) * {a}
        np.mean({a:f})
        {a:f+}.mean({x:axis})
        np.prod({a:f})
        {a:f+}.prod(axis={x:axis})
        np.max({a:f})
        np.amax({a:f})
        {a:f+}.min({x:axis})
        {a:f+}.max()
        np.var({a:f+})
        np.std({a:f+}, axis={x:axis})
        np.var({a:f+}, axis={x:axis}, ddof=0)
        np.linalg.norm({a:f+})
        np.trapezoid({a:f+})
        np.diff({a:f+}, axis={x:axis})
        np.ptp({a:f+})
        np.sort({a:f+}, axis={x:axis})
        np.average({a:f+})
    """,
    "shapes": """
        np.array([{a:f0}, {b:f0}])
        np.array([{a:f0}, {k:number}, {b:f0}])
        np.array([[{a:f0}, {k:number}], [0.0, {b:f0}]])
        np.asarray([{a:f0}, {b:f0}])
        np.stack([{a:f}, {b:f=}])
        np.stack([{a:f}, {b:f=}, {a}], axis={x:axis})
        np.concatenate([{a:f+}, {b:f=}], axis={x:axis})
        np.hstack([{a:f1}, {b:f1}])
        np.vstack([{a:f1}, {b:f=}])
        np.column_stack([{a:f1}, {b:f=}])
        np.append({a:f1}, {b:f0})
        {a:f+}.reshape(-1)
        np.ravel({a:f+})
        {a:f+}.flatten()
        np.expand_dims({a:f}, 0)
        {a:f+}[None]
        {a:f+}[:, np.newaxis]
        np.squeeze({a:f+})
        {a:f2}.T
        np.transpose({a:f2})
        np.swapaxes({a:f2}, 0, 1)
        np.broadcast_to({a:f0}, (3,))
        np.tile({a:f1}, 2)
        np.repeat({a:f1}, 2)
        np.roll({a:f+}, 1)
        np.flip({a:f+}, {x:axis})
        {a:f+}[::-1]
        np.diag({a:f1})
        np.diagonal({a:f2})
        np.tril({a:f2})
        np.outer({a:f1}, {b:f1})
        np.full(3, {a:f0})
        np.ones(3) * {a:f0}
        np.linspace(0.0, 1.0, 3) * {a:f0}
        np.linspace({a:f0}, {b:f0}, 3)
        np.arange(3) * {a:f0}
        np.pad({a:f1}, 1)
        np.zeros_like({a:f}) + {b:f~}
        np.ones_like({a:f}) * {b:f~}
        np.meshgrid({a:f1}, {b:f1})[0]
    """,
    "indexing": """
        {a:f+}[{i:index}]
        {a:f+}[{s:slice}]
        {a:f+}[..., {i:index}]
        {a:f2}[:, {i:index}]
        {a:f2}[{i:index}, 0]
        {a:f+}[{p:places}]
        {a:f+}[np.array({p:places})]
        np.take({a:f1}, {p:places})
        {a:f1}[np.arange({n:length}) > 0]
    """,
    "where": """
        np.where({a:f} > {k:number}, {b:f~}, {c:f~})
        np.where({a:f} {o:comparison} {b:f~}, {a}, {c:f~})
        np.where({a:f} {o:comparison} {k:number}, {a} * {a}, {l:number})
        np.where({m:b}, {b:f~}, 0.0)
        ({a:f} > {k:number}) * {b:f~}
        np.where({a:f} > 0, np.sqrt(np.where({a} > 0, {a}, 1.0)), 0.0)
        np.where(({a:f} > {k:number}) & ({b:f~} < {l:number}), {a}, {b})
        np.select([{a:f} > 1.0, {a} > 0.0], [{a} * 2.0, {a} ** 2], 0.3)
        {a:f0} if {b:f0} > {k:number} else {a} * 0.5
    """,
    "booleans": """
        {a:f} {o:comparison} {b:f~}
        {a:f} {o:comparison} {k:number}
        {a:b} & {b:b~}
        {a:b} | {b:b~}
        ~{a:b}
        np.logical_and({a:f} > 0.2, {b:f~} > 0.1)
        np.logical_not({a:b})
        np.isfinite({a:f})
        {a:b} * {b:f~}
        {a:b}.astype(float)
        np.sum({a:b}) * {b:f~}
        np.any({a:b+}) * {b:f0}
    """,
    "cumulative": """
        np.cumsum({a:f+}, axis={x:axis})
        {a:f1}.cumsum()
        np.cumprod({a:f+}, axis={x:axis})
        np.maximum.accumulate({a:f1})
        np.cumsum({a:f1}[::-1])[::-1]
    """,
    "linalg": """
        {a:f2} @ {b:f2}
        {a:f2} @ {b:f1}
        {a:f1} @ {b:f1}
        np.dot({a:f1}, {b:f=})
        np.dot({a:f2}, {b:f1})
        {a:f2}.dot({b:f1})
        np.matmul({a:f2}, {b:f2})
        np.inner({a:f1}, {b:f=})
        np.vdot({a:f1}, {b:f=})
        np.einsum("ij,ij->i", {a:f2}, {b:f=})
        np.einsum("i,j->ij", {a:f1}, {b:f1})
        np.trace({a:fq})
        np.cross({a:f1}, {b:f=})
        np.tensordot({a:f2}, {b:f2}, axes=1)
        np.kron({a:f1}, {b:f1})
    """,
    "writes": """
        np.zeros(3)
        np.ones((2, 2))
        np.empty(3) * 0.0
        np.full((3,), {k:number})
        np.zeros_like({a:f+})
        {a:f+}.copy()
        np.array([1.0, -2.0, 0.5])
        np.array([{a:f0}, {b:f0}, 0.5])
        """
    + ENTRIES
    + """
        ! {w:f+!}[:] = {b:f=}
        ! {w:f+!} += {b:f~}
        ! {w:f+!} *= {k:number}
        ! {w:f+!} -= {b:f~}
        ! {w:f+!}[{w} > {k:number}] = {l:number}
        ! {w:f1!}[{p:distinct}] = {b:f0}
        ! {w:f+!}.fill({k:number})
    """,
    "views": """
        {w:f+!}[{s:slice}]
        {w:f2!}.T
        {w:f2!}[{i:index}]
        {w:f+!}.reshape(-1)
        {w:f+!}[::-1]
        {w:f+!}.ravel()
    """,
})  # fmt: skip
