"""Pictures of what networks and kernels do: matplotlib's axes in and out, nothing is shown.

Needs the extra `plots`. Not here: graphs of computations (`kedja/ir/show.py`). Next: `figures.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedja.ground import lazy

if TYPE_CHECKING:
    from kedja.views.boards import plot_board
    from kedja.views.boundaries import compare_boundaries, plot_boundaries
    from kedja.views.codes import plot_codes
    from kedja.views.forecasts import plot_forecast
    from kedja.views.kernel_matrix import plot_kernel_matrix
    from kedja.views.matches import plot_chosen, plot_found
    from kedja.views.pictures import (
        plot_filters,
        plot_ideals,
        plot_looking,
        plot_maps,
        plot_reconstruction,
    )
    from kedja.views.planes import flat
    from kedja.views.surfaces import plot_surface

__all__ = [
    "compare_boundaries",
    "flat",
    "plot_board",
    "plot_boundaries",
    "plot_chosen",
    "plot_codes",
    "plot_filters",
    "plot_forecast",
    "plot_found",
    "plot_ideals",
    "plot_kernel_matrix",
    "plot_looking",
    "plot_maps",
    "plot_reconstruction",
    "plot_surface",
]

_FILES = {
    "boards": "plot_board",
    "boundaries": "compare_boundaries plot_boundaries",
    "planes": "flat",
    "surfaces": "plot_surface",
    "forecasts": "plot_forecast",
    "matches": "plot_chosen plot_found",
    "kernel_matrix": "plot_kernel_matrix",
    "codes": "plot_codes",
    "pictures": "plot_filters plot_ideals plot_looking plot_maps plot_reconstruction",
}
__getattr__ = lazy.names("kedja.views", _FILES)
