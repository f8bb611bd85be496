"""Rules of the user's own, as torch.autograd.Function has them."""

from typing import NamedTuple

__all__ = ["OTHER_RULES", "RULES", "Rule"]


class Rule(NamedTuple):
    """The source of a class, from its forward and its backward formula.

    Attributes:
        forward: the formula of the value, in `a` and `b`.
        backward: that of the gradient, in `a`, `b`, the result `y` and its gradient `g`.
        jvp: that of the tangent, in the same and the tangent `t`; "" for none.
        form: a key of `_FORMS`.
    """

    forward: str
    backward: str
    jvp: str = ""
    form: str = "plain"

    @property
    def n_operands(self) -> int:
        return 2 if self.form == "two" else 1

    def text(self, name: str) -> str:
        return _FORMS[self.form].format(
            name=name, forward=self.forward, backward=self.backward, jvp=self.jvp
        )


_PLAIN = """\
class {name}(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        y = {forward}
        ctx.save_for_backward(a, y)
        return y

    @staticmethod
    def backward(ctx, g):
        a, y = ctx.saved_tensors
        return {backward}
"""

_SETUP = """\
class {name}(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a):
        return {forward}

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx, g):
        a, y = ctx.saved_tensors
        return {backward}
"""

_WITH_JVP = """\
class {name}(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        y = {forward}
        ctx.save_for_backward(a, y)
        ctx.save_for_forward(a, y)
        return y

    @staticmethod
    def backward(ctx, g):
        a, y = ctx.saved_tensors
        return {backward}

    @staticmethod
    def jvp(ctx, t):
        a, y = ctx.saved_tensors
        return {jvp}
"""

_ONCE = """\
class {name}(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.a, ctx.k = a.detach().clone(), 2.0
        a, y = ctx.a, None
        return {forward}

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        a, y = ctx.a, None
        return {backward}
"""

_DIRTY = """\
class {name}(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.mark_dirty(a)
        return a.mul_(3.0)

    @staticmethod
    def backward(ctx, g):
        return 3.0 * g
"""

_TWO = """\
class {name}(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return {forward}

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        first = {backward} if ctx.needs_input_grad[0] else None
        return first, {jvp}
"""

_FORMS = {
    "plain": _PLAIN,
    "setup": _SETUP,
    "jvp": _WITH_JVP,
    "once": _ONCE,
    "dirty": _DIRTY,
    "two": _TWO,
}

RULES = (
    Rule("torch.sin(a)", "g * torch.cos(a)"),
    Rule("a * a * a", "g * 3.0 * a * a"),
    Rule("torch.exp(-a * a)", "-2.0 * a * y * g"),
    Rule("a.sum()", "g.expand(a.shape)"),
    Rule("torch.tanh(a)", "g * (1.0 - y * y)", form="setup"),
    Rule("a * a", "2.0 * a * g", form="setup"),
    Rule("torch.sin(a)", "g * torch.cos(a)", "t * torch.cos(a)", form="jvp"),
    Rule("torch.atan(a)", "g / (1.0 + a * a)", form="once"),
    Rule("", "", form="dirty"),
    # The last formula is the gradient of the second operand.
    Rule("a * b + torch.sin(b)", "g * b", "g * (a + torch.cos(b))", form="two"),
    Rule("torch.from_numpy(np.asarray(np.tanh(a.detach().numpy())))", "g * (1.0 - y * y)"),
)

OTHER_RULES = (
    Rule("torch.round(a)", "g"),
    Rule("a.view_as(a)", "-0.5 * g"),
    Rule("a * 2.0", "-0.5 * g"),
    Rule("torch.sign(a)", "g * (a.abs() < 1.0)"),
    Rule("torch.relu(a)", "torch.where(a > 0, g, 0.1 * g)", form="setup"),
)
