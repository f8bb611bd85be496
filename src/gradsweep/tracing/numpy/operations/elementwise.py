"""Functions of each element: arithmetic, elementary functions, comparisons, choices."""

from typing import Any

import numpy as np

from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.library import library_of, resolve
from gradsweep.tracing.numpy.memory import Part, PartOfComplex
from gradsweep.tracing.numpy.operators import Number
from gradsweep.tracing.numpy.row import Composed, Native, Row, View, array_of, as_array, unwrapped

__all__ = ["ROWS"]

# The same name in NumPy, torch and jax.numpy.
_SAME = (
    "exp expm1 exp2 log log1p log2 log10 sqrt square reciprocal negative positive "
    "sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh "
    "isnan isinf isfinite signbit sinc deg2rad rad2deg logical_not conj"
).split()


def _arccosh_in_jax(z: Any) -> Any:
    """Return it by Kahan's formulas: JAX's own rule (0.10) has the other sign left of 0.

    Reference: Kahan (1987), "Branch cuts for complex elementary functions".
    """
    jnp: Any = resolve("jax.numpy")
    if not jnp.iscomplexobj(z):
        return jnp.arccosh(z)
    joined = resolve("jax.lax.complex")
    # Not z - 1 and z + 1, which would lose the sign of a zero, and with it the side of the cut.
    below, above = (jnp.sqrt(joined(z.real + by, z.imag)) for by in (-1, 1))
    real = jnp.arcsinh((jnp.conj(below) * above).real)
    return joined(real, 2 * jnp.arctan2(below.imag, above.real))


def _sign_in_jax(z: Any) -> Any:
    jnp: Any = resolve("jax.numpy")
    if not jnp.iscomplexobj(z):
        return jnp.sign(z)
    safe = jnp.where(z == 0, 1, z)  # JAX's own rule (0.10) is zero
    return jnp.where(z == 0, 0, safe / jnp.abs(safe))


# By NumPy's name, what computes it in torch and in JAX.
_UNARY: dict[str, tuple[Any, Any]] = {
    **{
        name: (f"own.{name}", f"jnp.{name}")
        for name in ("floor", "ceil", "trunc", "absolute", "rint")
    },
    "sign": ("own.sign", _sign_in_jax),
    "arccosh": ("torch.arccosh", _arccosh_in_jax),
    "fabs": ("torch.abs", "jnp.abs"),
    "radians": ("torch.deg2rad", "jnp.deg2rad"),
    "degrees": ("torch.rad2deg", "jnp.rad2deg"),
    "invert": ("torch.bitwise_not", "jnp.invert"),
    "cbrt": ("own.cbrt", "jnp.cbrt"),
}

_BINARY = {
    **{
        name: (f"operator.{own}",) * 2
        for name, own in {
            "add": "add", "multiply": "mul", "true_divide": "truediv",
            "remainder": "mod", "power": "pow", "less": "lt", "less_equal": "le",
            "greater": "gt", "greater_equal": "ge", "equal": "eq", "not_equal": "ne",
            "bitwise_and": "and_", "bitwise_or": "or_", "bitwise_xor": "xor",
        }.items()
    },
    **{
        name: (f"torch.{name}", f"jnp.{name}")
        for name in (
            "maximum minimum fmax fmin fmod hypot copysign logaddexp logaddexp2 float_power "
            "logical_and logical_or logical_xor arctan2"
        ).split()
    },
    "subtract": ("own.subtract", "operator.sub"),
    "floor_divide": ("own.floor_divide", "jnp.floor_divide"),
}  # fmt: skip


def _clip_in_jax(
    x: Any, a_min: Any = None, a_max: Any = None, min: Any = None, max: Any = None
) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    return resolve("jnp.clip")(x, min=low, max=high)


def _round(a: Any, decimals: int = 0) -> Any:
    scale = 10.0 ** abs(decimals)
    if decimals < 0:
        return np.rint(a / scale) * scale
    return np.rint(a * scale) / scale if decimals else np.rint(a)


def _left_shift(x1: Any, x2: Any) -> Any:
    return np.multiply(_integer(x1, "left_shift"), np.power(2, _integer(x2, "left_shift")))


def _right_shift(x1: Any, x2: Any) -> Any:
    return np.floor_divide(_integer(x1, "right_shift"), np.power(2, _integer(x2, "right_shift")))


def _integer(value: Any, name: str) -> Any:
    array = array_of(value)
    if array.dtype.kind not in "biu":
        raise TypeError(f"ufunc {name!r} not supported for the input types: it takes integers")
    return array.astype(np.int64)


