"""Sweep: the arguments of a function by name, each fixed or swept.

A dim is swept when it is named, as in xarray. Knows nothing of functions, derivatives or
frameworks.
"""

import numbers
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gradsweep.request import pytree
from gradsweep.request.argument import Argument, LeafMark, require_same_coordinates
from gradsweep.request.identity import Unknown, identity
from gradsweep.request.leaf import Leaf, axes_of
from gradsweep.request.parsing import is_data_array, names_dims, parse_argument
from gradsweep.support.errors import ArgumentError, SweepError
from gradsweep.support.refusals import one_value

__all__ = ["Sweep", "renewed", "require_sweep"]


class Sweep:
    """Arguments of a function by name, each held fixed or swept along named axes.

    =====================================  ====================================================
    written                                means
    =====================================  ====================================================
    ``K=100.0``, ``z=1+2j``                held fixed
    ``S=array_1d``                         swept along an axis named ``S``
    ``S=("quote", a), K=("quote", b)``     the same dim: swept together
    ``S=..., sigma=...``                   different dims: every combination
    ``q=("pose", Q)``, Q of shape (n, 6)   dims name the leading axes; (6,) is the argument
    ``q=((), q0)``, ``params=((), tree)``  an array or pytree argument, held fixed
    ``p={"b": ("b", array), "g": 0.1}``    a container: an entry is written as an argument is
    ``x=gs.components(("x0", a), 1.0)``    an array argument put together from components
    ``kind="call"``, ``True``, ``None``    static: passed as it is, never differentiated
    ``kind=["call", "put"]``, of words     categories: each is passed as it is, along an axis
    ``n=gs.each([10, 20])``                the same for numbers of steps, functions, anything
    a DataArray                            its dims are swept, its coordinates are labels
    =====================================  ====================================================

    Values may be numbers, lists, NumPy, torch or JAX arrays, or pandas Series. A fixed Python
    integer is passed as it is, unless it is named in `wrt`; swept integers become floats. Complex
    numbers are differentiated as real pairs: derivatives by z have a last dim, `z_part`.

    Args:
        arguments: arguments in a mapping, for names that are known only when it runs.
        more: arguments by name.

    Raises:
        SweepError: when a value has none of these forms, or when axes of the same name have
            different lengths or coordinates.
    """

    def __init__(self, arguments: Mapping[str, Any] | None = None, /, **more: Any):
        arguments = _by_name("Sweep takes", arguments, more)
        self._hold(parse_argument(name, value) for name, value in arguments.items())

    @classmethod
    def sample(
        cls,
        n: int,
        arguments: Mapping[str, Any] | None = None,
        /,
        *,
        rng: Any = None,
        method: str = "sobol",
        **more: Any,
    ) -> "Sweep":
        """Draw a design of `n` points along one dim, `point`.

        Args:
            n: how many points.
            arguments: more arguments, in a mapping, for names that are options of this method.
            rng: a seed or a numpy.random.Generator.
            method: `"sobol"` (scrambled), `"halton"`, `"latin"` (Latin hypercube) or `"uniform"`.
            more: `S=(50, 150)` is drawn between the two bounds; any other value is as in a Sweep.

        Returns:
            A Sweep whose drawn arguments are zipped along `point`.

        Raises:
            SweepError: when nothing is to be drawn, or bounds are not finite.
        """
        from scipy.stats import qmc

        arguments = _by_name("Sweep.sample takes how many points, then", arguments, more)
        if not isinstance(n, numbers.Integral) or n < 0:
            raise SweepError(f"Sweep.sample draws a number of points, such as 1000, not {n!r}")
        n = int(n)
        ranges = {name: value for name, value in arguments.items() if _is_range(value)}
        for name, bounds in ranges.items():
            if not np.isfinite(bounds).all():
                raise SweepError(f"{name!r} cannot be drawn between {bounds[0]} and {bounds[1]}")
        for name, value in arguments.items():
            if _is_range(value, numbers.Complex) and name not in ranges:
                raise SweepError(
                    f"{name!r} cannot be drawn between {value[0]} and {value[1]}: ranges are real. "
                    f"Draw the real and the imaginary part, and add them in the function."
                )
        if not ranges:
            raise SweepError(
                "Sweep.sample needs at least one range: a tuple of two numbers, S=(50, 150)"
            )
        n_dims = len(ranges)
        match method:
            case "sobol":
                # The points come in powers of two; any n of them is still a design.
                exponent = max(0, int(n - 1).bit_length())
                unit = qmc.Sobol(n_dims, rng=rng).random_base2(exponent)[:n]
            case "halton":
                unit = qmc.Halton(n_dims, rng=rng).random(n)
            case "latin":
                unit = qmc.LatinHypercube(n_dims, rng=rng).random(n)
            case "uniform":
                unit = np.random.default_rng(rng).random((n, n_dims))
            case _:
                raise SweepError(
                    f"Sweep.sample has no method {method!r}. Use sobol, halton, latin or uniform."
                )
        lower, upper = np.array(list(ranges.values()), dtype=np.float64).T
        drawn = lower + unit * (upper - lower)
        columns = {name: ("point", drawn[:, i]) for i, name in enumerate(ranges)}
        return cls({name: columns.get(name, value) for name, value in arguments.items()})

    @classmethod
    def from_arguments(cls, arguments: Iterable[Argument]) -> "Sweep":
        """Make a Sweep of arguments that are already parsed."""
        sweep = cls()
        sweep._hold(arguments)
        return sweep

    def _hold(self, arguments: Iterable[Argument]) -> None:
        self._arguments = {argument.name: argument for argument in arguments}
        if "" in self._arguments:
            raise SweepError("an argument of the sweep has no name: it is called ''")
        for key, count in Counter(leaf.key for leaf in self.leaves).items():
            if count > 1:
                raise SweepError(f"{count} arrays of the sweep are called {key!r}; rename them")
        called: dict[str, str] = {}
        for leaf in self.leaves:
            if leaf.dims or leaf.key in self._arguments:  # it is a coordinate of the result
                name = leaf.key.replace(".", "_")
                if (other := called.setdefault(name, leaf.key)) != leaf.key:
                    raise SweepError(
                        f"the values of {other!r} and of {leaf.key!r} would both be called "
                        f"{name!r} in the result; rename one of them"
                    )
        self._axes = axes_of(self.leaves)
        require_same_coordinates(self._arguments.values())

    @property
    def arguments(self) -> Mapping[str, Argument]:
        return self._arguments

    @property
    def axes(self) -> Mapping[str, int]:
        """The swept axes and their lengths, in order of first appearance."""
        return self._axes

    @property
    def n_points(self) -> int:
        """The number of points, which is the product of the lengths of the axes."""
        return int(np.prod(list(self._axes.values()), dtype=object)) if self._axes else 1

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        return tuple(leaf for a in self._arguments.values() for leaf in a.leaves)

    def replace(self, /, **arguments: Any) -> "Sweep":
        """Return a Sweep with new values for some arguments."""
        parsed = {name: parse_argument(name, value) for name, value in arguments.items()}
        return Sweep.from_arguments({**self._arguments, **parsed}.values())

    def __repr__(self) -> str:
        axes = " x ".join(f"{name}: {size}" for name, size in self._axes.items())
        points = "1 point" if self.n_points == 1 else f"{self.n_points:,} points"
        lines = [f"<gradsweep.Sweep ({axes})  {points}>" if axes else "<gradsweep.Sweep  1 point>"]
        width = max(map(len, self._arguments), default=0)
        lines += [f"  {name:<{width}}  {a.written}" for name, a in self._arguments.items()]
        return "\n".join(lines)


