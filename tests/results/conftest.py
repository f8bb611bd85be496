"""A store that is not there yet."""

import itertools
import json
import os
import pickle
import subprocess
import sys
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
import numpy as np
import pytest
import xarray
from gradsweep.cli import main
from gradsweep.errors import MissingPackage, NotAStore, StoreError
from gradsweep.request.partition import Partition
from gradsweep.results.layout import Layout, Variable
from gradsweep.results.stores.netcdf import NetCDFStore
from gradsweep.results.stores.zarr import ZarrStore, opening, show, status, store, unlock, verify
from tests.support.storing import (
    COORDINATES,
    EXPIRY,
    FULL,
    PARTITION,
    SIGMA,
    VARIABLES,
    S,
    complete,
    compute,
    contents,
    layout,
    write_all,
)
from tests.support.stores import RUN, check_values


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "greeks.zarr"
