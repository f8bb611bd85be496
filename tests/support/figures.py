"""Datasets to draw, and the parts of a figure that tests read."""

import numpy as np
import xarray


def dataset(quantity="gradient", axes="", coords=None, **variables) -> xarray.Dataset:
    """Label arrays as a quantity does: name=(dims, values, "of", "wrt", its number of dims)."""
    made = {}
    for name, (dims, values, of, wrt, ndim, *units) in variables.items():
        keys = wrt.split()
        long_name = of if not keys else f"∂{of}/{''.join('∂' + key for key in keys)}"
        if quantity == "contributions":
            long_name += " · v"
        attrs = {"long_name": long_name, "of": of}
        if keys:
            attrs |= {"wrt": wrt, "wrt_ndim": ndim}
        if units:
            attrs["units"] = units[0]
        made[name] = (tuple(dims.split()), values, attrs)
    return xarray.Dataset(made, coords or {}, {"axes": axes, "quantity": quantity})


SPOTS = np.linspace(50.0, 150.0, 21)
SIGMAS = np.linspace(0.1, 0.5, 9)


def ladder(values=None) -> xarray.Dataset:
    values = np.sin(SPOTS) if values is None else values
    return dataset(
        axes="S",
        coords={"S": ("S", SPOTS, {"units": "GBP", "long_name": "spot"}), "K": 100.0},
        price=("S", SPOTS**2, "price", "", "", "USD"),
        dprice_dS=("S", values, "price", "S", "0", "USD/GBP"),
        dprice_dK=("", 3.0, "price", "K", "0"),
    )


def grid(n=9) -> xarray.Dataset:
    return dataset(
        axes="S sigma",
        coords={"S": SPOTS, "sigma": SIGMAS[:n]},
        dprice_dS=("S sigma", np.outer(SPOTS, SIGMAS[:n]), "price", "S", "0"),
        dprice_dsigma=("S", SPOTS - 100, "price", "sigma", "0"),
    )


def jacobian(dims="t ", n=(30,), coords=None) -> xarray.Dataset:
    J = np.arange(float(np.prod(n) * 6)).reshape(*n, 2, 3)
    return dataset(
        "jacobian",
        dims.strip(),
        coords if coords is not None else {"t": np.arange(30.0)},
        darm_dq=(f"{dims}arm_0 q_0", J, "arm", "q", "1"),
    )


def sample(n=64) -> xarray.Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(2, n))
    return dataset(
        axes="point",
        coords={"x": ("point", x), "y": ("point", y)},
        f=("point", x * y, "f", "", ""),
        df_dx=("point", y, "f", "x", "0"),
        df_dy=("point", x, "f", "y", "0"),
    )


def panels(figure):
    """Return the panels of a figure by title, without colour bars."""
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def words(figure) -> str:
    """Return the text at the top and at the bottom of a figure."""
    return " ".join((figure.get_suptitle() + " " + figure.get_supxlabel()).split())
