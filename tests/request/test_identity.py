"""A change of anything that a function reaches is seen; an unchanged one is traced once."""

import abc
import collections
import dataclasses
import enum
import functools
import os
import subprocess
import sys
import types

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.request.identity import identity

RATE = 2.0


class Settings:
    rate = 2.0

    @staticmethod
    def scaled(x):
        return RATE * x


class ReadsGlobal:
    def __call__(self, x):
        return RATE * x

    @property
    def rate(self):
        return RATE

    def by_property(self, x):
        return self.rate * x

    def by_method(self, x):
        return self(x)


class Inherits(ReadsGlobal):
    def by_super(self, x):
        return super().__call__(x)


class Hidden:
    __slots__ = ("__rate",)

    def __init__(self, rate):
        self.put(rate)

    def put(self, rate):
        self.__rate = rate

    def times(self, x):
        return self.__rate * x


class Scaled:
    """A decorator that keeps a value of its own beside the function."""

    def __init__(self, function, rate):
        functools.update_wrapper(self, function)
        self.function, self.rate = function, rate

    def __call__(self, x):
        return self.rate * self.function(x)


class Table(dict):
    pass


class Kind(enum.Enum):
    CALL = 1


class Side(enum.IntEnum):
    BUY = 1


Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    a: float = 1.0


class Abstract(abc.ABC):
    @abc.abstractmethod
    def times(self, x): ...


class Concrete(Abstract):
    @functools.cached_property
    def rate(self):
        return 2.0

    def times(self, x):
        return self.rate * x


def plain(x):
    return 1.0 * x


def of_class_attribute(x):
    return Settings.rate * x


def of_static_method(x):
    return Settings.scaled(x)


def of_a_package(x):
    return package.inner.rate * x


def of_an_import(x):
    from package.inner import rate

    return rate * x


def by_name(x):
    return globals()["RATE"] * x


package = types.ModuleType("package")
package.inner = types.ModuleType("package.inner")
package.inner.rate = 2.0

table = Table()
table.rate = 2.0
numbers = {"rate": 2.0}
rate_of = numbers.get
read_only = types.MappingProxyType(numbers)
rates = numbers.values()
raw = bytearray([2])
hidden = Hidden(2.0)
scaled = Scaled(plain, 2.0)

CHANGES = {
    "the attribute of a class": (of_class_attribute, lambda: setattr(Settings, "rate", 3.0)),
    "a global of a static method": (of_static_method, lambda: globals().update(RATE=3.0)),
    "a global of __call__": (ReadsGlobal(), lambda: globals().update(RATE=3.0)),
    "a global of a property": (ReadsGlobal().by_property, lambda: globals().update(RATE=3.0)),
    "a global of another method": (ReadsGlobal().by_method, lambda: globals().update(RATE=3.0)),
    "a global of a base class": (Inherits().by_super, lambda: globals().update(RATE=3.0)),
    "a global by its name": (by_name, lambda: globals().update(RATE=3.0)),
    "a module in a package": (of_a_package, lambda: setattr(package.inner, "rate", 3.0)),
    "an import in the function": (of_an_import, lambda: setattr(package.inner, "rate", 3.0)),
    "a private slot": (hidden.times, lambda: hidden.put(3.0)),
    "the state of a decorator": (scaled, lambda: setattr(scaled, "rate", 3.0)),
    "the attribute of a dict": (lambda x: table.rate * x, lambda: setattr(table, "rate", 3.0)),
    "the method of a dict": (lambda x: rate_of("rate") * x, lambda: numbers.update(rate=3.0)),
    "a read-only view": (lambda x: read_only["rate"] * x, lambda: numbers.update(rate=3.0)),
    "the values of a dict": (lambda x: sum(rates) * x, lambda: numbers.update(rate=3.0)),
    "bytes": (lambda x: float(raw[0]) * x, lambda: raw.__setitem__(0, 3)),
}


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.setitem(sys.modules, "package", package)
    monkeypatch.setitem(sys.modules, "package.inner", package.inner)
    yield
    globals()["RATE"] = Settings.rate = package.inner.rate = 2.0
    table.rate = numbers["rate"] = scaled.rate = 2.0


def slope(f):
    (partial,) = gs.gradient(f, gs.Sweep(x=[1.0, 2.0])).values()
    return partial.item()


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_seen_of(what):
    function, change = CHANGES[what]
    assert slope(function) == slope(function) == 2.0
    change()
    assert slope(function) == 3.0


def test_two_decorated_functions_are_told_apart():
    assert slope(Scaled(plain, 5.0)) == 5.0
    assert slope(Scaled(plain, 7.0)) == 7.0


@pytest.mark.torch
def test_a_global_of_a_torch_rule_is_seen():
    import torch

    class Times(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, cotangent):
            return cotangent * RATE

    def f(x):
        return Times.apply(x)

    assert slope(f) == 2.0
    globals()["RATE"] = 3.0
    assert slope(f) == 3.0


@pytest.mark.jax
def test_jax_rules_of_the_same_function_are_told_apart():
    import jax

    def ruled(rate):
        f = jax.custom_vjp(plain)
        f.defvjp(lambda x: (x, None), lambda _, cotangent: (rate * cotangent,))
        return f

    assert slope(ruled(2.0)) == 2.0
    assert slope(ruled(3.0)) == 3.0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if Kind.CALL is Kind.CALL else -x,
        lambda x: Side.BUY * x,
        lambda x: Pair(x, x).b,
        lambda x: Point(2.0).a * x,
        Concrete().times,
        scaled,
        np.sin,
    ],
)
def test_what_can_be_read_is_cached(function):
    assert identity(function) == identity(function)


_HASHES = """
import numpy as np
from gradsweep.request.identity import code_hash, reach_hash

RATES = {"call": 1.0, "put": 2.0}
TABLE = np.arange(3.0)

def helper(x):
    return x * RATES["call"] + TABLE[0]

def outer(a):
    def f(x, kind):
        return helper(x) * a if kind in {"call", "put", "straddle"} else x
    return f

print(code_hash(outer(2.0)), reach_hash(outer(2.0), {"b": 1, "c": (2.5, None)}))
print(reach_hash(outer(3.0)) != reach_hash(outer(2.0)))
before = reach_hash(helper)
RATES["call"] = 1.5
print(reach_hash(helper) != before)
before = reach_hash(helper)
TABLE[0] = 5.0
print(reach_hash(helper) != before)
"""


def test_hashes_are_the_same_in_every_process_and_see_what_changed():
    texts = {
        subprocess.run(
            [sys.executable, "-c", _HASHES],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    (text,) = texts
    assert "unknown" not in text and text.split()[2:] == ["True"] * 3