def renewed(argument: Argument, value: Any) -> Argument:
    """Return an argument with a new value of the same form, without labels.

    The value, or each entry of a container, has the dims that the old one has. What is passed as it
    is, such as a word or an integer, has to be the same, since the function was traced with it.

    Raises:
        SweepError: when it has another form.
    """
    found = _read_as(argument, value)
    if found is None:
        raise SweepError(
            f"{argument.name!r} was compiled as {argument.written}, and the new value has another "
            f"form, or another word, integer or other part that is passed as it is. Compile again "
            f"to change it."
        )
    return found


def _read_as(argument: Argument, value: Any) -> Argument | None:
    old = {leaf.key: leaf for leaf in argument.leaves}
    read: list[Argument] = []
    if not argument.is_single and type(value) is tuple and len(value) == 2:
        dims, inner = value
        dims = (dims,) if isinstance(dims, str) else dims
        if isinstance(dims, tuple) and all(isinstance(dim, str) for dim in dims):
            if dims and any(leaf.dims != dims for leaf in argument.leaves):
                return None
            value = inner

    def mark(path: pytree.Path, entry: Any) -> Any:
        key = ".".join(path)
        if key not in old:
            return entry
        read.append(_entry(key, entry, old[key]))
        return LeafMark(key)

    def is_leaf(path: pytree.Path, entry: Any) -> bool:
        return ".".join(path) in old or names_dims(entry)

    form = pytree.mark_leaves(mark, value, (argument.name,), is_leaf)
    leaves = tuple(leaf for each in read for leaf in each.leaves)
    if [_form(leaf) for leaf in leaves] != [_form(leaf) for leaf in argument.leaves]:
        return None
    if argument.is_single and isinstance(form, LeafMark):
        is_alike = (read[0].categories is None) == (argument.categories is None)
        return replace(read[0], coordinates={}) if is_alike else None
    if not _are_same(form, argument.form):
        return None
    return replace(argument, leaves=leaves, coordinates={})


