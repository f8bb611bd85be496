"""Names, dims and attributes of results.

Results and the Labels that name them enter; the variables that show them leave.
Knows nothing of engines, Programs or xarray.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from gradsweep.request.argument import Argument
from gradsweep.request.directions.units import of_difference, units_of
from gradsweep.request.quantities import Result
from gradsweep.results.layout import Variable
from gradsweep.support.errors import OutputError

__all__ = [
    "PARTS",
    "Labels",
    "flat",
    "named_parts",
    "real_variables",
    "require_distinct_names",
    "require_names_of_their_own",
    "symmetric",
    "variable_name",
    "variables",
    "views",
]


@dataclass(frozen=True)
class Labels:
    """The sources of the names of results.

    Attributes:
        function: the function's name.
        units: the units of its value, where the function carries them (`price.units = "USD"`).
        arguments: the sweep's arguments, whose coordinates and attributes label the axes.
    """

    function: str
    units: str
    arguments: Sequence[Argument]

    @property
    def names(self) -> Hashable:
        """Everything that the names and attributes of results come from."""
        return self.function, self.units, *((a.name, units_of(a.attrs)) for a in self.arguments)

    @property
    def taken(self) -> set[str]:
        """The names of arguments and axes."""
        dims = {dim for argument in self.arguments for leaf in argument.leaves for dim in leaf.dims}
        return dims | {argument.name for argument in self.arguments}

    def output(self, result: Result) -> str:
        """Return the name of a result's output."""
        if not result.output:
            return self.function
        return result.output if result.output.isidentifier() else f"{self.function}_{result.output}"

    def beside(self, result: Result) -> str:
        """Return the name of the second output of a covariance."""
        return self.output(replace(result, output=result.beside))

    def units_of(self, key: str) -> str:
        for argument in self.arguments:
            if argument.name == key.partition(".")[0]:
                return units_of(argument.attrs)
        return ""


def variable_name(labels: Labels, result: Result) -> str:
    """Return the name of a result in a Dataset: `dprice_dS`, `d2f_dx0_dx1`, `jvp` ..."""
    output = labels.output(result)
    wrt = [flat(key) for key in result.wrt]
    qualified = "_".join([*([output] if result.output else []), *wrt])
    match result.kind:
        case "value":
            # xarray takes a variable with the name of a dim for the labels of that dim.
            return f"{labels.function}_{output}" if output in labels.taken else output
        case "partial":
            order = "" if len(wrt) == 1 else len(wrt)
            return f"d{order}{output}_{'_'.join(f'd{name}' for name in wrt)}"
        case "std":
            return f"{output}_std"
        case "expectation":
            return f"{output}_expectation"
        case "covariance":
            return "_".join(dict.fromkeys(["covariance", output, labels.beside(result)]))
        case "share":
            return f"variance_share_{qualified}"
        case "curvature":
            return "_".join(filter(None, ["variance_share", qualified, "second_order"]))
        case ("jvp" | "contribution" | "vjp" | "hvp" | "laplacian" | "divergence" | "curl") as kind:
            return f"{kind}_{qualified}" if qualified else kind
        case unknown:
            raise AssertionError(unknown)


def require_distinct_names(labels: Labels, results: Sequence[Result], axes: Iterable[str]) -> None:
    """Check that every result has a name of its own.

    Raises:
        OutputError: when two share a name, or one has the name of an axis.
    """
    owners = {axis: f"the axis {axis!r}" for axis in axes}
    for result in results:
        wrt = f" with respect to {' and '.join(result.wrt)}" if result.wrt else ""
        owner = f"the {result.kind} of {result.output or labels.function}{wrt}"
        name = variable_name(labels, result)
        if name in owners:
            raise OutputError(
                f"{owners[name]} and {owner} would both be called {name!r}.\n"
                f"Rename an argument, an axis or an output."
            )
        owners[name] = owner


