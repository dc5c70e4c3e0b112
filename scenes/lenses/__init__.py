"""Lens models: one file each. `LensModel` is the list of them."""

from __future__ import annotations

from typing import get_args

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.division import Division
from polyfield.scenes.lenses.equirectangular import Equirectangular
from polyfield.scenes.lenses.eucm import Eucm
from polyfield.scenes.lenses.fov import Fov
from polyfield.scenes.lenses.full_opencv import FullOpenCV
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.opencv_fisheye import OpenCVFisheye
from polyfield.scenes.lenses.rad_tan_thin_prism_fisheye import RadTanThinPrismFisheye
from polyfield.scenes.lenses.thin_prism_fisheye import ThinPrismFisheye

LensModel = (
    OpenCV
    | FullOpenCV
    | OpenCVFisheye
    | ThinPrismFisheye
    | RadTanThinPrismFisheye
    | Fov
    | Division
    | Eucm
    | Equirectangular
)
"""Every lens model."""
LENSES: dict[str, type[Lens]] = {lens.model: lens for lens in get_args(LensModel)}
"""Each by its name in files."""
