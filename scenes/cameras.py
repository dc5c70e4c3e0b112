"""Cameras: a pose, an image size and a lens; pixels in, rays out.

Poses are camera-to-world in OpenGL axes: x right, y up, the camera looks along -z. Pixel
coordinates are (column, row) with the origin at the image's upper left corner: the centre of the
first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from polyfield.scenes.checks import Pose, check_lens, check_pose
from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.batch import LensBatch
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.rays import Rays
from polyfield.scenes.similarity import IDENTITY, Similarity

PINHOLE = OpenCV()
"""A perspective lens without distortion."""


@dataclass(frozen=True, eq=False, init=False)
class Camera:
    """One view: a pose, an image size and a lens."""

    pose: Float[Tensor, "4 4"]
    """Camera-to-world, OpenGL axes, the user's frame and units; float64, since that may be UTM."""
    width: int
    """ImageSignal width in pixels."""
    height: int
    """ImageSignal height in pixels."""
    fl_x: float
    """Horizontal focal length in pixels."""
    fl_y: float
    """Vertical focal length in pixels."""
    cx: float
    """Column of the optical axis in pixels, from the left edge."""
    cy: float
    """Row of the optical axis in pixels, from the upper edge."""
    lens: Lens
    """Its model and distortion."""

    def __init__(
        self,
        pose: Pose,
        width: int,
        height: int,
        fl_x: float,
        fl_y: float,
        cx: float,
        cy: float,
        lens: Lens = PINHOLE,
    ) -> None:
        """Check and keep the values.

        Raises:
            InputError: the pose is not a 4x4 or 3x4 rigid motion, or the lens is impossible.
        """
        set_field = object.__setattr__  # the dataclass is frozen
        set_field(self, "pose", check_pose(pose, "a camera"))
        set_field(self, "width", int(width))
        set_field(self, "height", int(height))
        set_field(self, "fl_x", float(fl_x))
        set_field(self, "fl_y", float(fl_y))
        set_field(self, "cx", float(cx))
        set_field(self, "cy", float(cy))
        set_field(self, "lens", lens)
        check_lens(
            (self.width, self.height), (self.fl_x, self.fl_y), (self.cx, self.cy), lens, "a camera"
        )

    def resized(self, width: int, height: int) -> Camera:
        """The same view at another image size; the intrinsics scale along."""
        x, y = width / self.width, height / self.height
        return Camera(
            self.pose,
            width,
            height,
            self.fl_x * x,
            self.fl_y * y,
            self.cx * x,
            self.cy * y,
            self.lens,
        )

    def reduced(self, factor: int) -> Camera:
        """The view after a mean over `factor` x `factor` blocks, with the remainder cropped."""
        width, height = self.width // factor, self.height // factor
        return Camera(
            self.pose,
            width,
            height,
            self.fl_x / factor,
            self.fl_y / factor,
            self.cx / factor,
            self.cy / factor,
            self.lens,
        )

    def rays(self) -> Rays:
        """One ray through every pixel centre, shape [height, width]."""
        return Cameras.stack([self]).view(0)


