"""The errors a user meets.

Each message says what was asked, what was found and what to do next.
Knows nothing of the rest of the package.
"""

import difflib
import sys
import warnings
from collections.abc import Iterable

__all__ = [
    "ArgumentError",
    "BranchError",
    "ClusterError",
    "DerivativeError",
    "EngineError",
    "GradsweepError",
    "GradsweepWarning",
    "MemoryLimitError",
    "MissingPackage",
    "MissingRule",
    "NotAProgram",
    "NotAStore",
    "OutputError",
    "StatefulFunction",
    "StoreError",
    "SweepError",
    "UntraceableError",
    "nearest",
    "require",
    "warn",
]


class GradsweepError(Exception):
    """Base of every error that gradsweep raises on purpose."""


class SweepError(GradsweepError, ValueError):
    """A value in a Sweep, a tangent or a cotangent has the wrong form or shape."""


class ArgumentError(GradsweepError, TypeError):
    """A name in a Sweep, in `wrt` or among the options is unknown, or does not fit the others."""


class OutputError(GradsweepError, TypeError):
    """The function returns something this quantity is not defined for."""


class BranchError(GradsweepError, ValueError):
    """A Python branch on a value that is swept cannot be followed."""


class StatefulFunction(GradsweepError, ValueError):
    """The function does not return the same thing for the same arguments."""


class EngineError(GradsweepError, ValueError):
    """The engine asked for cannot run this function."""


class DerivativeError(GradsweepError, ValueError):
    """A derivative ends where the function has one, or the framework has no rule for it."""


class MissingRule(DerivativeError):
    """A framework has no derivative in one mode. Caught: another mode may have it."""


class UntraceableError(GradsweepError, ValueError):
    """The function gives a traced value to code that needs the numbers themselves."""


class MemoryLimitError(GradsweepError, MemoryError):
    """A request does not fit into the memory that it may take."""


class StoreError(GradsweepError, OSError):
    """A store cannot be written, continued, read or trusted."""


class ClusterError(GradsweepError, RuntimeError):
    """A cluster cannot be reached, or cannot compute what it was given."""


class NotAStore(StoreError):
    """There is nothing at a path, or something that is no store of gradsweep."""


class NotAProgram(GradsweepError):
    """A derivative cannot be written as a Program. Caught: it runs on its own framework."""


class TooLong(NotAProgram):
    """A derivative would take more equations than a Program may have."""


class GradsweepWarning(UserWarning):
    """What gradsweep does is right but not what was hoped for."""


class MissingPackage(GradsweepError, ImportError):
    """An optional package is needed and not installed."""


# The line that installs a module with one of gradsweep's extras.
_INSTALL_LINES = {
    "torch": "pip install 'gradsweep[torch]'",
    "jax": "pip install 'gradsweep[jax]'",
    "zarr": "pip install 'gradsweep[zarr]'",
    "numcodecs": "pip install 'gradsweep[zarr]'",
    "netCDF4": "pip install 'gradsweep[netcdf]'",
    "mpmath": "pip install 'gradsweep[check]'",
    "pyarrow": "pip install 'gradsweep[parquet]'",
    "distributed": "pip install 'gradsweep[dask]'",
    "crick": "pip install 'gradsweep[quantile]'",
    "matplotlib": "pip install 'gradsweep[plot]'",
    "rich": "pip install 'gradsweep[cli]'",
    "hypothesis": "pip install 'gradsweep[test]'",
}


def require(module: str, purpose: str):
    """Import an optional module, or fail with the line that installs it.

    Args:
        module: the name to import, such as "jax".
        purpose: what needs it, as the subject of a sentence: "tracing price".

    Raises:
        MissingPackage: when it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        line = _INSTALL_LINES.get(module.split(".")[0], f"pip install {module}")
        raise MissingPackage(
            f"{purpose} needs {module}, which is not installed.\n{line}", name=module
        ) from None


def nearest(name: object, names: Iterable[str]) -> str:
    """Return " Did you mean 'x'?", or nothing when no name is close."""
    if not isinstance(name, str):
        return ""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def warn(message: str) -> None:
    """Warn of something, at the line outside gradsweep that led to it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "gradsweep":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, GradsweepWarning, stacklevel=level)


# They are known by the name that users import them from: in tracebacks, filters and pickles.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = "gradsweep.errors"
