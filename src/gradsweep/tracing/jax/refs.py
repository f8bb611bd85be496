"""JAX's refs in a jaxpr: memory that equations read and write, followed from write to write.

A Ref holds the current content of the memory, a value like any other. JAX itself traces a read or
write of a part as indexing of an array, and that is lowered.

Knows of lowering only the protocol `Lowering`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.jax.protocol import Control, Lowering, Value

__all__ = ["REFS", "Ref", "contents", "refs_among", "run_each"]


@dataclass(eq=False)
class Ref:
    """Memory, and its content after the equations that were lowered so far.

    Attributes:
        aval: the aval of its content.
    """

    content: Value
    aval: Any


def refs_among(operands: Iterable[Any]) -> list[Ref]:
    """Return the refs among some operands, each once."""
    return list(dict.fromkeys(operand for operand in operands if isinstance(operand, Ref)))


def contents(refs: Iterable[Ref]) -> list[Value]:
    return [ref.content for ref in refs]


def run_each(
    refs: Sequence[Ref],
    ways: Sequence[Callable[[], Any]],
    choose: Callable[[Sequence[Value], Any], Value],
) -> list[Any]:
    """Run every way from the same contents of refs, then set these to what `choose` returns.

    Returns:
        The results of each way.
    """
    before = contents(refs)
    results, after = [], []
    for way in ways:
        for ref, content in zip(refs, before):
            ref.content = content
        results.append(way())
        after.append(contents(refs))
    for ref, each in zip(refs, zip(*after)):
        ref.content = choose(each, ref.aval)
    return results


def _new(lowering: Lowering, equation: Any, operands: list[Any], used: list[bool]) -> list[Any]:
    return [Ref(operands[0], equation.invars[0].aval)]


def _freeze(lowering: Lowering, equation: Any, operands: list[Any], used: list[bool]) -> list[Any]:
    return [operands[0].content]


def _free(lowering: Lowering, equation: Any, operands: list[Any], used: list[bool]) -> list[Any]:
    return []


def _get(lowering: Lowering, equation: Any, operands: list[Any], used: list[bool]) -> list[Any]:
    ref, *flat = operands

    def read(array: Any, *flat: Any) -> Any:
        return array[_positions(equation, array, flat)]

    return _inlined(lowering, read, [ref.content, *flat], ref, equation.invars[1:])


def _swap(lowering: Lowering, equation: Any, operands: list[Any], used: list[bool]) -> list[Any]:
    ref, *rest = operands

    def swap(array: Any, value: Any, *flat: Any) -> Any:
        at = _positions(equation, array, flat)
        return array[at], array.at[at].set(value, mode=_mode(equation))

    old, ref.content = _inlined(lowering, swap, [ref.content, *rest], ref, equation.invars[1:])
    return [old]


def _add(lowering: Lowering, equation: Any, operands: list[Any], used: list[bool]) -> list[Any]:
    ref, *rest = operands

    def add(array: Any, value: Any, *flat: Any) -> Any:
        return array.at[_positions(equation, array, flat)].add(value, mode=_mode(equation))

    (ref.content,) = _inlined(lowering, add, [ref.content, *rest], ref, equation.invars[1:])
    return []


def _inlined(
    lowering: Lowering, function: Callable, operands: list[Value], ref: Ref, atoms: Sequence[Any]
) -> list[Any]:
    """Lower a function of a ref's content and of other operands."""
    avals = [ref.aval, *(atom.aval for atom in atoms)]
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    return lowering.inline(jax.make_jaxpr(function)(*shapes), operands)


def _positions(equation: Any, array: Any, flat: Sequence[Any]) -> Any:
    """Return the index that an equation reads or writes: an array for every dim, or `...`."""
    transforms = jax.tree.unflatten(equation.params["tree"], flat)
    if not transforms:
        return ...
    if len(transforms) > 1 or not hasattr(transforms[0], "int_indexer_shape"):
        raise NotAProgram("it looks at a ref in another form")
    indexer = transforms[0]
    front = len(indexer.int_indexer_shape)
    slices = [index for index in indexer.indices if hasattr(index, "stride")]
    found, n_before = [], 0
    for index in indexer.indices:
        if not hasattr(index, "stride"):
            found.append(jnp.reshape(index, (*jnp.shape(index), *(1,) * len(slices))))
            continue
        positions = index.start + index.stride * jnp.arange(index.size)
        shape = [1] * (front + len(slices))
        shape[front + n_before] = index.size
        found.append(jnp.reshape(positions, shape))
        n_before += 1
    return tuple(found)


def _mode(equation: Any) -> str | None:
    """Return the mode for writes outside the array: a window moves inside, others are dropped."""
    transforms = equation.params["tree"]
    atoms = equation.invars[2:]
    is_window = all(atom.aval.shape == () for atom in atoms)
    return "clip" if transforms.num_leaves and is_window else None


# Under the names that different versions of JAX use.
REFS: dict[str, Control] = {
    **dict.fromkeys(["new_ref", "ref", "mutable_array"], _new),
    "freeze": _freeze,
    "free_ref": _free,
    "get": _get,
    "swap": _swap,
    "addupdate": _add,
}
