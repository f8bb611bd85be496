"""Bind a function to a sweep, as Python's own call would.

A function and a Sweep enter; a BoundFunction leaves, which takes the leaves of the sweep by key.
Knows nothing of derivatives, and imports no framework.
"""

import functools
import inspect
import re
import types
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradsweep.request import pytree
from gradsweep.request.argument import Argument, HeldFixed, LeafMark, held_fixed
from gradsweep.request.framework import FRAMEWORKS, frameworks_named, join_parts
from gradsweep.request.identity import Same
from gradsweep.request.lazy import numbers_of
from gradsweep.request.parsing import parse_argument
from gradsweep.request.sweep import Sweep, require_sweep
from gradsweep.support.cache import Cache
from gradsweep.support.errors import ArgumentError, nearest, warn
from gradsweep.support.refusals import no_argument
from gradsweep.support.words import listed

__all__ = [
    "FRAMEWORKS",
    "BoundFunction",
    "bind",
    "candidate_frameworks",
    "function_name",
    "note_held_fixed",
    "parameters_of",
]

_Parameter = inspect.Parameter

# A static argument whose text is longer than this is left out of messages.
_LONGEST_STATIC = 40

# By code and defaults. To read a signature takes longer than a small sweep.
_PARAMETERS: Cache[tuple[inspect.Parameter, ...] | None] = Cache(size=256)

# By code and what was told of: each function is spoken of once.
_NOTED: Cache[bool] = Cache(size=1024)

# The most entries of a list in a note.
_MOST_NAMED = 7


@dataclass(frozen=True, eq=False)
class BoundFunction:
    """A function together with the arguments it is called with.

    Attributes:
        function: what the user gave.
        name: the name that results get from it; always an identifier.
        sweep: the arguments, defaults included.
        call: what is called for it: the function itself, or what runs it on other arrays.
    """

    function: Callable[..., Any]
    name: str
    sweep: Sweep
    parameters: tuple[inspect.Parameter, ...] | None
    call: Callable[..., Any]

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Call the function at one point.

        Args:
            values: for each leaf of the sweep, by key, an array of the leaf's own shape: complex
                numbers as their parts, which the function itself gets put together.

        Raises:
            ArgumentError: when it reads an entry that a container of the sweep does not have.
        """
        try:
            return self._call_with(values)
        except (KeyError, AttributeError) as error:
            is_alone = all(a.is_single for a in self.arguments)
            if not is_alone and (told := self._missing_entry(values)) is not None:
                raise told from error
            raise

    def _missing_entry(self, values: Mapping[str, Any]) -> ArgumentError | None:
        """Return the error of an entry that is not there; None where that is not what went wrong.

        The function is called once more, with containers that tell what is read of them.
        """
        try:
            self._call_with(values, _Told.of)
        except _MissingEntry as missing:
            path, key, there = missing.args
            whole, keys = ".".join(path), ", ".join(map(repr, there)) or "none"
            close = nearest(key, there) if isinstance(key, str) else ""
            return ArgumentError(
                f"{self.name} reads the entry {key!r} of {whole}, which has {keys}.{close}"
            )
        except AttributeError as error:
            if isinstance(error.obj, _Told) and error.name in error.obj:
                return ArgumentError(
                    f"{self.name} reads .{error.name} of {'.'.join(error.obj.path)}, which is a "
                    f'dict: write ["{error.name}"], or give a dataclass or a named tuple.'
                )
        except Exception:
            return None
        return None

    def _call_with(
        self,
        values: Mapping[str, Any],
        seen: Callable[[Any, pytree.Path], Any] = lambda value, _: value,
    ) -> Any:
        """Call the function with values in place of marks.

        Args:
            seen: what becomes of each argument, given its name.
        """
        for argument in self.sweep.arguments.values():
            if argument.categories is not None:  # a number stands for it
                raise AssertionError(f"{argument.name!r} has no category yet")

        in_parts = {leaf.key for leaf in self.sweep.leaves if leaf.is_complex}

        def place(_: pytree.Path, leaf: Any) -> Any:
            if not isinstance(leaf, LeafMark):
                return leaf
            value = values[leaf.key]
            return join_parts(value) if leaf.key in in_parts else value

        given = {
            name: seen(pytree.map_leaves(place, argument.form), (name,))
            for name, argument in self.sweep.arguments.items()
        }
        if self.parameters is None:
            return self.call(*given.values())
        positional, keywords = [], {}
        by_position = _takes_positions(self.function)
        for parameter in self.parameters:
            if parameter.name not in given:
                continue
            value = given.pop(parameter.name)
            match parameter.kind:
                case _Parameter.VAR_POSITIONAL:
                    positional.extend(value)
                case _Parameter.POSITIONAL_ONLY:
                    positional.append(value)
                case _Parameter.POSITIONAL_OR_KEYWORD if by_position:
                    positional.append(value)
                case _:
                    keywords[parameter.name] = value
        return self.call(*positional, **keywords, **given)

    @property
    def arguments(self) -> tuple[Argument, ...]:
        return tuple(self.sweep.arguments.values())

    @property
    def is_numpys(self) -> bool:
        """Whether it is written with NumPy or for Python's numbers, and run on a framework."""
        return self.call is not self.function

    def with_sweep(self, sweep: Sweep) -> "BoundFunction":
        return replace(self, sweep=sweep)

    def without_jit(self) -> "BoundFunction":
        """Return the function without jax.jit around it, which keeps its first trace."""
        function: Any = self.function
        is_jitted = type(function).__name__ == "PjitFunction"
        return replace(self, call=function.__wrapped__) if is_jitted else self

    def describe(self, point: Mapping[str, Any]) -> str:
        """Write a point as the arguments of a call, for messages: "S=50, K=100"."""
        written = []
        for argument in self.sweep.arguments.values():
            leaves = [leaf for leaf in argument.leaves if leaf.key in point]
            for leaf in leaves:
                value = point[leaf.key]
                if (named := argument.categories) is not None:
                    text = named.shown(int(value))
                else:
                    text = _short(numbers_of(value) if leaf.is_complex else value)
                written.append(f"{leaf.key}={text}")
            if not argument.leaves and len(argument.written) <= _LONGEST_STATIC:
                written.append(f"{argument.name}={argument.written}")
        return ", ".join(written)


