"""The command, as the tests call it."""

import json
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
QUESTION = f"{ROOT}/examples/question.py:f"
ONES = ["--at", "x1=1.0", "--at", "x2=1.0", "--at", "x3=1.0", "--at", "x4=1.0"]
MODEL = '''
"""Operators alone, so that any framework can trace it."""
from dataclasses import dataclass

def area(width, height):
    return width * height

def power(x, n: int = 2, kind="plain", offset=None):
    assert isinstance(n, int), n
    assert kind in ("plain", "7"), kind
    return x**n

def anything(x, **others):
    return x * sum(others.values())

def both(x, y):
    return {"product": x * y, "ratio": x / y}

def dot(q):
    return q[0] * q[1] + q[2] ** 2

def chain(links, force):
    return sum(force / link["k"] for link in links)

def root(x):
    return x**0.5

def seventh(x):
    return x / 7

def broken(x):
    return 1 / 0 * x

constant = 3

@dataclass
class Model:
    rate: float

    def value(self, x):
        return self.rate * x

model = Model(2.0)
'''


def variables(text: str) -> dict[str, np.ndarray]:
    """Return the numbers of a --json document by variable."""
    document = json.loads(text)
    return {name: np.array(v["data"]) for name, v in document["variables"].items()}
