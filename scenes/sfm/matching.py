"""Features and their matches by pycolmap, from prepared images into its database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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


@dataclass(frozen=True)
class Images:
    """What is worked on, and where."""

    prepared: Sequence[Prepared]
    places: Places
    work: Path
    """A folder for pycolmap's database and models."""
    config: Sfm
    threads: int

    @property
    def database(self) -> Path:
        """Pycolmap's."""
        return self.work / "database.db"


def match(images: Images, lenses: Sequence[Lens], features: Count, matching: Count) -> None:
    """Find features and match them, into the images' database.

    Args:
        images: whose folder has no database yet.
        lenses: of all images.
        features: called with how many images are done, of how many.
        matching: called with how many pairs are done, of how many.

    Raises:
        MissingBackend: there is no pycolmap.
        InputError: it gave up.
    """
    library = pycolmap("poses from photographs")
    with quiet_stderr(), told("features"):
        _begin(library, images, lenses)
        _find_features(library, images, features)
    with quiet_stderr(), told("matches"):
        _match(library, images, matching)


def camera_of(library: Any, number: int, lens: Lens) -> Any:
    """A lens as pycolmap has it."""
    return library.Camera(
        camera_id=number,
        model=lens.model,
        width=lens.size[0],
        height=lens.size[1],
        params=list(lens.params),
        has_prior_focal_length=lens.has_prior,
    )


def _begin(library: Any, images: Images, lenses: Sequence[Lens]) -> None:
    """A database of the cameras and images; numbers there begin with 1."""
    with library.Database.open(str(images.database)) as database:
        for number, lens in enumerate(lenses, 1):
            camera = camera_of(library, number, lens)
            database.write_camera(camera, use_camera_id=True)
            rig = library.Rig(rig_id=number)
            rig.add_ref_sensor(camera.sensor_id)
            database.write_rig(rig, use_rig_id=True)
        owner = {i: number for number, lens in enumerate(lenses, 1) for i in lens.images}
        for i, prepared in enumerate(images.prepared):
            image = library.Image(name=prepared.copy, camera_id=owner[i], image_id=i + 1)
            image.frame_id = i + 1
            frame = library.Frame(frame_id=i + 1, rig_id=owner[i])
            frame.add_data_id(image.data_id)
            database.write_frame(frame, use_frame_id=True)
            database.write_image(image, use_image_id=True)


def _find_features(library: Any, images: Images, count: Count) -> None:
    reading = library.ImageReaderOptions()
    if images.config.masks is not None:
        reading.mask_path = str(images.places.copy_masks)
    finding = library.FeatureExtractionOptions()
    finding.num_threads = images.threads
    finding.max_image_size = images.config.feature_side
    finding.sift.max_num_features = images.config.features
    names = [image.copy for image in images.prepared]
    for first in range(0, len(names), FEATURE_BATCH):
        count(first, len(names))
        library.extract_features(
            str(images.database),
            str(images.places.copies),
            image_names=names[first : first + FEATURE_BATCH],
            reader_options=reading,
            extraction_options=finding,
            device=library.Device.cpu,
        )


def _match(library: Any, images: Images, count: Count) -> None:
    with library.Database.open(str(images.database)) as database:
        pairs = choose_pairs(
            len(images.prepared),
            images.config.matching,
            lambda i: np.asarray(database.read_descriptors(i + 1).data, np.float32),
        )
    matching = library.FeatureMatchingOptions()
    matching.num_threads = images.threads
    verifying = library.TwoViewGeometryOptions()
    verifying.ransac.random_seed = SEED
    pairing = library.ImportedPairingOptions()
    pairing.match_list_path = str(images.work / "pairs.txt")
    for first in range(0, len(pairs), MATCH_BATCH):
        count(first, len(pairs))
        _write_pairs(images, pairs[first : first + MATCH_BATCH])
        library.match_image_pairs(
            str(images.database),
            matching_options=matching,
            pairing_options=pairing,
            verification_options=verifying,
            device=library.Device.cpu,
        )


def _write_pairs(images: Images, pairs: Sequence[Pair]) -> None:
    lines = [f"{images.prepared[i].copy} {images.prepared[j].copy}\n" for i, j in pairs]
    (images.work / "pairs.txt").write_text("".join(lines), encoding="utf-8")


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what COLMAP raises into one line."""
    try:
        yield
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:  # its checks raise whatever they like
        raise InputError(
            f"pycolmap to find {what}", one_line(error)[-160:], "check the photographs"
        ) from error