def variables(
    labels: Labels,
    results: Sequence[Result],
    dims: Sequence[tuple[str, ...]],
    dtypes: Sequence[str],
    axes: Mapping[str, int],
) -> list[Variable]:
    """Return the variables that show the arrays of some results.

    Args:
        dims: for each result, the swept axes that lead its array.
        axes: the swept axes and their lengths.
    """
    found = []
    # No dim of an output's or an argument's own has the name of a variable, as none has of an axis.
    taken = axes.keys() | {variable_name(labels, v) for r in results for v, _ in views(r, 0)}
    for number, (result, swept, dtype) in enumerate(zip(results, dims, dtypes)):
        n_before = len(swept) + len(result.output_shape)
        for view, order in views(result, len(swept)):
            own, part_dims = _own_dims(labels, view, taken)
            found.append(
                Variable(
                    name=variable_name(labels, view),
                    dims=(*swept, *own),
                    n_swept=len(swept),
                    shape=(*(axes[dim] for dim in swept), *view.numbers_shape),
                    dtype=_COMPLEX[dtype] if result.is_complex else dtype,
                    attrs=_attributes(labels, view),
                    result=number,
                    order=None if order is None else tuple(order),
                    parts=n_before - 1 if result.is_complex else None,
                    part_dims=part_dims,
                )
            )
    return found


# The dtype of complex numbers whose parts have a dtype.
_COMPLEX = {"float64": "complex128", "float32": "complex64"}


def real_variables(found: Sequence[Variable]) -> list[Variable]:
    """Return variables of real numbers: of complex ones `name_real` and `name_imag`.

    Raises:
        OutputError: when a name is another variable's already.
    """
    of_dtype = {whole: part for part, whole in _COMPLEX.items()}
    real: list[Variable] = []
    for variable in found:
        if variable.parts is None:
            real.append(variable)
            continue
        dtype = of_dtype[variable.dtype]
        for part, (name, attrs) in enumerate(named_parts(variable.name, variable.attrs)):
            real.append(replace(variable, name=name, dtype=dtype, attrs=attrs, part=part))
    require_names_of_their_own([variable.name for variable in real])
    return real


