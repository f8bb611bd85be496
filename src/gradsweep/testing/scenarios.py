"""The scenarios: functions, sweeps of them, and their derivatives from closed forms."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsweep.request.argument import components
from gradsweep.request.sweep import Sweep
from gradsweep.testing.scenario import Scenario

__all__ = ["SCENARIOS"]


def _question(xp: Any) -> Callable:
    def f(x0, x1, x2, x3, x4):
        return x0**2 + x1**3 + x2**4 + x3**5 + x4**6

    return f


_RANGE = np.arange(1.0, 10.0)


def _question_sweep() -> Sweep:
    return Sweep(x0=_RANGE, x1=1.0, x2=1.0, x3=1.0, x4=1.0)


_A = np.linspace(0.3, 1.1, 3)
_B = np.linspace(-0.7, 2.0, 4)
_Q = np.linspace(0.1, 1.5, 15).reshape(5, 3)
_M = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])


def _wave(xp: Any) -> Callable:
    def wave(a, b):
        return xp.sin(a) * b**2 + xp.exp(b)

    return wave


def _grid() -> Sweep:
    return Sweep(a=_A, b=_B)


def _zipped() -> Sweep:
    return Sweep(a=("quote", _B), b=("quote", _B[::-1]))


def _turn(xp: Any) -> Callable:
    """Map q in R^3 to R^2."""

    def turn(q):
        return xp.stack([xp.sin(q[0]) * q[1], q[2] ** 2 * q[0]])

    return turn


def _turn_jacobian() -> np.ndarray:
    q0, q1, q2 = _Q.T
    zero = np.zeros_like(q0)
    rows = [[np.cos(q0) * q1, np.sin(q0), zero], [q2**2, zero, 2 * q0 * q2]]
    return np.moveaxis(np.array(rows), -1, 0)


def _bowl(xp: Any) -> Callable:
    def bowl(q, s):
        return s * xp.sum(q**3)

    return bowl


def _bowl_hessian() -> np.ndarray:
    return np.einsum("pi,ij->pij", 6 * 2.0 * _Q, np.eye(3))


def _greeks(xp: Any) -> Callable:
    def greeks(a, b):
        return {"up": a * b, "down": {"deep": xp.exp(a)}}

    return greeks


def _tree(xp: Any) -> Callable:
    def chain(x, params):
        for link in params["links"]:
            x = link["k"] * x + link["c"]
        return x

    return chain


def _tree_sweep() -> Sweep:
    links = [{"k": 2.0, "c": 1.0}, {"k": np.float64(3.0), "c": np.array(4.0)}]
    return Sweep(x=_A, params=((), {"links": links}))


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "the gradient of the question",
        "gradient",
        _question,
        _question_sweep,
        lambda: {
            "df_dx0": (("x0",), 2 * _RANGE),
            "df_dx1": ((), 3.0),
            "df_dx2": ((), 4.0),
            "df_dx3": ((), 5.0),
            "df_dx4": ((), 6.0),
        },
    ),
    Scenario(
        "jvp of the question",
        "jvp",
        _question,
        _question_sweep,
        lambda: {"jvp": (("x0",), 2 * _RANGE * 0.5 - 3.0 + 6.0 * 2.0)},
        direction={"x0": 0.5, "x1": -1.0, "x4": 2.0},
    ),
    Scenario(
        "contributions of the question",
        "contributions",
        _question,
        _question_sweep,
        lambda: {"contribution_x0": (("x0",), 2 * _RANGE * 0.5), "contribution_x1": ((), -3.0)},
        direction={"x0": 0.5, "x1": -1.0},
    ),
    Scenario(
        "value on a grid",
        "value",
        _wave,
        _grid,
        lambda: {"wave": (("a", "b"), np.sin(_A)[:, None] * _B**2 + np.exp(_B))},
    ),
    Scenario(
        "gradient on a grid, with the value",
        "gradient",
        _wave,
        _grid,
        lambda: {
            "wave": (("a", "b"), np.sin(_A)[:, None] * _B**2 + np.exp(_B)),
            "dwave_da": (("a", "b"), np.cos(_A)[:, None] * _B**2),
            "dwave_db": (("a", "b"), np.sin(_A)[:, None] * 2 * _B + np.exp(_B)),
        },
        options={"with_value": True},
    ),
    Scenario(
        "a partial that ignores an axis has no such dim",
        "gradient",
        lambda xp: lambda a, b: xp.sin(a) + b**2,
        _grid,
        lambda: {"df_da": (("a",), np.cos(_A)), "df_db": (("b",), 2 * _B)},
    ),
    Scenario(
        "zipped arguments share a dim",
        "gradient",
        _wave,
        _zipped,
        lambda: {
            "dwave_da": (("quote",), np.cos(_B) * _B[::-1] ** 2),
            "dwave_db": (("quote",), np.sin(_B) * 2 * _B[::-1] + np.exp(_B[::-1])),
        },
    ),
    Scenario(
        "wrt chooses",
        "gradient",
        _wave,
        _grid,
        lambda: {"dwave_db": (("a", "b"), np.sin(_A)[:, None] * 2 * _B + np.exp(_B))},
        options={"wrt": "b"},
    ),
    Scenario(
        "the Jacobian of an array function at many poses",
        "jacobian",
        _turn,
        lambda: Sweep(q=("pose", _Q)),
        lambda: {"dturn_dq": (("pose", "turn_0", "q_0"), _turn_jacobian())},
    ),
    Scenario(
        "the Jacobian in forward mode",
        "jacobian",
        _turn,
        lambda: Sweep(q=("pose", _Q)),
        lambda: {"dturn_dq": (("pose", "turn_0", "q_0"), _turn_jacobian())},
        options={"mode": "forward"},
    ),
    Scenario(
        "the Jacobian of a linear map is its matrix, without dims",
        "jacobian",
        lambda xp: lambda q, m: m @ q,
        lambda: Sweep(q=("pose", _Q), m=((), _M)),
        lambda: {"df_dq": (("f_0", "q_0"), _M)},
        options={"wrt": ["q"]},
    ),
    Scenario(
        "vjp of an array function",
        "vjp",
        _turn,
        lambda: Sweep(q=("pose", _Q)),
        lambda: {"vjp_q": (("pose", "q_0"), np.einsum("o,poq->pq", [2.0, -1.0], _turn_jacobian()))},
        direction=np.array([2.0, -1.0]),
    ),
    Scenario(
        "jvp along a tangent that is swept too",
        "jvp",
        _turn,
        lambda: Sweep(q=("pose", _Q)),
        lambda: {"jvp": (("pose", "turn_0"), np.einsum("pq,poq->po", _Q[::-1], _turn_jacobian()))},
        direction={"q": ("pose", _Q[::-1])},
    ),
    Scenario(
        "contributions of an array argument, element by element",
        "contributions",
        _turn,
        lambda: Sweep(q=("pose", _Q)),
        lambda: {"contribution_q": (("pose", "turn_0", "q_0"), _turn_jacobian() * [0.1, 0.2, 0.3])},
        direction={"q": np.array([0.1, 0.2, 0.3])},
    ),
    Scenario(
        "a tangent may bring an axis of its own",
        "jvp",
        _wave,
        lambda: Sweep(a=_A, b=1.0),
        lambda: {"jvp": (("a", "scenario"), np.cos(_A)[:, None] * np.array([1.0, -2.0]))},
        direction={"a": ("scenario", [1.0, -2.0])},
    ),
    Scenario(
        "the Hessian on a grid",
        "hessian",
        _wave,
        _grid,
        lambda: {
            "d2wave_da_da": (("a", "b"), -np.sin(_A)[:, None] * _B**2),
            "d2wave_da_db": (("a", "b"), np.cos(_A)[:, None] * 2 * _B),
            "d2wave_db_da": (("a", "b"), np.cos(_A)[:, None] * 2 * _B),
            "d2wave_db_db": (("a", "b"), 2 * np.sin(_A)[:, None] + np.exp(_B)),
        },
    ),
    Scenario(
        "the Hessian with respect to an array and a number",
        "hessian",
        _bowl,
        lambda: Sweep(q=("pose", _Q), s=2.0),
        lambda: {
            "d2bowl_dq_dq": (("pose", "q_0", "q_0_2"), _bowl_hessian()),
            "d2bowl_dq_ds": (("pose", "q_0"), 3 * _Q**2),
            "d2bowl_ds_dq": (("pose", "q_0"), 3 * _Q**2),
            "d2bowl_ds_ds": ((), 0.0),
        },
    ),
    Scenario(
        "derivatives of third order on a grid",
        "partials",
        _wave,
        _grid,
        lambda: {
            "d3wave_da_da_db": (("a", "b"), -np.sin(_A)[:, None] * 2 * _B),
            "d3wave_db_db_db": (("b",), np.exp(_B)),
        },
        direction=["a a b", "b b b"],
    ),
    Scenario(
        "the Laplacian on a grid",
        "laplacian",
        _wave,
        _grid,
        lambda: {"laplacian": (("a", "b"), np.sin(_A)[:, None] * (2 - _B**2) + np.exp(_B))},
    ),
    Scenario(
        "hvp of an array argument",
        "hvp",
        _bowl,
        lambda: Sweep(q=("pose", _Q), s=2.0),
        lambda: {
            "hvp_q": (("pose", "q_0"), 12 * _Q * [1.0, 0.0, -1.0]),
            "hvp_s": (("pose",), np.sum(3 * _Q**2 * [1.0, 0.0, -1.0], axis=1)),
        },
        direction={"q": np.array([1.0, 0.0, -1.0])},
        options={"wrt": ["q", "s"]},
        rtol=1e-12,
    ),
    Scenario(
        "a container of outputs gives a variable for each",
        "gradient",
        _greeks,
        _grid,
        lambda: {
            "dup_da": (("b",), _B),
            "dup_db": (("a",), _A),
            "ddown_deep_da": (("a",), np.exp(_A)),
            "ddown_deep_db": ((), 0.0),
        },
    ),
    Scenario(
        "cotangents by output name",
        "vjp",
        _greeks,
        _grid,
        lambda: {"vjp_a": (("a", "b"), 2 * _B - np.exp(_A)[:, None]), "vjp_b": (("a",), 2 * _A)},
        direction={"up": 2.0, "down_deep": -1.0},
    ),
    Scenario(
        "a container of parameters, held fixed",
        "gradient",
        _tree,
        _tree_sweep,
        lambda: {
            "dchain_dx": ((), 6.0),
            "dchain_dparams_links_0_k": (("x",), 3.0 * _A),
            "dchain_dparams_links_0_c": ((), 3.0),
            "dchain_dparams_links_1_k": (("x",), 2.0 * _A + 1.0),
            "dchain_dparams_links_1_c": ((), 1.0),
        },
    ),
    Scenario(
        "an array argument put together from components",
        "gradient",
        lambda xp: lambda x: x[0] ** 2 * x[1] + x[2],
        lambda: Sweep(x=components(("u", _A), ("w", _B), 1.0)),
        lambda: {
            "df_dx": (
                ("u", "w", "x_0"),
                np.stack(
                    [
                        2 * _A[:, None] * _B,
                        np.broadcast_to(_A[:, None] ** 2, (3, 4)),
                        np.ones((3, 4)),
                    ],
                    axis=-1,
                ),
            )
        },
    ),
    Scenario(
        "an unused argument gives an exact zero without dims",
        "gradient",
        lambda xp: lambda a, b: xp.sin(a),
        _grid,
        lambda: {"df_da": (("a",), np.cos(_A)), "df_db": ((), 0.0)},
    ),
    Scenario(
        "static arguments choose",
        "gradient",
        lambda xp: (
            lambda a, kind, squared: (a**2 if squared else a) * (3.0 if kind == "x" else 1.0)
        ),
        lambda: Sweep(a=_A, kind="x", squared=True),
        lambda: {"df_da": (("a",), 6.0 * _A)},
    ),
    Scenario(
        "float32 in, float32 out",
        "gradient",
        _wave,
        lambda: Sweep(a=_A.astype("float32"), b=2.0),
        lambda: {
            "dwave_da": (("a",), (np.cos(_A.astype("float32")) * np.float32(4))),
            "dwave_db": (
                ("a",),
                (np.sin(_A.astype("float32").astype(float)) * 4 + np.exp(2.0)).astype("float32"),
            ),
        },
        rtol=3e-7,
    ),
    Scenario(
        "NaN and infinity come out as computed",
        "gradient",
        lambda xp: lambda x: x * x,
        lambda: Sweep(x=[1.0, np.nan, np.inf, -np.inf]),
        lambda: {"df_dx": (("x",), np.array([2.0, np.nan, np.inf, -np.inf]))},
    ),
    Scenario(
        "where picks a side at each point",
        "gradient",
        lambda xp: lambda x: xp.where(x > 0, x**2, xp.exp(x)),
        lambda: Sweep(x=_B),
        lambda: {"df_dx": (("x",), np.where(_B > 0, 2 * _B, np.exp(_B)))},
    ),
    Scenario(
        "a swept truth value is an input like another",
        "gradient",
        lambda xp: lambda x, mask: xp.where(mask, x**2, 3.0 * x),
        lambda: Sweep(x=("i", _B), mask=("i", np.array([True, False, False, True]))),
        lambda: {"df_dx": (("i",), np.where([1, 0, 0, 1], 2 * _B, 3.0))},
    ),
    Scenario(
        "an empty sweep is a valid, empty result",
        "gradient",
        lambda xp: lambda x, y: x**2 * y + y**3,
        lambda: Sweep(x=np.array([]), y=_A),
        lambda: {"df_dx": (("x", "y"), np.empty((0, 3))), "df_dy": (("x", "y"), np.empty((0, 3)))},
    ),
    Scenario(
        "swept integers are values",
        "gradient",
        lambda xp: lambda n: n**3,
        lambda: Sweep(n=range(1, 5)),
        lambda: {"df_dn": (("n",), 3.0 * np.arange(1, 5) ** 2)},
    ),
)
