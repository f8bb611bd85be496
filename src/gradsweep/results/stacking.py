"""Broadcast or stack the variables of a Dataset of derivatives.

Knows a result only by its labels and the attributes that `names` wrote.
"""

from collections.abc import Hashable, Sequence
from itertools import product
from typing import TYPE_CHECKING

from gradsweep.support.errors import OutputError
from gradsweep.support.words import listed

if TYPE_CHECKING:
    import xarray

__all__ = ["broadcast", "matrix"]


def broadcast(ds: "xarray.Dataset") -> "xarray.Dataset":
    """Expand every variable to all the swept dims of a Dataset.

    A result has only the dims it depends on; this repeats it along the others, without taking
    memory. Dims that belong to an output or an argument are not added to other variables.

    Args:
        ds: what a quantity returned.
    """
    _require_dataset("broadcast", ds)
    swept: dict[Hashable, int] = {dim: ds.sizes[dim] for dim in _swept(ds)}

    def expand(variable: "xarray.DataArray") -> "xarray.Variable":
        own = [dim for dim in variable.dims if dim not in swept]
        sizes = {**swept, **{dim: variable.sizes[dim] for dim in own}}
        return variable.variable.set_dims(sizes)

    return ds.assign({name: expand(variable) for name, variable in ds.data_vars.items()})


def matrix(ds: "xarray.Dataset") -> "xarray.DataArray":
    """Stack partial derivatives into one array with a last dim `wrt`.

    Takes the result of gradient, jacobian, contributions, vjp or hvp; a Hessian gives two last
    dims, `wrt` and `wrt_2`. The elements of an array argument are called `q[0]`, `q[1]`, ...

    Args:
        ds: what a quantity returned.

    Returns:
        An array whose dims are the swept ones, then the output's own, then `wrt`.

    Raises:
        OutputError: when the Dataset has no derivatives, or those of several outputs or orders.
    """
    _require_dataset("matrix", ds)
    columns = [variable for variable in ds.data_vars.values() if "wrt" in variable.attrs]
    outputs = list(dict.fromkeys(variable.attrs["of"] for variable in columns))
    if not columns:
        raise OutputError("matrix needs partial derivatives; this Dataset has none.")
    if len(outputs) > 1:
        raise OutputError(
            f"matrix stacks the derivatives of one output; this Dataset has those of "
            f"{', '.join(outputs)}.\nSelect the variables of one of them first."
        )
    orders = sorted({len(variable.attrs["wrt"].split()) for variable in columns})
    if orders not in ([1], [2]):
        raise OutputError(
            "matrix stacks either first or second derivatives; this Dataset has those of order "
            f"{listed([str(order) for order in orders])}."
        )
    names = ["wrt", "wrt_2"][: orders[0]]
    blocks = {
        tuple(variable.attrs["wrt"].split()): _flatten_own(ds, variable, names)
        for variable in columns
    }
    if missing := [
        pair for pair in product(*map(dict.fromkeys, zip(*blocks))) if pair not in blocks
    ]:
        raise OutputError(
            f"matrix needs every pair of arguments; this Dataset has no derivative by "
            f"{' and '.join(missing[0])}."
        )
    dims = list(dict.fromkeys(d for block in blocks.values() for d in block.dims if d not in names))
    swept = [dim for dim in _swept(ds) if dim in dims]
    whole = [*swept, *(dim for dim in dims if dim not in swept), *names]
    stacked = _stack(blocks, whole, names)
    symbol = "∂" if len(names) == 1 else "∂²"
    prefix = "d" if len(names) == 1 else "d2"
    stacked.attrs = {"long_name": f"{symbol}{outputs[0]}/{''.join(f'∂{name}' for name in names)}"}
    return stacked.rename(f"{prefix}{outputs[0]}")


def _require_dataset(what: str, ds: object) -> None:
    if not hasattr(ds, "data_vars"):
        raise OutputError(
            f"{what} takes the Dataset that a quantity returned, not a {type(ds).__name__}."
        )


def _stack(
    blocks: dict[tuple[str, ...], "xarray.DataArray"],
    order: Sequence[Hashable],
    names: Sequence[str],
) -> "xarray.DataArray":
    """Concatenate blocks along the last name within each group, then along the name before."""
    import xarray

    full = xarray.broadcast(*blocks.values(), exclude=names)
    rows: dict[str, list] = {}
    for keys, block in zip(blocks, full):
        rows.setdefault(keys[0] if len(names) == 2 else "", []).append(block.transpose(*order))
    joined = [
        xarray.concat(row, dim=names[-1], combine_attrs="drop", join="exact")
        for row in rows.values()
    ]
    if len(names) == 1:
        return joined[0]
    return xarray.concat(joined, dim=names[0], combine_attrs="drop", join="exact")


def _flatten_own(
    ds: "xarray.Dataset", variable: "xarray.DataArray", names: Sequence[str]
) -> "xarray.DataArray":
    """Turn the dims of each argument into one dim that names its elements."""
    swept = _swept(ds)
    own = [str(dim) for dim in variable.dims if dim not in swept]
    keys = variable.attrs["wrt"].split()
    counts = [int(n) for n in str(variable.attrs["wrt_ndim"]).split()]
    own = own[len(own) - sum(counts) :]
    block = variable.drop_vars(
        [name for name in variable.coords if set(variable[name].dims) & set(own)]
    )
    for key, count, name in zip(keys, counts, names):
        mine, own = own[:count], own[count:]
        # The parts of a complex argument have words for labels.
        along = [ds[dim].values if dim in ds.coords else range(ds.sizes[dim]) for dim in mine]
        labels = [f"{key}[{', '.join(map(str, i))}]" if i else key for i in product(*along)]
        block = block.stack({name: mine}, create_index=False) if mine else block.expand_dims(name)
        block = block.assign_coords({name: labels})
    return block


def _swept(ds: "xarray.Dataset") -> list[str]:
    return [axis for axis in ds.attrs.get("axes", "").split() if axis in ds.sizes]