def named_parts(name: str, attrs: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the names and attributes of the real and the imaginary part of a variable."""
    long_name = attrs.get("long_name", name)
    words = {"real": "real part", "imag": "imaginary part"}
    return [
        (f"{name}_{suffix}", {**attrs, "long_name": f"{part} of {long_name}"})
        for suffix, part in words.items()
    ]


def require_names_of_their_own(names: Sequence[str]) -> None:
    """Check that no part of complex numbers has the name of another variable.

    Raises:
        OutputError: when one has.
    """
    for name in names:
        if names.count(name) > 1:
            raise OutputError(
                f"{name!r} would be the name of two variables: one is a part of complex numbers.\n"
                f"Rename an output or an argument."
            )


def views(result: Result, n_swept: int) -> Iterator[tuple[Result, list[int] | None]]:
    """Yield a result, and for an off-diagonal block of a Hessian its transpose.

    With each comes the order of the array's axes that shows it, None for the array as it is.

    Args:
        n_swept: how many swept axes lead the array.
    """
    yield result, None
    if not result.is_symmetric or result.wrt[0] == result.wrt[1]:
        return
    (a, b), (a_shape, b_shape) = result.wrt, result.wrt_shapes
    lead = n_swept + len(result.output_shape)
    n_a, n_b = len(a_shape), len(b_shape)
    moved = [*range(lead + n_a, lead + n_a + n_b), *range(lead, lead + n_a)]
    order = [*range(lead), *moved] if n_a and n_b else None
    yield replace(result, wrt=(b, a), wrt_shapes=(b_shape, a_shape), is_symmetric=False), order


def symmetric(
    result: Result, n_swept: int, array: np.ndarray
) -> Iterator[tuple[Result, np.ndarray]]:
    """Yield a result and its array, and for an off-diagonal block of a Hessian its transpose."""
    for view, order in views(result, n_swept):
        yield view, array if order is None else array.transpose(order)


def _own_dims(
    labels: Labels, result: Result, taken: Iterable[str]
) -> tuple[list[str], tuple[str, ...]]:
    """Name the dims that belong to the output and to the arguments, not to the sweep.

    Returns:
        All of them, and those along which the parts of a complex argument lie.
    """
    owners = [(labels.output(result), len(result.output_numbers_shape), False)]
    owners += [
        (flat(key), len(shape), key in result.complex_wrt)
        for key, shape in zip(result.wrt, result.wrt_shapes)
    ]
    owners.append((labels.beside(result), len(result.beside_shape), False))
    taken = set(taken)
    names, part_dims = [], []
    for owner, n_dims, is_complex in owners:
        for position in range(n_dims):
            is_part = is_complex and position == n_dims - 1
            base = name = f"{owner}_{'part' if is_part else position}"
            copy = 2
            while name in taken:  # the second q of d2f_dq_dq, or an axis of that name
                name = f"{base}_{copy}"
                copy += 1
            taken.add(name)
            names.append(name)
            part_dims += [name] if is_part else []
    return names, tuple(part_dims)


# The labels of the dims along which the parts of a complex argument lie.
PARTS = ("real", "imag")


def _attributes(labels: Labels, result: Result) -> dict[str, Any]:
    output = labels.output(result)
    wrt = [flat(key) for key in result.wrt]
    units_in = [labels.units_of(key) for key in result.wrt]
    per = "·".join(map(of_difference, units_in)) if all(units_in) else ""
    value_units = labels.units if not result.output else ""
    units = ""
    match result.kind:
        case "value":
            name, units = output, value_units
        case "partial":
            over = "".join(f"∂{name}{_power(len([*same]))}" for name, same in groupby(wrt))
            name = f"∂{_power(len(wrt))}{output}/{over}"
            units = _quotient(value_units, per, output)
        case "std":
            name, units = f"standard deviation of {output}", of_difference(value_units)
        case "expectation":
            name, units = f"expectation of {output}, to second order", value_units
        case "covariance":
            both = dict.fromkeys([output, labels.beside(result)])
            name, squared = f"covariance of {' and '.join(both)}", of_difference(value_units)
            units = squared and f"{_bracketed(squared)}²"
        case "curvature":
            name = f"share of the second order in the variance of {output}"
            rule = "above 0.1, first order is not enough"
            return {"long_name": name, "of": output, "argument": "second_order", "rule": rule}
        case "share":
            name = f"share of {wrt[0]} in the variance of {output}"
            # It is no derivative, to be stacked as `matrix` does.
            return {"long_name": name, "of": output, "argument": wrt[0]}
        case "jvp":
            name, units = f"J v of {output}", value_units
        case "contribution":
            name, units = f"∂{output}/∂{wrt[0]} · v", value_units
        case "vjp":
            name = f"w J, {wrt[0]}"
        case "laplacian" | "divergence" | "curl" as kind:
            name = f"{_NABLA[kind]}{output}"
            n = 2 if kind == "laplacian" else 1
            units = _quotient(value_units, _per_coordinate(labels, result.summed, n), output)
        case "hvp":
            name = f"H v of {output}, {wrt[0]}"
        case unknown:
            raise AssertionError(unknown)
    attributes = {"long_name": name, "of": output}
    if wrt:
        attributes["wrt"] = " ".join(wrt)
        attributes["wrt_ndim"] = " ".join(str(len(shape)) for shape in result.wrt_shapes)
    if units:
        attributes["units"] = units
    return attributes


# How the operators of vector calculus are written.
_NABLA = {"laplacian": "∇²", "divergence": "∇·", "curl": "∇×"}


def _per_coordinate(labels: Labels, keys: Sequence[str], n: int) -> str:
    """Return the units of n differences of a coordinate, where all coordinates have the same."""
    units = {of_difference(labels.units_of(key)) for key in keys}
    (one,) = units if len(units) == 1 else {""}
    return "·".join([one] * n) if one else ""


def _power(n: int) -> str:
    """Return n as an exponent, "" for 1."""
    return "" if n == 1 else str(n).translate(_EXPONENTS)


_EXPONENTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _quotient(value: str, per: str, output: str) -> str:
    if not per:
        return ""
    value = of_difference(value)
    # Without the units of the value, its name in brackets stands for them.
    return f"{value or f'[{output}]'}/{_bracketed(per)}"


def _bracketed(units: str) -> str:
    """Return units as a factor, in brackets where they are compound."""
    return f"({units})" if any(sign in units for sign in "·/ *") else units


def flat(key: str) -> str:
    """Return a leaf's key as part of a name."""
    return key.replace(".", "_")