def _heaviside(x: Any, at_zero: Any) -> Any:
    step = np.where(x < 0, 0.0, np.where(x > 0, 1.0, at_zero))
    return np.where(np.isnan(x), np.nan, step)


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    chosen = as_array(default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        chosen = np.where(as_array(condition), as_array(choice), chosen)
    return chosen


def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kwargs: Any) -> Any:
    conditions = list(condlist) if isinstance(condlist, list | tuple) else [condlist]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        (*functions, otherwise) = functions
    else:
        otherwise = 0.0
    if len(functions) != len(conditions):
        raise ValueError("with n condition(s), either n or n+1 functions are expected")

    def value(function: Any) -> Any:
        return function(x, *args, **kwargs) if callable(function) else function

    if not any(map(np.ndim, conditions)):
        return _chosen([*zip(conditions, functions)], value, otherwise, x)
    chosen = value(otherwise)
    # Of several conditions that hold the last counts, and so it is chosen last.
    for condition, function in zip(conditions, functions):
        chosen = np.where(condition, value(function), chosen)
    return chosen


def _chosen(cases: list, value: Any, otherwise: Any, x: Any) -> Any:
    """Return the value of the last case that holds of one number; only its function counts.

    To choose afterwards, as np.where does, would let the others' NaN into the derivative.
    """
    if not cases:
        return value(otherwise)
    *before, (condition, function) = cases
    held = unwrapped(condition)
    library = library_of(held)
    if library is None or library.name == "torch":
        return value(function) if condition else _chosen(before, value, otherwise, x)

    def branch(result: Any) -> Any:
        return library.cast(unwrapped(result), x.dtype)

    return Array(
        resolve("jax.lax.cond")(
            held,
            lambda: branch(value(function)),
            lambda: branch(_chosen(before, value, otherwise, x)),
        )
    )


def _composed() -> dict[Any, Any]:
    return {
        np.round: _round,
        np.around: _round,
        np.left_shift: _left_shift,
        np.right_shift: _right_shift,
        np.heaviside: _heaviside,
        np.select: _select,
        np.piecewise: _piecewise,
        np.fix: lambda x: np.trunc(x),
        np.divmod: lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)),
        np.modf: _modf,
        np.angle: _angle,
        np.iscomplex: lambda x: np.imag(x) != 0,
        np.isreal: lambda x: np.imag(x) == 0,
        np.iscomplexobj: lambda x: x.dtype.kind == "c",
        np.isrealobj: lambda x: x.dtype.kind != "c",
        np.nan_to_num: _nan_to_num,
        np.isclose: _isclose,
        np.allclose: _allclose,
    }


def _real(val: Any) -> Any:
    return val if val.dtype.kind != "c" else _part(val, PartOfComplex("real"))


def _imag(val: Any) -> Any:
    if val.dtype.kind != "c":
        return np.zeros(val.shape)[()]
    return _part(val, PartOfComplex("imag"))


def _part(z: Array, step: PartOfComplex) -> Array:
    if z.number:
        return Array(step.get(z.value, None), z.number)
    # In NumPy's memory the parts of a number stand side by side.
    layout = np.empty((*z.shape, 2), dtype=bool)[..., 0]
    return Array(Part(z.memory, step, layout, z.memory.is_read_only))


def _modf(x: Any) -> Any:
    whole = np.trunc(x)
    return np.where(np.isinf(x), np.copysign(0.0, x), x - whole), whole


def _angle(z: Any, deg: bool = False) -> Any:
    found = np.arctan2(np.imag(z), np.real(z))
    return np.degrees(found) if deg else found


def _nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if x.dtype.kind in "biu":
        return x.copy() if copy else x
    limits = np.finfo(x.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    found = np.where(np.isnan(x), nan, x)
    found = np.where(x == np.inf, high, np.where(x == -np.inf, low, found))
    if not copy and x.ndim:
        x[...] = found
        return x
    return found


def _isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    near = (np.abs(a - b) <= atol + rtol * np.abs(b)) & np.isfinite(b) | (a == b)
    return near | (np.isnan(a) & np.isnan(b)) if equal_nan else near


def _allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    return np.all(_isclose(a, b, rtol, atol, equal_nan))


# Of the functions above, those of two arrays, and those whose lists are cases.
_OF_TWO: tuple[Any, ...] = (
    np.heaviside, np.divmod, np.isclose, np.allclose, np.left_shift, np.right_shift,
)  # fmt: skip
_N_ARRAYS = {
    **dict.fromkeys(_OF_TWO, 2),
    np.select: 0,
}

# Of them, those that give an array, or a number of Python's, where another gives NumPy's.
_NUMBERS: dict[Any, Number] = {np.select: "", np.piecewise: "", np.allclose: "python"}

ROWS: tuple[Row, ...] = (
    *(Native(getattr(np, name), f"torch.{name}", f"jnp.{name}") for name in _SAME),
    *(Native(getattr(np, name), *own) for name, own in _UNARY.items()),
    *(Native(getattr(np, name), *own, n_arrays=2) for name, own in _BINARY.items()),
    Native(np.where, "own.where", "jnp.where", n_arrays=3, number=""),
    View(np.real, _real, 1, number=None),
    View(np.imag, _imag, 1, number=None),
    Native(np.clip, "own.clip", _clip_in_jax),
    *(
        Composed(
            function, written, _N_ARRAYS.get(function, 1), number=_NUMBERS.get(function, "numpy")
        )
        for function, written in _composed().items()
    ),
)
