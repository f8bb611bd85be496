"""A figure that a notebook shows, without pyplot and its list of open figures.

Imports matplotlib, so it is imported where a figure is made.
"""

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["NotebookFigure"]


class NotebookFigure(Figure):
    """A matplotlib Figure that pyplot does not know, and that IPython shows as an image."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        image = BytesIO()
        self.savefig(image, format="png", bbox_inches="tight")
        return image.getvalue()
