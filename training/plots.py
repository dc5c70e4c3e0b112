"""Pages for plots: matplotlib without a screen, its own lines kept off the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyfield.files import write_whole
from polyfield.quiet import quiet_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def page(width: float, height: float) -> tuple[Figure, Any]:
    """A figure of so many inches, and its axes."""
    with quiet_log("matplotlib"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.add_subplot()


def save_page(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""

    def write(temporary: Path) -> None:
        with quiet_log("matplotlib"):
            figure.savefig(temporary, format="png")

    write_whole(path, write)
