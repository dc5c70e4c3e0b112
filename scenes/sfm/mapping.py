"""Incremental mapping by pycolmap, from matched images to a sparse model."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from polyfield.quiet import quiet_stderr
from polyfield.scenes.sfm.intake import Count
from polyfield.scenes.sfm.lenses import Lens
from polyfield.scenes.sfm.library import SEED, pycolmap
from polyfield.scenes.sfm.matching import Images, camera_of, told

GROUP = 3
"""Images of the smallest model that counts."""
ERROR_SIDES, LEAST_ERROR = 250.0, 1.5
"""Reprojection errors that are allowed: a 250th of the longer side, no less pixels than this and no
more than COLMAP's own 4, which are meant for large photographs."""
_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""COLMAP's cameras look along +z, y down."""
_FISHEYE = ("k1", "k2", "k3", "k4")
_TERMS: Mapping[str, tuple[str, ...]] = {
    "SIMPLE_PINHOLE": (),
    "PINHOLE": (),
    "SIMPLE_RADIAL": ("k1",),
    "RADIAL": ("k1", "k2"),
    "OPENCV": ("k1", "k2", "p1", "p2"),
    "OPENCV_FISHEYE": _FISHEYE,
}
"""Models of COLMAP -> keys of a transforms.json."""


@dataclass(frozen=True)
class View:
    """An image with its pose and its lens."""

    image: int
    """Its number."""
    pose: Float[np.ndarray, "4 4"]
    """Camera-to-world, OpenGL axes."""
    lens: Mapping[str, float | str]
    """fl_x fl_y cx cy and the terms of distortion, in pixels of the image; camera_model."""


@dataclass(frozen=True)
class Model:
    """What was reconstructed."""

    views: list[View]
    """In the order of the images."""
    points: Float[np.ndarray, "n 3"]
    colors: UInt8[np.ndarray, "n 3"]
    error: float
    """Mean reprojection error, pixels of what features were found in."""
    observations: int
    """How many image points the points were made of."""


@dataclass(frozen=True)
class Mapped:
    """The model, and what is known of the images that are not in it."""

    model: Model | None
    """The one with most images; None where no two images go together."""
    others: list[list[int]]
    """Images of further models, which don't connect to it."""
    features: list[int]
    """Of each image."""
    matches: list[int]
    """Of each image, those with the image it has most with, verified."""

    @property
    def placed(self) -> int:
        """How many images have a pose."""
        return len(self.model.views) if self.model else 0


def solve(images: Images, lenses: Sequence[Lens], count: Count) -> Mapped:
    """Find poses from the matches in the images' database.

    Args:
        images: matched.
        lenses: to begin with; as many as, and of the same images as, those that were matched with.
        count: called with how many images have a pose, of how many.

    Raises:
        InputError: pycolmap gave up.
    """
    library = pycolmap("poses from photographs")
    with quiet_stderr(), told("poses"):
        with library.Database.open(str(images.database)) as database:
            for number, lens in enumerate(lenses, 1):
                database.update_camera(camera_of(library, number, lens))
        models = _map(library, images, lenses, count)
        counts = _counts(library, images)
        models.sort(key=lambda found: -found.num_reg_images())
        model = _model(images, models[0]) if models else None
    return Mapped(model, _apart(models), *counts)


def _map(library: Any, images: Images, lenses: Sequence[Lens], count: Count) -> list[Any]:
    options = library.IncrementalPipelineOptions()
    options.num_threads = images.threads
    options.random_seed = SEED
    options.extract_colors = True
    options.min_model_size = GROUP
    side = max(max(image.copy_size) for image in images.prepared)
    error = min(max(side / ERROR_SIDES, LEAST_ERROR), options.mapper.filter_max_reproj_error)
    options.mapper.filter_max_reproj_error = error
    options.triangulation.complete_max_reproj_error = error
    options.triangulation.merge_max_reproj_error = error
    known = {number for number, lens in enumerate(lenses, 1) if lens.is_known}
    options.constant_cameras = known
    if len(known) == len(lenses):
        options.ba_refine_focal_length = False
        options.ba_refine_extra_params = False
        options.mapper.abs_pose_refine_focal_length = False
        options.mapper.abs_pose_refine_extra_params = False
    placed = [0]

    def further() -> None:
        placed[0] = min(placed[0] + 1, len(images.prepared))
        count(placed[0], len(images.prepared))

    target = tempfile.mkdtemp(dir=images.work)
    found = library.incremental_mapping(
        str(images.database),
        str(images.places.copies),
        target,
        options,
        next_image_callback=further,
    )
    return list(found.values())


def _counts(library: Any, images: Images) -> tuple[list[int], list[int]]:
    """Of each image: features, and verified matches with its best partner."""
    matches = [0] * len(images.prepared)
    with library.Database.open(str(images.database)) as database:
        features = [database.num_keypoints_for_image(i + 1) for i in range(len(images.prepared))]
        pairs, inliers = database.read_two_view_geometry_num_inliers()
        for pair, number in zip(pairs, inliers, strict=True):
            for image in library.pair_id_to_image_pair(pair):
                matches[image - 1] = max(matches[image - 1], int(number))
    return features, matches


def _model(images: Images, found: Any) -> Model:
    found.update_point_3d_errors()
    views = [_view(images, found, image) for image in sorted(found.reg_image_ids())]
    points = list(found.points3D.values())
    return Model(
        views,
        np.array([point.xyz for point in points], np.float64).reshape(-1, 3),
        np.array([point.color for point in points], np.uint8).reshape(-1, 3),
        float(found.compute_mean_reprojection_error()),
        int(found.compute_num_observations()),
    )


def _view(images: Images, found: Any, image_id: int) -> View:
    image = found.images[image_id]
    prepared = images.prepared[image_id - 1]
    inverse = np.eye(4)
    inverse[:3] = image.cam_from_world().inverse().matrix()
    camera = found.cameras[image.camera_id]
    x, y = (to / of for to, of in zip(prepared.size, prepared.copy_size, strict=True))
    model = camera.model.name
    terms = [float(camera.params[i]) for i in camera.extra_params_idxs()]
    lens: dict[str, float | str] = {
        "fl_x": float(camera.focal_length_x) * x,
        "fl_y": float(camera.focal_length_y) * y,
        "cx": float(camera.principal_point_x) * x,
        "cy": float(camera.principal_point_y) * y,
        **dict.fromkeys(_FISHEYE if model == "OPENCV_FISHEYE" else _TERMS["OPENCV"], 0.0),
        **dict(zip(_TERMS[model], terms, strict=True)),
        "camera_model": "OPENCV_FISHEYE" if model == "OPENCV_FISHEYE" else "OPENCV",
    }
    return View(image_id - 1, inverse @ _TO_OPENGL, lens)


def _apart(models: Sequence[Any]) -> list[list[int]]:
    """Of further models, the images that no larger one has, where they are a group by themselves.

    COLMAP begins models that share images with one another, and leaves small ones behind.
    """
    placed: set[int] = set()
    found = []
    for model in models:
        own = {image_id - 1 for image_id in model.reg_image_ids()} - placed
        if placed and len(own) >= GROUP:
            found.append(sorted(own))
        placed |= own
    return found
