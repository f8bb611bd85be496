"""Rules of the user's own, as jax.custom_jvp and jax.custom_vjp have them."""

from typing import NamedTuple

__all__ = ["OTHER_RULES", "RULES", "Rule"]


class Rule(NamedTuple):
    """The source of a function with a rule.

    Attributes:
        value: the formula of the value, in `a`, and in `b` where there are two operands.
        first: that of the derivative by `a`.
        second: that of the derivative by `b`; "" for one operand.
        form: a key of `_FORMS`, without "of two".
    """

    value: str
    first: str
    second: str = ""
    form: str = "jvp"

    @property
    def n_operands(self) -> int:
        return 2 if self.second else 1

    def text(self, name: str) -> str:
        form = f"{self.form} of two" if self.second else self.form
        return _FORMS[form].format(
            name=name, value=self.value, first=self.first, second=self.second
        )


_FORMS = {
    "jvp": """\
@jax.custom_jvp
def {name}(a):
    return {value}


@{name}.defjvp
def {name}_rule(primals, tangents):
    (a,), (t,) = primals, tangents
    return {name}(a), ({first}) * t
""",
    "jvp of two": """\
@jax.custom_jvp
def {name}(a, b):
    return {value}


{name}.defjvps(
    lambda t, y, a, b: ({first}) * t,
    lambda t, y, a, b: ({second}) * t,
)
""",
    "vjp": """\
@jax.custom_vjp
def {name}(a):
    return {value}


{name}.defvjp(lambda a: ({name}(a), a), lambda a, g: (({first}) * g,))
""",
    "vjp of two": """\
@jax.custom_vjp
def {name}(a, b):
    return {value}


{name}.defvjp(
    lambda a, b: ({value}, (a, b)),
    lambda kept, g: (lambda a, b: (({first}) * g, ({second}) * g))(*kept),
)
""",
    "jvp with a static argument": """\
@partial(jax.custom_jvp, nondiff_argnums=(1,))
def {name}_of(a, k):
    return k({value})


@{name}_of.defjvp
def {name}_rule(k, primals, tangents):
    (a,), (t,) = primals, tangents
    return {name}_of(a, k), jax.grad(lambda u: k(u).sum())({value}) * ({first}) * t


def {name}(a):
    return {name}_of(a, jnp.sin)
""",
    "vjp with a static argument": """\
@partial(jax.custom_vjp, nondiff_argnums=(0,))
def {name}_of(k, a):
    return k * ({value})


{name}_of.defvjp(
    lambda k, a: ({name}_of(k, a), a),
    lambda k, a, g: (k * ({first}) * g,),
)


def {name}(a):
    return {name}_of(2.0, a)
""",
}

RULES = (
    Rule("jnp.sin(a)", "jnp.cos(a)"),
    Rule("a * a * a", "3.0 * a * a"),
    Rule("jnp.exp(-a * a)", "-2.0 * a * jnp.exp(-a * a)", form="vjp"),
    Rule("jnp.tanh(a)", "1.0 - jnp.tanh(a) ** 2", form="vjp"),
    Rule("a * b + jnp.sin(b)", "b", "a + jnp.cos(b)"),
    Rule("a * b + jnp.sin(b)", "b", "a + jnp.cos(b)", form="vjp"),
    Rule("a * a", "2.0 * a", form="jvp with a static argument"),
    Rule("a * a", "2.0 * a", form="vjp with a static argument"),
)

OTHER_RULES = (
    Rule("jnp.round(a)", "1.0"),
    Rule("jnp.round(a)", "1.0", form="vjp"),
    Rule("a * 2.0", "-0.5", form="vjp"),
    Rule("jnp.sign(a)", "jnp.abs(a) < 1.0"),
    Rule("jax.nn.relu(a)", "jnp.where(a > 0, 1.0, 0.1)", form="vjp"),
)
