"""Call a function of NumPy's on Arrays: by its row, or itself where nothing is traced."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.library import Library, library_of
from gradsweep.tracing.numpy.lines import user_line
from gradsweep.tracing.numpy.memory import Whole
from gradsweep.tracing.numpy.operations import ONE_BY_ONE, REDUCED_BY, table, write_at
from gradsweep.tracing.numpy.operators import Operators
from gradsweep.tracing.numpy.row import shown, unwrapped
from gradsweep.tracing.numpy.signatures import read_call

__all__ = ["apply", "apply_method"]


def apply(function: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
    """Call a function of NumPy's.

    Raises:
        UntraceableError: when an argument is traced and the function has no counterpart.
    """
    count = read_call(function, args, kwargs)[1].get("count") if function is np.fromiter else None
    args = tuple([*islice(one, count)] if isinstance(one, Iterator) else one for one in args)
    row = table().get(function)
    library = library_in((args, kwargs))
    if library is None:
        if row is None or not row.is_view or not any(isinstance(one, Array) for one in args):
            return _own(function, args, kwargs)
        return row.call(None, *read_call(function, args, kwargs, row.own))
    if row is None:
        raise UntraceableError(
            f"the function calls {shown(function)} with a traced value, at {user_line()}: it has "
            f"no counterpart in {library.name}.\n{_instead(function)}"
        )
    operands, options = read_call(function, args, kwargs, row.own)
    out, where = options.pop("out", None), True
    if row.is_ufunc:
        where = options.pop("where", True)
    dtype = None if "dtype" in row.own else options.pop("dtype", None)
    if dtype is not None and not (row.is_ufunc and np.dtype(dtype).kind not in "fc"):
        operands = tuple(_cast(one, dtype) for one in operands)  # before it computes, as NumPy does
    result = row.call(library, operands, options)
    if dtype is not None:
        result = _cast(result, dtype)
    return result if out is None and where is True else _into(out, where, result, function)


def _cast(value: Any, dtype: Any) -> Any:
    """Return an operand with the dtype that NumPy computes in; what is no array stays."""
    return value.astype(dtype) if isinstance(value, Array | np.ndarray | np.generic) else value


def _into(out: Any, where: Any, result: Any, function: Any) -> Any:
    """Write a result into the array that `out=` names, where `where=` says."""
    out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
    if not isinstance(out, Array):
        raise UntraceableError(
            f"the function calls {shown(function)} with where= and no out=, or with an out= that "
            f"was not made in it, at {user_line()}.\nWrite np.where(condition, a, b), or make "
            f"the array inside the function."
        )
    out[...] = result if where is True else apply(np.where, (where, result, out), {})
    return out


def apply_method(ufunc: np.ufunc, method: str, inputs: tuple, kwargs: dict) -> Any:
    """Call a ufunc, or its method reduce, accumulate or outer."""
    if method == "__call__":
        return apply(ufunc, inputs, kwargs)
    if library_in((inputs, kwargs)) is None:
        return _own(getattr(ufunc, method), inputs, kwargs)
    if method == "outer" and len(inputs) == 2:
        a, b = (apply(np.asarray, (value,), {}) for value in inputs)
        return apply(ufunc, (a.reshape((*a.shape, *(1,) * b.ndim)), b), kwargs)
    if method == "at":
        return write_at(ufunc, *inputs, **kwargs)
    function = REDUCED_BY.get((ufunc, method))
    if function is None and ufunc in ONE_BY_ONE and method in ("reduce", "accumulate"):
        return _one_by_one(ufunc, method, *inputs, **kwargs)
    if function is None:
        raise UntraceableError(
            f"the function calls np.{ufunc.__name__}.{method} with a traced value, at "
            f"{user_line()}: it has no counterpart.\nWrite a loop, or np.sum, np.prod, np.max, "
            f"np.cumsum."
        )
    (values, *rest) = inputs
    named = dict(zip(("axis", "dtype", "out", "keepdims", "initial", "where"), rest))
    return apply(function, (values,), {"axis": 0} | named | kwargs)


def _one_by_one(ufunc: np.ufunc, method: str, array: Any, axis: int = 0) -> Any:
    """Apply a ufunc along an axis to what it gave so far and the next."""
    first, *rest = np.moveaxis(apply(np.asarray, (array,), {}), axis, 0)
    found = [first]
    for one in rest:
        found.append(ufunc(found[-1], one))
    return found[-1] if method == "reduce" else np.stack(found, axis=axis)


def library_in(value: Any) -> Library | None:
    """Return the library of the first traced Array in an argument, or in containers of them."""
    if isinstance(value, Array):
        return library_of(value.memory.root.value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return None
    return next(filter(None, map(library_in, value)), None)


def _own(function: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
    """Call NumPy's own function, where nothing is traced; its arrays become Arrays."""
    plain = [unwrapped(value) for value in args]
    # What lies in memory by chance would differ from one trace to the next.
    function = np.zeros if function is np.empty else function
    result = function(*plain, **{name: unwrapped(value) for name, value in kwargs.items()})
    return _held(result, (*args, *_outputs(kwargs)))


def _outputs(kwargs: Mapping[str, Any]) -> tuple:
    out = kwargs.get("out")
    return out if isinstance(out, tuple) else (out,)


def _held(result: Any, given: tuple) -> Any:
    if isinstance(result, np.ndarray) and result.dtype != object:
        for one in given:  # out=, or what NumPy was told not to copy
            if isinstance(one, Array) and one.value is result:
                return one
        # NumPy has made a view that is none here: a write into either would not reach the other.
        held = Whole(result)
        for one in given:
            plain = unwrapped(one)
            if isinstance(plain, np.ndarray) and np.may_share_memory(result, plain):
                held.is_fixed = True
                if isinstance(one, Array):
                    one.memory.root.is_fixed = True
        return Array(held)
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*(_held(part, given) for part in result))
    if isinstance(result, list | tuple):
        return type(result)(_held(part, given) for part in result)
    return result


# What to write for functions that people use, by their names.
_INSTEAD = {
    "lstsq": "np.linalg.solve(a.T @ a, a.T @ b)",
    "polyfit": "np.linalg.solve(V.T @ V, V.T @ y) with V = np.vander(x, degree + 1)",
    "pinv": "np.linalg.pinv(a)",
    "quad": "np.trapezoid(f(t), t) over a grid t, or a sum with Gauss's weights",
    "histogram": "sums of np.where(condition, 1.0, 0.0), whose derivative is 0",
    "isin": "comparisons, (x == 1) | (x == 2)",
}


def _instead(function: Any) -> str:
    """Return advice on a function without a counterpart."""
    name = getattr(function, "__name__", "")
    found = "np.vectorize(f)" if name.endswith(" (vectorized)") else _INSTEAD.get(name)
    if found is not None:
        return f"Write {found}."
    return "Write it with operators, or functions that have one (docs/how_to/numpy.md lists them)."


Operators.apply, Array.apply_method = staticmethod(apply), staticmethod(apply_method)
