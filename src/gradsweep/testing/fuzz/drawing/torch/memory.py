"""What random torch functions do in place, beside the graph and outside torch."""

from gradsweep.testing.fuzz.drawing.operators import ENTRIES
from gradsweep.testing.fuzz.drawing.rows import rows_of

__all__ = ["ROWS"]

ROWS = rows_of({
    "writes": """
        {a:f}.clone()
        torch.zeros(3)
        torch.zeros_like({a:f})
        torch.ones(2, 2)
        torch.full((3,), {k:number})
        torch.empty_like({a:f+}).fill_({k:number})
        torch.stack([{a:f}, {b:f=}])
        {a:f}.new_zeros(3)
        torch.tensor([1.0, -2.0, 0.5])
        """
    + ENTRIES
    + """
        ! {w:f!}.add_({b:f~})
        ! {w:f!}.add_({b:f~}, alpha={k:number})
        ! {w:f!}.mul_({b:f~})
        ! {w:f!}.sub_({b:f~})
        ! {w:f!}.div_({b:f~}.abs() + 0.5)
        ! {w:f!} += {b:f~}
        ! {w:f!} *= {k:number}
        ! {w:f!} -= {b:f~}
        ! {w:f!} **= 2
        ! {w:f!}.clamp_(-0.5, 1.0)
        ! {w:f!}.copy_({b:f~})
        ! {w:f!}.fill_({k:number})
        ! {w:f!}.fill_({b:f0})
        ! {w:f!}.zero_()
        ! {w:f!}.neg_()
        ! {w:f!}.sin_()
        ! {w:f!}.exp_()
        ! {w:f!}.tanh_()
        ! {w:f!}.sigmoid_()
        ! {w:f!}.relu_()
        ! {w:f!}.abs_()
        ! {w:f!}.square_()
        ! {w:f!}.floor_()
        ! {w:f!}.addcmul_({b:f~}, {c:f~})
        ! {w:f!}.lerp_({b:f=}, {k:number})
        ! {w:f!}[{w} > {k:number}] = {l:number}
        ! {w:f!}[{b:f=} > {k:number}] = {c:f0}
        ! {w:f!}.masked_fill_({b:f=} {o:comparison} {k:number}, {l:number})
        ! {w:f!}.masked_fill_({w} > {k:number}, {b:f0})
        ! {w:f+!}.index_fill_(0, torch.tensor({p:distinct}), {k:number})
        ! {w:f+!}.index_add_(0, torch.tensor([{i:index} % {n:length}]), {w}[:1] * 0.5)
        ! {w:f1!}.scatter_(0, torch.tensor({p:distinct}), {k:number})
        ! {w:f1!}.scatter_add_(0, torch.tensor([0]), {b:f0}[None])
        ! {w:f1!}.index_put_((torch.tensor({p:distinct}),), {b:f0}, accumulate={t:truth})
        ! {w:f1!}[{p:distinct}] = {b:f0}
        ! {w:f1!}[({b:f0} > 0).long()] = {b}
        ! {w:f1!}[torch.argmax({b:f1}) % {n:length}] += {k:number}
        ! {w:f+!}.cumsum_({x:axis})
        ! {w:f+!}.cumprod_({x:axis})
        ! {w:f+!}.swapaxes_(0, -1)
        ! {w:f2!}.tril_()
        ! {w:f2!}.fill_diagonal_({k:number})
        ! {w:f+!}[0], {w}[-1] = {w}[-1].clone(), {w}[0].clone()
        ! torch.nn.init.constant_({w:f!}, {k:number})
        ! {w:l!}.add_({b:l~})
        ! {w:l+!}[{i:index}] = {s:small}
        ! {w:b!}.logical_not_()
        ! {w:w!}.add_({g:large})
        ! {w:w!}.mul_({s:small})
    """,
    "views": """
        {w:f+!}[{i:index}]
        {w:f+!}[{s:slice}]
        {w:f+!}.view(-1)
        {w:f+!}.select({x:axis}, 0)
        {w:f2!}.T
        {w:f2!}.diagonal()
        {w:f+!}.transpose(0, -1)
        {w:f1!}.unfold(0, 2, 1)
        {w:f+!}.narrow({x:axis}, 0, 1)
        {w:f!}.unsqueeze(0)
        {w:f+!}.flatten()
        {w:f+!}.unbind({x:axis})[0]
        {w:f+!}.split(1)[-1]
        {w:f!}.expand(2, *{w}.shape)
        {w:f!}.squeeze()
        {w:f1!}.as_strided((2,), (1,), 1)
        {w:f!}.view_as({w})
        {w:f2!}.movedim(0, 1)
        {w:f!}.contiguous()
        {w:f2!}.T.reshape(-1)
        ! {w:f2!}.T[{i:index}] = {b:f0}
        ! {w:f+!}.view(-1)[0] = {b:f0}
        ! {w:f+!}.view(-1).mul_({k:number})
        ! {w:f2!}.diagonal().add_({b:f0})
        ! {w:f2!}[:, 0].copy_({w}[:, -1] * {k:number})
        ! {w:f+!}.select({x:axis}, -1).mul_({b:f0})
        ! {w:f+!}.narrow({x:axis}, 0, 1).fill_({k:number})
        ! {w:f+!}[{s:slice}].sin_()
        ! {w:f+!}[{s:slice}][0] = {b:f0}
        ! {w:f+!}.unbind()[0].add_({b:f0})
        ! {w:f+!}.flip(0)[0] = {k:number}
    """,
    "complex_views": """
        torch.complex({a:f}, {b:f=})
        torch.view_as_complex(torch.stack([{a:f}, {b:f=}], -1))
        torch.view_as_real({w:c!})
        {w:c!}.real
        {w:c!}.imag
        {w:c!}.conj()
        {w:c+!}.conj().real
        torch.zeros(2, dtype=torch.complex128)
        ! {w:c!}.real.mul_({k:number})
        ! {w:c!}.imag.add_({b:f0})
        ! {w:c!}.imag.zero_()
        ! {w:c!}.mul_({b:z~})
        ! {w:c!}.add_({b:z~})
        ! {w:c+!}[{i:index}] = {b:z0}
        ! {w:c+!}[{i:index}].real.fill_({b:f0})
        ! torch.view_as_real({w:c!})[..., 0] = {b:f0}
        ! torch.view_as_real({w:c!}).mul_({k:number})
        ! {w:c!}.conj_physical_()
        ! {w:c!}.real[...] = {b:f0}
        ! {w:c!}.copy_({b:z~})
    """,
    "reinterpretation": """
        {a:d}.detach().view(torch.int64).view(torch.float64) * {b:f~}
        ({a:d}.detach().view(torch.int64) & 0xFFFFFFFF00000000).view(torch.float64) + {b:f~}
        ({a:d}.detach().view(torch.int64) >> 52).to(torch.float64) * {b:f~}
        {a:s}.detach().view(torch.int32).to(torch.float64) * 1e-9 * {b:f~}
        {a:d+}.clone().view(torch.float64) * {b:f~}
    """,
    "out": """
        torch.add({a:f}.detach(), {b:f=}.detach(), out=torch.empty_like({a})) * {c:f~}
        torch.mul({a:f}.detach(), 2.0, out=torch.zeros_like({a})) * {a}
        torch.gt({a:f}, {b:f=}, out=torch.empty_like({a}, dtype=torch.bool))
        torch.argmax({a:f+}, 0, out=torch.empty({a}.shape[1:], dtype=torch.int64)) * {b:f~}
        torch.sin({a:f}.detach(), out={a}.detach().clone()) + {b:f~}
        ! torch.exp({w:f!}.detach(), out={w}.detach())
        ! torch.stack([{a:f}.detach(), {b:f=}.detach()], out=torch.empty(2, *{a}.shape))
        ! torch.cumsum({w:l1!}, 0, out={w})
    """,
    "detach": """
        {a:f}.detach()
        {a:f}.detach() * {b:f~}
        {a:f} - {a}.detach() + 0.5
        {a:f} + (torch.round({a}) - {a}).detach()
        {a:f}.data * {b:f~}
        {w:f!}.detach()
        {a:f}.detach().clone().requires_grad_() * {b:f~}
        ! {w:f!}.detach_()
        ! {w:f!}.detach().mul_({k:number})
    """,
    "other_rules": """
        ! {a:f}.requires_grad and {a}.register_hook(lambda g: g * 2.0)
        ! {a:f}.requires_grad and {a}.register_hook(lambda g: -0.5 * g)
    """,
    "numbers": """
        {a:f0}.item() * {b:f}
        float({a:f0}) * {b:f}
        torch.as_tensor([{a:f0}, {b:f0}]) * {c:f0}
        torch.tensor([{a:f0}, {b:f0}, 2.0]) * {c:f0}
        torch.as_tensor({a:f0}) * {b:f}
        torch.tensor([{a:f0}.item(), {b:f0}])
        math.sin({a:f0}) * {b:f}
        int({a:f0} * 2) * {b:f}
        {a:f1}.tolist()[0] * {b:f}
        torch.full((2,), {a:f0}.item()) * {b:f0}
        bool({a:f0} > {k:number}) * {b:f}
        {a:f} * ({a}.shape[0] if {a}.ndim else 3)
        torch.as_tensor(float({a:f0})) + {b:f}
    """,
    "numpy": """
        torch.from_numpy(np.sin({a:f+}.detach().numpy())) * {b:f~}
        torch.as_tensor(np.asarray({a:f}.detach())) * {b:f~}
        torch.tensor(np.float64({a:f0}.item()) * 2.0) * {b:f}
        torch.tensor({a:f+}.detach().numpy().sum()) * {b:f0}
        float(np.tanh({a:f0}.detach().numpy())) * {b:f}
    """,
})  # fmt: skip
