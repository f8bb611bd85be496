"""The errors and warnings of gradsweep, for those who catch them."""

from gradsweep.support.errors import *  # noqa: F403
from gradsweep.support.errors import __all__ as __all__
