"""Features, matches and incremental mapping by pycolmap, from prepared images to a sparse model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from polyfield.errors import InputError
from polyfield.files import one_line
from polyfield.quiet import quiet_stderr
from polyfield.scenes.sfm.config import Sfm
from polyfield.scenes.sfm.intake import Count, Places, Prepared
from polyfield.scenes.sfm.lenses import Lens
from polyfield.scenes.sfm.library import SEED, pycolmap
from polyfield.scenes.sfm.pairs import Pair, choose_pairs

FEATURE_BATCH, MATCH_BATCH = 8, 250
"""Images and pairs that are worked on between two words of progress."""
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


@dataclass(frozen=True)
class Mapper:
    """pycolmap at work in a folder."""

    images: Sequence[Prepared]
    lenses: Sequence[Lens]
    places: Places
    work: Path
    """A folder for its database and models."""
    config: Sfm
    threads: int

    def run(self, features: Count, matching: Count, mapping: Count) -> Mapped:
        """Find poses.

        Args:
            features: called with how many images are done, of how many.
            matching: called with how many pairs are done, of how many.
            mapping: called with how many images have a pose, of how many.

        Raises:
            MissingBackend: there is no pycolmap.
            InputError: it gave up.
        """
        library = pycolmap("poses from photographs")
        path = self.work / "database.db"
        with quiet_stderr(), _told("features"):
            self._begin(library, path)
            self._find_features(library, path, features)
        with quiet_stderr(), _told("matches"):
            self._match(library, path, matching)
        with quiet_stderr(), _told("poses"):
            models = self._map(library, path, mapping)
            counts = self._counts(library, path)
        models.sort(key=lambda found: -found.num_reg_images())
        model = self._model(models[0]) if models else None
        return Mapped(model, _apart(models), *counts)

    def _begin(self, library: Any, path: Path) -> None:
        """A database of the cameras and images; numbers there begin with 1."""
        with library.Database.open(str(path)) as database:
            for number, lens in enumerate(self.lenses, 1):
                camera = library.Camera(
                    camera_id=number,
                    model=lens.model,
                    width=lens.size[0],
                    height=lens.size[1],
                    params=list(lens.params),
                    has_prior_focal_length=lens.has_prior,
                )
                database.write_camera(camera, use_camera_id=True)
                rig = library.Rig(rig_id=number)
                rig.add_ref_sensor(camera.sensor_id)
                database.write_rig(rig, use_rig_id=True)
            owner = {i: number for number, lens in enumerate(self.lenses, 1) for i in lens.images}
            for i, prepared in enumerate(self.images):
                image = library.Image(name=prepared.copy, camera_id=owner[i], image_id=i + 1)
                image.frame_id = i + 1
                frame = library.Frame(frame_id=i + 1, rig_id=owner[i])
                frame.add_data_id(image.data_id)
                database.write_frame(frame, use_frame_id=True)
                database.write_image(image, use_image_id=True)

    def _find_features(self, library: Any, path: Path, count: Count) -> None:
        reading = library.ImageReaderOptions()
        if self.config.masks is not None:
            reading.mask_path = str(self.places.copy_masks)
        finding = library.FeatureExtractionOptions()
        finding.num_threads = self.threads
        finding.max_image_size = self.config.feature_side
        finding.sift.max_num_features = self.config.features
        names = [image.copy for image in self.images]
        for first in range(0, len(names), FEATURE_BATCH):
            count(first, len(names))
            library.extract_features(
                str(path),
                str(self.places.copies),
                image_names=names[first : first + FEATURE_BATCH],
                reader_options=reading,
                extraction_options=finding,
                device=library.Device.cpu,
            )

    def _match(self, library: Any, path: Path, count: Count) -> None:
        with library.Database.open(str(path)) as database:
            pairs = choose_pairs(
                len(self.images),
                self.config.matching,
                lambda i: np.asarray(database.read_descriptors(i + 1).data, np.float32),
            )
        matching = library.FeatureMatchingOptions()
        matching.num_threads = self.threads
        verifying = library.TwoViewGeometryOptions()
        verifying.ransac.random_seed = SEED
        pairing = library.ImportedPairingOptions()
        pairing.match_list_path = str(self.work / "pairs.txt")
        for first in range(0, len(pairs), MATCH_BATCH):
            count(first, len(pairs))
            self._write_pairs(pairs[first : first + MATCH_BATCH])
            library.match_image_pairs(
                str(path),
                matching_options=matching,
                pairing_options=pairing,
                verification_options=verifying,
                device=library.Device.cpu,
            )

    def _write_pairs(self, pairs: Sequence[Pair]) -> None:
        lines = [f"{self.images[i].copy} {self.images[j].copy}\n" for i, j in pairs]
        (self.work / "pairs.txt").write_text("".join(lines), encoding="utf-8")

    def _map(self, library: Any, path: Path, count: Count) -> list[Any]:
        options = library.IncrementalPipelineOptions()
        options.num_threads = self.threads
        options.random_seed = SEED
        options.extract_colors = True
        options.min_model_size = GROUP
        side = max(max(image.copy_size) for image in self.images)
        error = min(max(side / ERROR_SIDES, LEAST_ERROR), options.mapper.filter_max_reproj_error)
        options.mapper.filter_max_reproj_error = error
        options.triangulation.complete_max_reproj_error = error
        options.triangulation.merge_max_reproj_error = error
        known = {number for number, lens in enumerate(self.lenses, 1) if lens.is_known}
        options.constant_cameras = known
        if len(known) == len(self.lenses):
            options.ba_refine_focal_length = False
            options.ba_refine_extra_params = False
            options.mapper.abs_pose_refine_focal_length = False
            options.mapper.abs_pose_refine_extra_params = False
        placed = [0]

        def further() -> None:
            placed[0] = min(placed[0] + 1, len(self.images))
            count(placed[0], len(self.images))

        target = self.work / "models"
        target.mkdir()
        found = library.incremental_mapping(
            str(path), str(self.places.copies), str(target), options, next_image_callback=further
        )
        return list(found.values())

    def _counts(self, library: Any, path: Path) -> tuple[list[int], list[int]]:
        """Of each image: features, and verified matches with its best partner."""
        matches = [0] * len(self.images)
        with library.Database.open(str(path)) as database:
            features = [database.num_keypoints_for_image(i + 1) for i in range(len(self.images))]
            pairs, inliers = database.read_two_view_geometry_num_inliers()
            for pair, number in zip(pairs, inliers, strict=True):
                for image in library.pair_id_to_image_pair(pair):
                    matches[image - 1] = max(matches[image - 1], int(number))
        return features, matches

    def _model(self, found: Any) -> Model:
        found.update_point_3d_errors()
        views = [self._view(found, image) for image in sorted(found.reg_image_ids())]
        points = list(found.points3D.values())
        return Model(
            views,
            np.array([point.xyz for point in points], np.float64).reshape(-1, 3),
            np.array([point.color for point in points], np.uint8).reshape(-1, 3),
            float(found.compute_mean_reprojection_error()),
            int(found.compute_num_observations()),
        )

    def _view(self, found: Any, image_id: int) -> View:
        image = found.images[image_id]
        prepared = self.images[image_id - 1]
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


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what COLMAP raises into one line."""
    try:
        yield
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:  # its checks raise whatever they like
        raise InputError(
            f"pycolmap to find {what}", one_line(error)[-160:], "check the photographs"
        ) from error
