"""The documentation site: Sphinx with MyST notebooks, whose code is run when it is built.

The pages of this folder enter; a site leaves. Nothing is fetched from the network.
"""

import os
from pathlib import Path

from gradsweep import __version__

ROOT = Path(__file__).parent.parent

project = "gradsweep"
author = "the gradsweep authors"
project_copyright = "the gradsweep authors, Apache-2.0"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
# The tables of a run are a part of the page on benchmarks.
exclude_patterns = ["_build", "benchmarks/page.md"]
nitpicky = True
# Without the network, what other projects document has nothing to link to.
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|np|xarray|collections|typing|argparse)\..*"),
    ("py:class", r"Iterable|optional"),
]

# -- Code that is run -----------------------------------------------------------------------------

nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
# Whatever a page prints to stderr is a warning of the build, which -W makes an error.
nb_output_stderr = "remove-warn"
nb_merge_streams = True
# So that a table made by code may refer to the pages.
nb_render_markdown_format = "myst"

# Pages import `examples` from the checkout, and read one style.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)
os.environ["MATPLOTLIBRC"] = str(ROOT / "docs" / "matplotlibrc")
os.environ["JAX_PLATFORMS"] = "cpu"

# -- MyST and docstrings --------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Quotes in prose are code more often than speech.
smartquotes_action = "De"
# In docstrings a name in backquotes is code.
default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_use_rtype = False

# -- HTML -----------------------------------------------------------------------------------------

html_theme = "furo"
html_title = "gradsweep"
html_static_path = ["_static"]
html_css_files = ["gradsweep.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"