def _entry(key: str, value: Any, old: Leaf) -> Argument:
    """Read a new value of one leaf, with the dims that the old one has."""
    if isinstance(value, int):
        value = float(value)
    if old.dims and (value is None or isinstance(value, str | float | complex)):
        raise one_value(key, old.dims, value)
    is_array = (old.dims or old.numbers_shape) and not old.parts
    if is_array and (is_data_array(value) or not names_dims(value)):
        value = (old.dims, _in_order(key, value, old))
    read = parse_argument(key, value)
    if old.is_complex and read.is_single and read.categories is None:
        return read.with_leaves(leaf.as_complex() for leaf in read.leaves)
    return read


def _are_same(one: Any, other: Any) -> bool:
    """Tell whether two values, with marks for their leaves, are known to mean the same."""
    try:
        return one is other or identity(one) == identity(other)
    except Unknown:
        return False


def _in_order(name: str, value: Any, old: Leaf) -> Any:
    """Return a DataArray with its dims in the order of the old value's; anything else as it is."""
    if not is_data_array(value):
        return value
    leading = tuple(map(str, value.dims))[: len(old.dims)]
    if set(leading) != set(old.dims) or (old.numbers_shape and leading != old.dims):
        raise SweepError(
            f"{name!r} was compiled along {', '.join(old.dims) or 'no axis'}, and the new value "
            f"has the dims {', '.join(map(str, value.dims)) or 'none'}. Compile again to change it."
        )
    return value if old.numbers_shape else value.transpose(*old.dims)


def _form(leaf: Leaf) -> tuple:
    return leaf.key, leaf.dims, leaf.shape, leaf.part_dims, leaf.dtype == "bool", leaf.is_complex


def require_sweep(value: Any, advice: Callable[[], str] = lambda: "") -> None:
    """Check that a value is a Sweep.

    Args:
        advice: returns what else to say of a value that is none.

    Raises:
        ArgumentError: when it is something else.
    """
    if not isinstance(value, Sweep):
        raise ArgumentError(
            f"expected a gradsweep.Sweep, got {type(value).__name__}. Write gs.Sweep(x=..., y=...) "
            f"or gs.Sweep({{...}}), with the function's arguments by name.{advice()}"
        )


def _by_name(caller: str, arguments: Any, more: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the arguments of a mapping and those given by name together.

    Raises:
        SweepError: when the mapping is none, a name is no word, or one comes twice.
    """
    if arguments is None:
        return more
    if not isinstance(arguments, Mapping):
        raise SweepError(
            f"{caller} a mapping of arguments, or arguments by name; it was given a value of type "
            f"{type(arguments).__name__}."
        )
    for name in arguments:
        if not isinstance(name, str):
            raise SweepError(f"the name of an argument is a word, such as 'S', not {name!r}.")
        if name in more:
            raise SweepError(f"{name!r} is in the mapping and given by name; give it once.")
    return {**arguments, **more}


def _is_range(value: Any, kind: type = numbers.Real) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(v, kind) and not isinstance(v, bool) for v in value)
    )
