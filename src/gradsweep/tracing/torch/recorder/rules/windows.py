"""Convolutions, pooling, and attention of torch."""

from collections.abc import Callable, Sequence

import numpy as np

from gradsweep.program.arrays import dot_general
from gradsweep.program.windows.convolution import Places, convolved, kernel_gradient, spread_back
from gradsweep.program.windows.sliding import accumulated, padded, windows
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.recorder.expression import Expression, where
from gradsweep.tracing.torch.recorder.rules.formulas import E, exp, is_nan, log

__all__ = ["RULES"]


def _places(x: E, stride, padding, dilation, groups: int) -> Places:
    n = len(x.shape) - 2
    strides, pads, dilations = (_each(numbers, n) for numbers in (stride, padding, dilation))
    return Places(strides, [(pad, pad) for pad in pads], dilations, [1] * n, groups)


def _each(numbers: Sequence[int], n: int) -> list[int]:
    """Return one number for each dim, where torch has one for all."""
    return list(numbers) * n if len(numbers) == 1 else list(numbers)


def _convolve(
    call, x, w, bias, stride, padding, dilation, transposed, output_padding, groups, *hints
) -> E:
    x, w = call(x), call(w)
    places = _places(x, stride, padding, dilation, groups)
    if transposed:
        found = spread_back(x.builder, x.variables, w.variables, call.out.shape[2:], places)
    else:
        found = convolved(x.builder, x.variables, w.variables, places)
    y = x.of(found)
    return y if bias is None else y + call(bias).expand_dims(range(1, len(x.shape) - 1))


def _convolution_backward(
    call, g, x, w, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, mask
) -> tuple[E | None, ...]:
    g, x, w = call(g), call(x), call(w)
    b, places = x.builder, _places(x, stride, padding, dilation, groups)
    sizes = w.shape[2:]
    of_x = of_w = None
    if mask[0] and transposed:
        of_x = convolved(b, g.variables, w.variables, places)
    elif mask[0]:
        of_x = spread_back(b, g.variables, w.variables, x.shape[2:], places)
    if mask[1]:
        read, given = (g, x) if transposed else (x, g)
        of_w = kernel_gradient(b, read.variables, given.variables, sizes, places)
    found = [None if v is None else x.of(v) for v in (of_x, of_w)]
    of_bias = g.reduce("add", [0, *range(2, len(g.shape))]) if mask[2] else None
    return tuple(e for e in (*found, of_bias) if e is not None)


def _pairs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    return [(number, number) for number in _each(numbers, 2)]


def _padding_up_to(x: E, sizes, strides, dilations, padding, counts) -> list[tuple[int, int]]:
    """Return padding that lets windows slide to `counts` places, as `ceil_mode` may."""
    found = []
    for length, size, stride, dilation, (low, _), count in zip(
        x.shape[-2:], sizes, strides, dilations, padding, counts
    ):
        reach = (count - 1) * stride + (size - 1) * dilation + 1
        found.append((low, reach - low - length))
    return found


class _Pool:
    """Windows of two dims, as the arguments of torch's pooling say them."""

    def __init__(self, x: E, counts, kernel_size, stride=(), padding=(0,), dilation=(1,)):
        self.x = x
        self.sizes, self.dilations = _each(kernel_size, 2), _each(dilation, 2)
        self.strides = _each(stride, 2) or self.sizes
        self.declared = _pairs(padding)
        self.padding = _padding_up_to(
            x, self.sizes, self.strides, self.dilations, self.declared, counts
        )

    def of(self, variables: np.ndarray, fill: int) -> np.ndarray:
        """Return windows, the last dim running over their elements."""
        whole = padded(variables, self.padding, fill)
        found = windows(whole, self.sizes, self.strides, self.dilations)
        return found.reshape(*found.shape[:-2], -1)

    def numbers(self) -> np.ndarray:
        """Return the number of each window's elements in their plane, -1 outside."""
        plane = np.arange(int(np.prod(self.x.shape[-2:]))).reshape(self.x.shape[-2:])
        return self.of(plane, -1)


def _max_pool(call, x, kernel_size, stride=(), padding=(0,), dilation=(1,), ceil_mode=False):
    x = call(x)
    pool = _Pool(x, call.out[0].shape[-2:], kernel_size, stride, padding, dilation)
    numbers = pool.numbers()
    if (numbers < 0).all(axis=-1).any():
        raise NotAProgram("it takes the maximum of a window outside its array")
    lowest = x.builder.constant(-np.inf, x.dtype)
    entries = x.of(pool.of(x.variables, lowest))
    places = Expression(x.builder, x.builder.constants(numbers, "int64"), "int64")
    # What stands outside is less than the first entry inside, or as low as it.
    first = np.argmax(numbers >= 0, axis=-1)
    at_first = np.take_along_axis(numbers, first[..., None], axis=-1)[..., 0]
    best = entries[..., 0]
    place = places.of(np.broadcast_to(x.builder.constants(at_first, "int64"), best.shape))
    for k in range(1, entries.shape[-1]):
        entry = entries[..., k]
        is_better = (entry > best) | is_nan(entry)
        best = where(is_better, entry, best)
        place = where(
            is_better, places.of(np.broadcast_to(places.variables[..., k], best.shape)), place
        )
    return best, place


def _max_pool_backward(call, g, x, kernel_size, stride, padding, dilation, ceil_mode, indices) -> E:
    g, x, chosen = call(g), call(x), call(indices)
    pool = _Pool(x, g.shape[-2:], kernel_size, stride, padding, dilation)
    numbers = pool.numbers()
    terms = np.empty((*g.shape, numbers.shape[-1]), dtype=np.int64)
    for k in range(numbers.shape[-1]):
        here = Expression(x.builder, x.builder.constants(numbers[..., k], "int64"), "int64")
        is_chosen = where(chosen.equals(here), g, g.zeros())
        terms[..., k] = is_chosen.variables
    return _added_to_planes(x, terms, numbers)


