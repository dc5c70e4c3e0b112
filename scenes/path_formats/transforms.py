"""Our own form of a camera path: frames as in transforms.json."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, ClassVar

from polyfield.errors import InputError
from polyfield.scenes.camera_json import LENS_KEYS, camera_object, read_camera
from polyfield.scenes.lens_keys import OTHER_LENS
from polyfield.scenes.path_formats.source import (
    CameraPath,
    Keys,
    Source,
    list_of_objects,
    rate,
    unknown_keys,
    words,
)


@dataclass(frozen=True)
class TransformsPath:
    """A list "frames" of objects with a transform_matrix; a capture's own file is one too.

    Poses are camera-to-world in OpenGL axes and in the data's units. Size and lens are the frame's,
    else the file's, else the run's; lengths in pixels need w and h beside them.
    """

    name: ClassVar[str] = "transforms"
    """What it is called where one is written."""
    looks_for: ClassVar[str] = '"frames" as in transforms.json'
    keys: ClassVar[Keys] = Keys(
        read=frozenset(LENS_KEYS) | words("frames transform_matrix fps"),
        refused=OTHER_LENS,
        passed_over=words(
            # What a capture says about its images and its place.
            "about file_path image_path mask_path depth_file_path depth_path sharpness colmap_im_id"
            " aabb aabb_scale scale offset up from_mitsuba enable_depth_loading integer_depth_scale"
            " applied_transform applied_scale ply_file_path orientation_override auto_scale_poses"
            " train_filenames val_filenames test_filenames white_transparent black_transparent"
            " rotation time name images keyframes n_extra_learnable_dims enable_ray_loading"
            " fix_premult"
        ),
    )

    def found_in(self, content: Any) -> bool:
        """Whether the content is of this form."""
        return isinstance(content, dict) and "frames" in content

    def read(self, content: dict[str, Any], source: Source) -> CameraPath:
        """The views, in the file's order.

        Raises:
            InputError: a pose or lens that is impossible, or of a kind we don't have.
        """
        path = source.path
        frames = list_of_objects(content, "frames", path)
        shared = {key: value for key, value in content.items() if key != "frames"}
        cameras = [
            read_camera(frame, shared, f"frame {i} of {path}", source.lens)
            for i, frame in enumerate(frames)
        ]
        keys: list[Any] = []
        # They are for editors: whatever else stands there, the path is what its frames say.
        with contextlib.suppress(InputError):
            if "keyframes" in content:
                entries = list_of_objects(content, "keyframes", path)
                keys = [read_camera(e, {}, f"a key frame of {path}", source.lens) for e in entries]
        return CameraPath(
            cameras,
            rate(content, path),
            unknown_keys(self.keys, (content, *frames), path),
            tuple(keys),
        )

    def written(self, found: CameraPath, source: Source) -> tuple[dict[str, Any], tuple[str, ...]]:
        """A path in the data's own frame, lenses and all; there is nothing that it can't say."""
        rate_of_path = {} if found.fps is None else {"fps": found.fps}
        frames = [camera_object(camera) for camera in found.cameras]
        keys = [camera_object(camera) for camera in found.keys]
        return {**rate_of_path, **({"keyframes": keys} if keys else {}), "frames": frames}, ()
