"""Partial derivatives of any order, as the words of a Derivative name them, at a point.

A Point enters, rows leave. Each level differentiates what the level below has computed, so that
derivatives share what their words share, and nothing is computed that no word needs. Knows no
differentiation rule and no framework.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from gradsweep.request.quantities import Mode
from gradsweep.tracing.point import Array, Arrays, Point, Rows, basis_last

__all__ = ["Nested", "partials"]

# The places in x of the letters of a word, the first differentiation first.
Word = tuple[int, ...]


def partials(point: Point) -> Rows:
    """Return the derivatives of every output that the words name, in the order of the words."""
    derivative = point.derivative
    place = {key: i for i, key in enumerate(derivative.wrt)}
    words = [tuple(place[key] for key in word) for word in derivative.of]
    computed = _reordered(words, point.outer)
    if computed != words and not _is_symmetric(point):
        computed = words
    distinct = list(dict.fromkeys(computed))
    found = Nested(point).by_word(distinct, point.x)
    point.evaluate()
    return [
        (point.result("partial", o, word, array), array)
        for o in range(len(point.y))
        for word, as_computed in zip(words, computed)
        for array in [_transposed(point, o, found[as_computed][o], as_computed, word)]
    ]


def _reordered(words: Sequence[Word], outer: Mode) -> list[Word]:
    """Return words with their letters in the order in which they share the most.

    A reverse pass over a derivative gives it by every further letter, so words should begin alike;
    a forward pass along a letter takes in every derivative that ends with it, so they should end
    alike: the letter that a word repeats, then that of the most words, comes first, or last.
    """
    counts = Counter(letter for word in words for letter in set(word))
    sign = 1 if outer == "forward" else -1

    def rank(word: Word, letter: int) -> tuple[int, int, int]:
        return sign * word.count(letter), sign * counts[letter], letter

    return [tuple(sorted(word, key=lambda letter: rank(word, letter))) for word in words]


def _is_symmetric(point: Point) -> bool:
    """Tell whether the order of differentiation is sure not to matter."""
    if not point.ad.knows_rules:
        point.ad.vjp(point.partials, point.x)  # which meets them
    return point.ad.is_symmetric


def _transposed(point: Point, o: int, array: Array, computed: Word, word: Word) -> Array:
    """Return an array with the dims of its arguments in the order of a word's letters."""
    n_output = start = len(point.y[o].shape)
    dims: dict[int, list[range]] = {}
    for letter in computed:
        stop = start + len(point.x[letter].shape)
        dims.setdefault(letter, []).append(range(start, stop))
        start = stop
    order = [*range(n_output), *(dim for letter in word for dim in dims[letter].pop(0))]
    if order == sorted(order):
        return array
    return point.ad.moveaxis(array, order, range(len(order)))


class Nested:
    """Derivatives of derivatives: the first in the Derivative's mode, others in `Point.outer`."""

    def __init__(self, point: Point):
        self.point = point

    def by_word(self, words: Sequence[Word], x: Arrays) -> dict[Word, Sequence[Array]]:
        """Return, by word, the derivatives of all outputs."""
        return self._divided(words, self._arrays(words, x))

    def _arrays(self, words: Sequence[Word], x: Arrays) -> Arrays:
        """Return the derivatives of all outputs that a word names, one word after another."""
        order = max(map(len, words))
        if not order:
            return self.point.f(*x)
        mode = self.point.derivative.mode if order == 1 else self.point.outer
        differentiated = self._pushed if mode == "forward" else self._pulled
        found = differentiated(words, order, x)
        return tuple(array for word in words for array in found[word])

    def _pulled(self, words: Sequence[Word], order: int, x: Arrays) -> Mapping[Word, Sequence]:
        """Return derivatives by one reverse pass for each that the longest words begin with."""
        ad = self.point.ad
        longest = [word for word in words if len(word) == order]
        begins = list(dict.fromkeys(word[:-1] for word in longest))
        below = list(dict.fromkeys([*(word for word in words if len(word) < order), *begins]))
        values, pull = ad.vjp(lambda *x: self._arrays(below, x), x)
        found = self._divided(below, values)
        n = len(self.point.paths)
        places = [below.index(word) * n + o for word in begins for o in range(n)]

        def pulled(w: Arrays) -> Arrays:
            seeds = [ad.nothing_like(value) for value in values]
            for i, weight in zip(places, w):
                seeds[i] = weight
            return pull(tuple(seeds))

        rows = self._divided(begins, ad.over_basis(pulled, tuple(values[i] for i in places)))
        return found | {word: tuple(row[word[-1]] for row in rows[word[:-1]]) for word in longest}

    def _pushed(self, words: Sequence[Word], order: int, x: Arrays) -> Mapping[Word, Sequence]:
        """Return derivatives by one forward pass for each letter that a longest word ends with."""
        found: dict[Word, Sequence] = {}
        if shorter := [word for word in words if len(word) < order]:
            found |= self.by_word(shorter, x)
        longest = [word for word in words if len(word) == order]
        for letter in dict.fromkeys(word[-1] for word in longest):
            ends = [word for word in longest if word[-1] == letter]
            begins = [word[:-1] for word in ends]
            found |= self._divided(ends, self._columns(begins, letter, x))
        return found

    def _columns(self, words: Sequence[Word], letter: int, x: Arrays) -> Arrays:
        """Return the derivatives of some by one argument more."""
        ad, argument = self.point.ad, x[letter]

        def of_one(value: Array) -> Arrays:
            return self._arrays(words, (*x[:letter], value, *x[letter + 1 :]))

        def push(v: Arrays) -> Arrays:
            return ad.jvp(of_one, (argument,), v)[1]

        (columns,) = ad.over_basis(push, (argument,))
        return tuple(basis_last(ad, column, argument) for column in columns)

    def _divided(self, words: Sequence[Word], arrays: Sequence) -> dict[Word, Sequence]:
        """Divide what belongs to all outputs of one word after another."""
        n = len(self.point.paths)
        return {word: arrays[i * n : (i + 1) * n] for i, word in enumerate(words)}