def _added_to_planes(x: E, terms: np.ndarray, numbers: np.ndarray) -> E:
    zeros = x.zeros(x.shape[-2:]).variables
    result = np.empty(x.shape, dtype=np.int64)
    for index in np.ndindex(x.shape[:-2]):
        result[index] = accumulated(x.builder, terms[index], numbers, zeros)
    return x.of(result)


def _divisors(pool: _Pool, counts_padding: bool, divisor: int | None) -> np.ndarray:
    """Return what the sum of each window is divided by."""
    if divisor is not None:
        return np.array(float(divisor))
    if counts_padding:
        # What lies beyond the padding that was asked for counts as little as in torch.
        plane = np.ones(
            [n + low + high for n, (low, high) in zip(pool.x.shape[-2:], pool.declared)]
        )
        beyond = [
            (0, max(0, high - own)) for (_, high), (_, own) in zip(pool.padding, pool.declared)
        ]
        whole = np.pad(plane, beyond)
        every = windows(whole, pool.sizes, pool.strides, pool.dilations)
        return every.sum(axis=(-2, -1))
    return (pool.numbers() >= 0).sum(axis=-1).astype(float)


def _avg_pool(
    call,
    x,
    kernel_size,
    stride=(),
    padding=(0,),
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
) -> E:
    x = call(x)
    pool = _Pool(x, call.out.shape[-2:], kernel_size, stride, padding)
    nothing = x.builder.structural_zero(x.dtype)
    total = x.of(pool.of(x.variables, nothing)).reduce("add", [-1])
    return total / _constant(x, _divisors(pool, count_include_pad, divisor_override))


def _constant(like: E, values: np.ndarray) -> E:
    return like.of(like.builder.constants(values, like.dtype))


def _avg_pool_backward(
    call, g, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
) -> E:
    g, x = call(g), call(x)
    pool = _Pool(x, g.shape[-2:], kernel_size, stride, padding)
    each = g / _constant(x, _divisors(pool, count_include_pad, divisor_override))
    numbers = pool.numbers()
    terms = np.broadcast_to(each.variables[..., None], (*g.shape, numbers.shape[-1]))
    return _added_to_planes(x, terms, numbers)


def _product(left: E, right: E, contract: tuple[int, int]) -> E:
    """Multiply the matrices in the last dims of batches: sums over one dim of each."""
    over = tuple(range(len(left.shape) - 2))
    axes = ((contract[0] % 4,), (contract[1] % 4,))
    return left.of(dot_general(left.builder, left.variables, right.variables, axes, (over, over)))


def _weights(q: E, k: E, is_causal: bool, attn_mask: E | None, scale: float | None) -> tuple[E, E]:
    """Return the softmax of scores, and the logarithm of what it is divided by."""
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = _product(q, k, (-1, -1)) * scale
    if attn_mask is not None:
        if attn_mask.dtype == "bool":
            scores = where(attn_mask, scores, -np.inf)
        else:
            scores = scores + attn_mask.cast(scores.dtype)
    if is_causal:
        n_queries, n_keys = scores.shape[-2:]
        allowed = np.tri(n_queries, n_keys) > 0
        lowest = scores.builder.constant(-np.inf, scores.dtype)
        scores = scores.of(np.where(allowed, scores.variables, lowest))
    largest = scores.reduce("max", [-1])
    # A row that sees nothing has weights 0, as torch has it.
    is_blind = largest.equals(-np.inf)
    largest = where(is_blind, 0.0, largest)
    powers = exp(scores - largest.expand_dims([-1]))
    total = powers.reduce("add", [-1])
    weights = powers / where(is_blind, 1.0, total).expand_dims([-1])
    return weights, largest + log(total)


def _attention(
    call, q, k, v, dropout_p=0.0, is_causal=False, *, attn_mask=None, scale=None
) -> tuple[E, E]:
    q, k, v = call(q), call(k), call(v)
    if q.shape[:2] != k.shape[:2]:
        raise NotAProgram("its heads of attention share keys")
    mask = None if attn_mask is None else call(attn_mask)
    weights, normalizers = _weights(q, k, is_causal, mask, scale)
    return _product(weights, v, (-1, -2)), normalizers


def _attention_backward(
    call, g, q, k, v, out, logsumexp, dropout_p, is_causal, *, attn_mask=None, scale=None
) -> tuple[E, E, E]:
    g, q, k, v = call(g), call(q), call(k), call(v)
    mask = None if attn_mask is None else call(attn_mask)
    weights, _ = _weights(q, k, is_causal, mask, scale)
    of_v = _product(weights, g, (-2, -2))
    of_weights = _product(g, v, (-1, -1))
    inner = (g * call(out)).reduce("add", [-1]).expand_dims([-1])
    of_scores = weights * (of_weights - inner)
    of_scores = of_scores * (q.shape[-1] ** -0.5 if scale is None else scale)
    return _product(of_scores, k, (-1, -2)), _product(of_scores, q, (-2, -2)), of_v


RULES: dict[str, Callable] = {
    "convolution": _convolve,
    "_convolution": _convolve,
    "convolution_backward": _convolution_backward,
    "max_pool2d_with_indices": _max_pool,
    "max_pool2d_with_indices_backward": _max_pool_backward,
    "avg_pool2d": _avg_pool,
    "avg_pool2d_backward": _avg_pool_backward,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
}