class _MissingEntry(KeyError):
    """The path of a dict, a key that it does not have, and those that it has."""


class _Told(dict):
    """A dict that tells its path where it has no such key."""

    path: pytree.Path = ()

    @classmethod
    def of(cls, value: Any, path: pytree.Path) -> Any:
        """Return a value with such dicts in place of Python's own, in lists and tuples too."""
        if type(value) is dict:
            told = cls({key: cls.of(entry, (*path, str(key))) for key, entry in value.items()})
            told.path = path
            return told
        if type(value) in (list, tuple):
            return type(value)(cls.of(entry, (*path, str(i))) for i, entry in enumerate(value))
        return value

    def __missing__(self, key: Any) -> Any:
        raise _MissingEntry(self.path, key, [*self])


def _short(value: Any) -> str:
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array[()]:g}"
    if array.size > 8:
        return f"array of shape {array.shape}"
    return np.array2string(array, precision=6, separator=", ").replace("\n", "")


def bind(function: Callable[..., Any], sweep: Sweep) -> BoundFunction:
    """Match the names of a sweep with the parameters of a function.

    Raises:
        ArgumentError: when a name is unknown or a parameter without a default is missing.
    """
    function = _uncompiled(function)
    if not callable(function):
        raise ArgumentError(f"expected a function, got {type(function).__name__}: {function!r}")
    require_sweep(sweep)
    name = function_name(function)
    if isinstance(function, np.ufunc):
        raise ArgumentError(
            f"{name} is a function of NumPy's own, whose arguments have no names.\n"
            f"Give a function of named arguments that calls it: lambda x: np.{name}(x)."
        )
    parameters = parameters_of(function)
    if parameters is None:
        return BoundFunction(function, name, sweep, None, function)
    _check_names(name, parameters, sweep)
    arguments: dict[str, Argument] = {}
    for parameter in parameters:
        if parameter.name in sweep.arguments and parameter.kind is not parameter.VAR_KEYWORD:
            arguments[parameter.name] = sweep.arguments[parameter.name]
        elif parameter.default is not parameter.empty:
            arguments[parameter.name] = _default(parameter.name, parameter.default)
    # The other arguments go to **kwargs, in the order they were written.
    arguments |= {n: a for n, a in sweep.arguments.items() if n not in arguments}
    if list(arguments.values()) != list(sweep.arguments.values()):
        sweep = Sweep.from_arguments(arguments.values())
    return BoundFunction(function, name, sweep, parameters, function)


def _uncompiled(function: Any) -> Any:
    """Return the function that torch.compile was given, since a compiled one cannot be traced."""
    held = getattr(function, "__dict__", {})
    modules = held.get("_modules") or {}
    if "_orig_mod" in modules:
        return modules["_orig_mod"]
    return held.get("_torchdynamo_orig_callable", function)


