"""The lenses of many cameras at once, which may be of several models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import MAX_STEPS
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.plane import Direction, PlanePoint

PROBE_ERROR = 1e-5
"""Error in pixels to which a lens is undone on the probe points."""
PROBES = 17
"""Probe points along each side of an image, its edges included."""


@dataclass(frozen=True)
class _Model:
    """A lens model that some cameras have."""

    lens: type[Lens]
    count: int
    """How many coefficients it has."""
    steps: int
    """Newton steps that undo all of them."""
    bent: bool
    """Whether one of them distorts."""

    def unproject(self, point: PlanePoint, table: Tensor, camera: Tensor) -> Direction:
        """Directions that cameras of this model see."""
        k = table[camera, : self.count] if self.bent else None
        return self.lens.unproject(point, k, self.steps)


@dataclass(frozen=True, eq=False)
class LensBatch:
    """Lenses as tensors."""

    models: tuple[_Model, ...]
    """The models that occur, at least one."""
    model: Int64[Tensor, " n"]
    """Of each camera the number of its model."""
    table: Float[Tensor, "n c"]
    """Coefficients of each camera, zeros after its own."""

    @classmethod
    def of(
        cls,
        lenses: Sequence[Lens],
        size: Int64[Tensor, "n 2"],
        focal: Float[Tensor, "n 2"],
        center: Float[Tensor, "n 2"],
    ) -> LensBatch:
        """The lenses of cameras, on the device of their sizes.

        Args:
            lenses: one for each camera.
            size: width and height in pixels.
            focal: in pixels.
            center: column and row of the optical axis.

        Raises:
            InputError: one folds its image over, so that pixels have no single ray.
        """
        kinds = list(dict.fromkeys(type(lens) for lens in lenses)) or [OpenCV]
        rows = [lens.coefficients() for lens in lenses]
        width = max(map(len, rows), default=0)
        table = torch.tensor(
            [[*row, *[0.0] * (width - len(row))] for row in rows], dtype=torch.float32
        ).reshape(len(rows), width)
        model = torch.tensor([kinds.index(type(lens)) for lens in lenses], dtype=torch.int64)
        shapes = torch.cat([size.cpu().double(), focal.cpu().double(), center.cpu().double()], 1)
        models = tuple(
            _model(kind, table[model == i].double(), shapes[model == i])
            for i, kind in enumerate(kinds)
        )
        return cls(models, model.to(size.device), table.to(size.device))

    def unproject(self, point: PlanePoint, camera: Int64[Tensor, " m"]) -> Direction:
        """The directions that cameras see at points of their image planes."""
        if len(self.models) == 1:
            return self.models[0].unproject(point, self.table, camera)
        x, y = point
        found = x.new_empty(3, len(x))
        model = self.model[camera]
        for number, kind in enumerate(self.models):
            (chosen,) = (model == number).nonzero(as_tuple=True)
            seen = kind.unproject((x[chosen], y[chosen]), self.table, camera[chosen])
            found[:, chosen] = torch.stack(seen)
        return found[0], found[1], found[2]


def _model(kind: type[Lens], k: Float[Tensor, "n c"], shapes: Float[Tensor, "n 6"]) -> _Model:
    """A model as these cameras have it.

    Args:
        kind: the model.
        k: coefficients of each camera that has it, and zeros; float64.
        shapes: their size, focal lengths and centre.

    Raises:
        InputError: a lens folds its image over.
    """
    names = [field.name for field in fields(kind)]
    k = k[:, : len(names)]
    bent = bool((k != 0).any())
    if kind.plane.is_flat and not bent:
        return _Model(kind, len(names), 0, False)
    # Shared intrinsics are the usual case: probe each different lens once.
    different = torch.cat([shapes, k], 1).unique(dim=0)
    size, focal, center, k = different.split([2, 2, 2, len(names)], 1)
    unit = torch.linspace(0, 1, PROBES, dtype=torch.float64)
    probes = torch.cartesian_prod(unit, unit)
    plane = (probes * size[:, None] - center[:, None]) / focal[:, None]
    point, tolerance = (plane[..., 0], plane[..., 1]), PROBE_ERROR / focal.amax(1, keepdim=True)
    steps, good = kind.steps_needed(point, k, tolerance)
    if kind.plane.is_flat:
        # Nothing is to be undone, however far from the axis pixels are.
        good = good | (k == 0).all(1)
    if not bool(good.all()):
        worst = k[int((~good).nonzero()[0])].tolist()
        values = " ".join(f"{value:.4g}" for value in worst)
        raise InputError(
            f"a lens {kind.model} that can be undone over the whole image",
            f"{' '.join(names)} = {values}, which folds it over" if names else "one beyond 360x180",
            f"correct the coefficients (looked for {MAX_STEPS} Newton steps)"
            if steps
            else "correct the size or the focal length",
        )
    return _Model(kind, len(names), steps if bent else 0, bent)
