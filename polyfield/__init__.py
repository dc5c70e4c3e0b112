"""polyfield: fit an image or a scene with a neural field, render it, use it from Python.

    import polyfield

    model = polyfield.fit_scene("path/to/capture", seconds=60, out="runs/mine")
    model = polyfield.load("runs/mine")  # the same, later
    small = polyfield.distill("runs/mine", "mlp", "runs/small")
    pixels = model.render(camera)

Every name is found on first use, so importing this package costs nothing. Nor does it change the
environment: the variables that the command line sets for its threads and its memory are listed in
`polyfield.environment`; a program that shares its cores may set them before it starts.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyfield.apps.check import check as check
    from polyfield.apps.compare import compare as compare
    from polyfield.apps.compiling.warm import warm as warm
    from polyfield.apps.distill import distill as distill
    from polyfield.apps.evaluate import evaluate as evaluate
    from polyfield.apps.export import export as export
    from polyfield.apps.fit import fit as fit
    from polyfield.apps.fit import fit_image as fit_image
    from polyfield.apps.fit import fit_scene as fit_scene
    from polyfield.apps.import_model import import_model as import_model
    from polyfield.apps.process import process as process
    from polyfield.apps.render import render as render
    from polyfield.apps.view import view as view
    from polyfield.errors import InputError as InputError
    from polyfield.scenes.cameras import Camera as Camera
    from polyfield.training.fit import RunOptions as RunOptions
    from polyfield.training.run import load as load

    __version__: str

_HOMES = {
    "Camera": "polyfield.scenes.cameras",
    "InputError": "polyfield.errors",
    "RunOptions": "polyfield.training.fit",
    "check": "polyfield.apps.check",
    "compare": "polyfield.apps.compare",
    "distill": "polyfield.apps.distill",
    "evaluate": "polyfield.apps.evaluate",
    "export": "polyfield.apps.export",
    "fit": "polyfield.apps.fit",
    "fit_image": "polyfield.apps.fit",
    "fit_scene": "polyfield.apps.fit",
    "import_model": "polyfield.apps.import_model",
    "load": "polyfield.training.run",
    "process": "polyfield.apps.process",
    "render": "polyfield.apps.render",
    "view": "polyfield.apps.view",
    "warm": "polyfield.apps.compiling.warm",
}

__all__ = [  # noqa: F822  # found by __getattr__
    "Camera",
    "InputError",
    "RunOptions",
    "__version__",
    "check",
    "compare",
    "distill",
    "evaluate",
    "export",
    "fit",
    "fit_image",
    "fit_scene",
    "import_model",
    "load",
    "process",
    "render",
    "view",
    "warm",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("polyfield")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'polyfield' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