@dataclass(frozen=True, eq=False)
class Cameras:
    """n views at once, as tensors: what training draws its rays from.

    Rays are float32, whose 24 bits are too few for places on the globe: `poses`, and with them
    rays, models and boxes, are in `frame`. One `Camera` is in the user's.
    """

    poses: Float[Tensor, "n 4 4"]
    """Camera-to-world, OpenGL axes, positions in `frame`; float32."""
    focal: Float[Tensor, "n 2"]
    """Focal lengths in pixels: horizontal, vertical."""
    center: Float[Tensor, "n 2"]
    """Optical axis in pixels: column, row."""
    size: Int64[Tensor, "n 2"]
    """ImageSignal size in pixels: width, height."""
    lenses: tuple[Lens, ...]
    """One for each view; they may be of several models."""
    near: float = 0.0
    """Smallest t of the rays, lengths of `frame`."""
    far: float = math.inf
    """Largest t of the rays, lengths of `frame`."""
    frame: Similarity = IDENTITY
    """What takes the user's frame to the one that `poses` are in."""
    times: tuple[float, ...] | None = None
    """When each view was taken, where the data says so."""
    _table: Float[Tensor, "n 16"] = field(init=False, repr=False)
    """One row per camera (center, 1/focal, rotation, position), so that a step gathers once."""
    _lens: LensBatch = field(init=False, repr=False)
    """The lenses as tensors."""

    def __post_init__(self) -> None:
        table = torch.cat(
            [
                self.center,
                1 / self.focal,
                self.poses[:, :3, :3].reshape(-1, 9),
                self.poses[:, :3, 3],
            ],
            dim=1,
        )
        object.__setattr__(self, "_table", table)
        lens = LensBatch.of(self.lenses, self.size, self.focal, self.center)
        object.__setattr__(self, "_lens", lens)

    @property
    def coefficients(self) -> Float[Tensor, "n c"]:
        """Those of each view's lens, zeros after its own."""
        return self._lens.table

    @property
    def user_poses(self) -> Float64[Tensor, "n 4 4"]:
        """Camera-to-world, OpenGL axes, the user's frame and units."""
        poses = self.poses.double()
        poses[:, :3, 3] = self.frame.users(poses[:, :3, 3])
        return poses

    @property
    def see_all_round(self) -> bool:
        """Whether most are panoramas, whose optical axes mean nothing."""
        return 2 * sum(not lens.plane.has_axis for lens in self.lenses) > len(self.lenses)

    def pinhole_focal(self) -> Float[Tensor, "n 2"]:
        """Focal lengths of pinholes in their place: see `pinhole_scale`."""
        extents = (self.size / self.focal).amax(1).tolist()
        scale = [pinhole_scale(*pair) for pair in zip(self.lenses, extents, strict=True)]
        return self.focal * self.focal.new_tensor(scale)[:, None]

    @classmethod
    def stack(
        cls,
        cameras: Sequence[Camera],
        near: float = 0.0,
        far: float = math.inf,
        frame: Similarity = IDENTITY,
        times: tuple[float, ...] | None = None,
    ) -> Cameras:
        """A batch from single cameras; sizes and lenses may differ.

        Args:
            cameras: in the user's frame.
            near: smallest t of the rays, lengths of `frame`.
            far: largest t of the rays, lengths of `frame`.
            frame: what takes the user's frame to that of the rays: a model's own, to render it.
            times: of each view.

        Raises:
            InputError: a lens folds the image over, so that pixels have no single ray.
        """
        poses = torch.stack([c.pose for c in cameras]) if cameras else torch.zeros(0, 4, 4)
        poses = poses.double()
        poses[:, :3, 3] = frame.normalised(poses[:, :3, 3])
        return cls(
            poses=poses.float(),
            focal=torch.tensor([[c.fl_x, c.fl_y] for c in cameras]).reshape(-1, 2),
            center=torch.tensor([[c.cx, c.cy] for c in cameras]).reshape(-1, 2),
            size=torch.tensor([[c.width, c.height] for c in cameras], dtype=torch.int64).reshape(
                -1, 2
            ),
            lenses=tuple(c.lens for c in cameras),
            near=near,
            far=far,
            frame=frame,
            times=times,
        )

    def __len__(self) -> int:
        return len(self.poses)

    def __getitem__(self, index: int) -> Camera:
        """One of the views, by its number, in the user's frame."""
        width, height = self.size[index].tolist()
        fl_x, fl_y = self.focal[index].tolist()
        cx, cy = self.center[index].tolist()
        pose = self.poses[index].cpu().double()
        pose[:3, 3] = self.frame.users(pose[:3, 3])
        return Camera(pose, width, height, fl_x, fl_y, cx, cy, self.lenses[index])

    def in_frame(self, frame: Similarity) -> Cameras:
        """The same cameras with poses and rays in another frame."""
        poses = self.user_poses
        poses[:, :3, 3] = frame.normalised(poses[:, :3, 3])
        stretch = frame.scale / self.frame.scale
        return replace(
            self, poses=poses.float(), near=self.near * stretch, far=self.far * stretch, frame=frame
        )

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras on another device."""
        return Cameras(
            self.poses.to(device),
            self.focal.to(device),
            self.center.to(device),
            self.size.to(device),
            self.lenses,
            self.near,
            self.far,
            self.frame,
            self.times,
        )

    def rays(self, camera: Int64[Tensor, " m"], pixel: Float[Tensor, "m 2"]) -> Rays:
        """Rays through points of the images.

        Args:
            camera: number of the view of each ray.
            pixel: (column, row) of each ray; pixel centres are at +0.5.

        Returns:
            m rays with unit directions.
        """
        row = self._table.index_select(0, camera)
        plane = (pixel - row[:, 0:2]) * row[:, 2:4]
        x, y, z = self._lens.unproject((plane[:, 0], plane[:, 1]), camera)
        # Image rows grow downwards and the camera looks along -z.
        right, up, back = row[:, 4:13].view(-1, 3, 3).unbind(2)
        directions = right * x[:, None]
        directions = torch.addcmul(directions, up, y[:, None], value=-1)
        directions = torch.addcmul(directions, back, z[:, None], value=-1)
        directions = directions * directions.square().sum(1, keepdim=True).rsqrt()
        return Rays(
            row[:, 13:16],
            directions,
            torch.full_like(x, self.near),
            torch.full_like(x, self.far),
            camera,
        )

    def view(self, index: int) -> Rays:
        """One ray through every pixel centre of a view, shape [height, width]."""
        width, height = self.size[index].tolist()
        device = self.poses.device
        rows, columns = torch.meshgrid(
            torch.arange(height, device=device) + 0.5,
            torch.arange(width, device=device) + 0.5,
            indexing="ij",
        )
        pixel = torch.stack([columns, rows], dim=-1).reshape(-1, 2)
        camera = torch.full((len(pixel),), index, dtype=torch.int64, device=device)
        rays = self.rays(camera, pixel)
        return Rays(
            rays.origins.reshape(height, width, 3),
            rays.directions.reshape(height, width, 3),
            rays.near.reshape(height, width),
            rays.far.reshape(height, width),
            rays.camera.reshape(height, width),
        )


def pinhole_scale(lens: Lens, extent: float) -> float:
    """What the focal length of a pinhole in a lens's place is multiplied by.

    1 for a perspective lens; others may see so much that a pinhole has to see less: at most 90
    degrees.

    Args:
        lens: the lens.
        extent: the wider side of its image in focal lengths.
    """
    return 1.0 if lens.plane.is_flat else max(1.0, extent / 2)
