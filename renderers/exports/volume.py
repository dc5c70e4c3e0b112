"""A model as a grid of densities, with colours if asked: npz, NRRD, or raw with its header."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from polyfield.files import write_whole
from polyfield.ranges import Range
from polyfield.renderers.exports.box import box_of
from polyfield.renderers.exports.source import ROWS, Radiant, Source, Tell
from polyfield.renderers.exports.writing import staged, writing


@dataclass(frozen=True)
class Volume:
    """Densities at the middles of voxels, per unit of length; 0 where nothing is sampled."""

    name: ClassVar[str] = "volume"
    endings: ClassVar[tuple[str, ...]] = (".npz", ".nrrd", ".raw")
    resolution: Annotated[int, Range(2, 2048)] = 256
    """Voxels along the longest edge of the box."""
    colors: bool = False
    """Also write colours, means over six directions: red, green, blue and density (npz: `rgb`)."""
    bounds: tuple[float, float, float, float, float, float] | None = None
    """Box that is exported, xmin ymin zmin xmax ymax zmax, the data's own frame; default the
    scene's."""

    def write(self, source: Source, path: Path, tell: Tell) -> str:
        """Sample and write."""
        model = source.radiant(self.name)
        box = box_of(model, self.bounds)
        cell = float((box[1] - box[0]).max()) / self.resolution
        shape = [max(math.ceil(float(e) / cell - 1e-6), 1) for e in box[1] - box[0]]
        density, rgb = self._sampled(model, box[0], cell, shape, tell)
        values = (
            density[..., None] if rgb is None else np.concatenate([rgb, density[..., None]], -1)
        )
        _WRITERS[path.suffix.lower()](values, box[0].numpy(), cell, path)
        size = " x ".join(map(str, shape))
        return f"{size} voxels of {cell:.4g}, density up to {density.max():.4g}"

    @torch.no_grad()
    def _sampled(
        self, model: Radiant, low: Float64[Tensor, "3"], cell: float, shape: list[int], tell: Tell
    ) -> tuple[Float32[np.ndarray, "x y z"], Float32[np.ndarray, "x y z 3"] | None]:
        """Density, and colours where they are asked for, slab by slab along x."""
        y, z = ((torch.arange(n, dtype=torch.float64) + 0.5) * cell for n in shape[1:])
        density = np.zeros(shape, np.float32)
        rgb = np.zeros((*shape, 3), np.float32) if self.colors else None
        axes = torch.cat([torch.eye(3), -torch.eye(3)])
        for i in range(shape[0]):
            x = low + torch.cartesian_prod(torch.tensor([(i + 0.5) * cell]).double(), y, z)
            parts = []
            for part in x.split(ROWS):
                parts.append(model.density(part.to(model.device)).cpu())
            slab = torch.cat(parts)
            density[i] = slab.view(*shape[1:]).numpy()
            full = slab > 0
            if rgb is not None and bool(full.any()):
                where = x[full].to(model.device)
                seen = [
                    model.ask(where, axis.to(model.device).expand(len(where), 3)).rgb
                    for axis in axes
                ]
                plane = torch.zeros(len(x), 3)
                plane[full] = torch.stack(seen).mean(0).cpu()
                rgb[i] = plane.view(*shape[1:], 3).numpy()
            if (i + 1) % max(shape[0] // 5, 1) == 0:
                tell(f"volume: {i + 1} of {shape[0]} slabs")
        return density, rgb


def _npz(values: np.ndarray, low: Float64[np.ndarray, "3"], cell: float, path: Path) -> None:
    """Arrays by name: density [x, y, z], rgb, the corner and the edge of a voxel."""
    arrays: dict[str, Any] = {
        "density": values[..., -1],
        "origin": low + cell / 2,
        "spacing": np.float64(cell),
    }
    if values.shape[-1] > 1:
        arrays["rgb"] = values[..., :3]
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    _whole(path, file.getvalue())


def _nrrd(values: np.ndarray, low: Float64[np.ndarray, "3"], cell: float, path: Path) -> None:
    """Header and values in one file."""
    header = _header(values, low, cell)
    _whole(path, f"{header}\n".encode() + _fastest_first(values))


def _raw(values: np.ndarray, low: Float64[np.ndarray, "3"], cell: float, path: Path) -> None:
    """Values alone, their header (.nhdr) beside them; both or none."""
    header = _header(values, low, cell) + f"data file: {path.name}\n"
    with staged(path) as folder, writing(path):
        (folder / "raw").write_bytes(_fastest_first(values))
        (folder / "nhdr").write_text(header)
        (folder / "nhdr").replace(path.with_suffix(".nhdr"))
        (folder / "raw").replace(path)


_WRITERS = {".npz": _npz, ".nrrd": _nrrd, ".raw": _raw}


def _whole(path: Path, content: bytes) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda temporary: temporary.write_bytes(content))


def _fastest_first(values: np.ndarray) -> bytes:
    """Components, then x, then y, then z, as NRRD has them."""
    return np.ascontiguousarray(values.transpose(2, 1, 0, 3)).astype("<f4").tobytes()


def _header(values: np.ndarray, low: Float64[np.ndarray, "3"], cell: float) -> str:
    """Source: the NRRD format, teem.sourceforge.net/nrrd/format.html."""
    *shape, components = values.shape
    several = components > 1
    sizes = ([components] if several else []) + shape
    directions = [
        f"({','.join(f'{cell:.9g}' if i == j else '0' for j in range(3))})" for i in range(3)
    ]
    origin = ",".join(f"{value:.12g}" for value in low + cell / 2)
    lines = [
        "NRRD0004",
        "# density per unit of length, in the frame of the data"
        + (", after its colours" * several),
        "type: float",
        f"dimension: {len(sizes)}",
        "space dimension: 3",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {'none ' * several}{' '.join(directions)}",
        f"kinds: {'4-color ' * several}domain domain domain".replace("4-color", "RGBA-color"),
        "endian: little",
        "encoding: raw",
        f"space origin: ({origin})",
    ]
    return "\n".join(lines) + "\n"