def function_name(function: Callable[..., Any]) -> str:
    """Return the name that results get from a function: an identifier, "f" for a lambda."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    name = re.sub(r"\W", "_", name).strip("_")
    return name if name.isidentifier() and name != "lambda" else "f"


def candidate_frameworks(bound: BoundFunction) -> tuple[str, ...]:
    """Return the frameworks that a function may be written for, the likeliest first.

    The type of the values decides, unless the function's code names only the other framework:
    values can be converted and code cannot. If the values are of no framework, or of both, the
    modules that the code names decide. A function of operators alone may be traced by either:
    torch comes first, since it follows Python branches.
    """
    origins = {a.origin for a in bound.sweep.arguments.values()} - {""}
    named = frameworks_named(bound.function)
    if len(origins) == 1 and (not named or origins <= {*named}):
        return tuple(origins)
    return named or FRAMEWORKS


def parameters_of(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...] | None:
    """Return the parameters of a function, or of a torch module; None when Python knows none."""
    # A torch module's own __call__ takes *args, **kwargs; its forward has the real signature.
    target = function = _uncompiled(function)
    if hasattr(function, "named_parameters") and hasattr(function, "forward"):
        target = function.forward
    if type(target) is not types.FunctionType or target.__dict__ or target.__kwdefaults__:
        return _read_parameters(target)
    # Nothing else of a plain function decides them, and its annotations come with its code.
    key = target.__code__, Same(target.__defaults__)
    return _PARAMETERS.get(key, lambda: _read_parameters(target))


def _read_parameters(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...] | None:
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return None


def _takes_positions(function: Callable[..., Any]) -> bool:
    """Tell whether parameters can be passed by position, as nearly all can and jax.grad's must."""
    try:
        # The decorator's own parameters count, not those of the function that it wraps.
        own = inspect.signature(function, follow_wrapped=False).parameters.values()
    except (ValueError, TypeError):
        return True
    by_name = (_Parameter.KEYWORD_ONLY, _Parameter.VAR_KEYWORD)
    return not all(parameter.kind in by_name for parameter in own)


def _check_names(name: str, parameters: tuple[inspect.Parameter, ...], sweep: Sweep) -> None:
    named = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    if all(p.kind is not p.VAR_KEYWORD for p in parameters):
        for given in sweep.arguments:
            if given not in named:
                raise no_argument(name, given, named)
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL and parameter.name in sweep.arguments:
            _require_several(name, sweep.arguments[parameter.name])
        optional = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        required = parameter.default is parameter.empty and not optional
        if required and parameter.name not in sweep.arguments:
            raise ArgumentError(
                f"{name} needs {parameter.name!r}, which is not given; it takes {', '.join(named)}."
            )


def _require_several(name: str, argument: Argument) -> None:
    form = argument.form
    is_array = isinstance(form, LeafMark) and argument.leaves[0].shape
    if not (is_array or isinstance(form, list | tuple)):
        raise ArgumentError(
            f"{name} takes *{argument.name}, any number of arguments, and "
            f"{argument.name}={argument.written} is one.\n"
            f"Write {argument.name}=((), (1.0, 2.0)) to hold two fixed, or give the Sweep a "
            f"function that names them: lambda x, y: {name}(x, y)."
        )


def _default(name: str, value: Any) -> Argument:
    # A default is a fixed value, never an axis: an array default is one argument, held fixed.
    argument = Argument(name, value, (), shown=f"{value!r}, its default")
    if isinstance(value, float | complex):
        argument = parse_argument(name, value)
    elif hasattr(value, "__array__"):
        argument = parse_argument(name, ((), value))
    return replace(argument, is_default=True)


def note_held_fixed(bound: BoundFunction, wrt: Collection[str]) -> None:
    """Warn of the numbers that are not differentiated unasked; once for each function.

    Args:
        wrt: the keys of the leaves that are differentiated.
    """
    held = [*held_fixed(bound.arguments, wrt)]
    if held:
        key = _code_of(bound.function), tuple(each.key for each in held)
        _NOTED.get(key, lambda: _tell(bound.name, held))


def _tell(name: str, held: list[HeldFixed]) -> bool:
    said = [
        f"the {reason if len(keys) == 1 else f'{reason}s'} {listed(keys, _MOST_NAMED)}"
        for reason in ("integer", "default")
        if (keys := [each.key for each in held if each.reason == reason])
    ]
    them = "them" if len(held) > 1 else "it"
    warn(
        f"{name} is not differentiated with respect to {', nor to '.join(said)}. To do so, write "
        f"{listed([each.as_float for each in held], _MOST_NAMED)}, or name {them} in wrt."
    )
    return True


def _code_of(function: Callable[..., Any]) -> Hashable:
    """Return what functions that were made by the same words share."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__code__", None) or Same(type(function))
