"""THE list of what a model can be taken away as."""

from __future__ import annotations

from pathlib import Path

from polyfield.errors import InputError, shown
from polyfield.renderers.exports.mesh import Mesh
from polyfield.renderers.exports.onnx_graph import Onnx
from polyfield.renderers.exports.points import Points
from polyfield.renderers.exports.splats import Splats
from polyfield.renderers.exports.views import Images
from polyfield.renderers.exports.volume import Volume
from polyfield.renderers.exports.web import Web
from polyfield.renderers.exports.writing import check_place

ModelExport = Mesh | Web | Points | Splats | Volume | Images | Onnx

EXPORTS: dict[str, type[ModelExport]] = {
    export.name: export for export in (Mesh, Web, Points, Splats, Volume, Images, Onnx)
}


def export_named(name: str) -> type[ModelExport]:
    """The export of that name.

    Raises:
        InputError: there is none.
    """
    if name not in EXPORTS:
        raise InputError(f"--to one of {', '.join(EXPORTS)}", repr(name), "pick one of them")
    return EXPORTS[name]


def check_target(export: ModelExport, path: Path, overwrite: bool) -> None:
    """Raise before any work if an export can't be written there.

    Raises:
        InputError: another ending, a folder for a file, or something there already.
    """
    check_place(path, overwrite)
    if not export.endings:
        if path.exists() and not path.is_dir():
            raise InputError(
                f"a folder for --to {export.name}", f"the file {shown(path)}", "choose another"
            )
        return
    if path.suffix.lower() not in export.endings:
        raise InputError(
            f"--out of --to {export.name} that ends with {', '.join(export.endings)}",
            shown(path),
            f"for instance {path.stem or export.name}{export.endings[0]}",
        )
    if path.is_dir():
        raise InputError("a file for --out", f"the folder {shown(path)}", "choose another")
