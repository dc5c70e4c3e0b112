"""Cameras: a pose and a pinhole with OpenCV distortion; pixels in, rays out.

Poses are camera-to-world in OpenGL axes: x right, y up, the camera looks along -z. Pixel
coordinates are (column, row) with the origin at the image's upper left corner: the centre of the
first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.checks import Pose, check_lens, check_pose
from polyfield.scenes.lens import MAX_STEPS, steps_needed, undistort
from polyfield.scenes.rays import Rays

PROBE_ERROR = 1e-5
"""Error in pixels to which a lens is undone on the probe points."""


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
    distortion: tuple[float, float, float, float]
    """OpenCV's k1, k2, p1, p2."""

    def __init__(
        self,
        pose: Pose,
        width: int,
        height: int,
        fl_x: float,
        fl_y: float,
        cx: float,
        cy: float,
        distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
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
        set_field(self, "distortion", tuple(float(value) for value in distortion))
        check_lens(
            (self.width, self.height),
            (self.fl_x, self.fl_y),
            (self.cx, self.cy),
            self.distortion,
            "a camera",
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
            self.distortion,
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
            self.distortion,
        )

    def rays(self) -> Rays:
        """One ray through every pixel centre, shape [height, width]."""
        return Cameras.stack([self]).view(0)


@dataclass(frozen=True, eq=False)
class Cameras:
    """n views at once, as tensors: what training draws its rays from.

    Rays are float32, whose 24 bits are too few for places on the globe: `poses`, and with them
    rays, models and boxes, are measured from `origin`. One `Camera` is in the user's frame.
    """

    poses: Float[Tensor, "n 4 4"]
    """Camera-to-world, OpenGL axes, measured from `origin`; float32."""
    focal: Float[Tensor, "n 2"]
    """Focal lengths in pixels: horizontal, vertical."""
    center: Float[Tensor, "n 2"]
    """Optical axis in pixels: column, row."""
    size: Int64[Tensor, "n 2"]
    """ImageSignal size in pixels: width, height."""
    distortion: Float[Tensor, "n 4"]
    """OpenCV's k1, k2, p1, p2."""
    near: float = 0.0
    """Smallest t of the rays, world units."""
    far: float = math.inf
    """Largest t of the rays, world units."""
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The point of the user's frame that `poses` are measured from."""
    _table: Float[Tensor, "n 16"] = field(init=False, repr=False)
    """One row per camera (center, 1/focal, rotation, position), so that a step gathers once."""
    _steps: int = field(init=False, repr=False)
    """Newton steps that undo every lens; 0 where none distorts."""

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
        object.__setattr__(self, "_steps", _undistortion_steps(self))

    @classmethod
    def stack(
        cls,
        cameras: Sequence[Camera],
        near: float = 0.0,
        far: float = math.inf,
        origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Cameras:
        """A batch from single cameras; sizes and lenses may differ.

        Args:
            cameras: in the user's frame.
            near: smallest t of the rays, world units.
            far: largest t of the rays, world units.
            origin: the point of the user's frame to measure from: a model's own, to render it.

        Raises:
            InputError: a lens folds the image over, so that pixels have no single ray.
        """
        poses = torch.stack([c.pose for c in cameras]) if cameras else torch.zeros(0, 4, 4)
        poses = poses.double()
        poses[:, :3, 3] -= torch.tensor(origin, dtype=torch.float64)
        return cls(
            poses=poses.float(),
            focal=torch.tensor([[c.fl_x, c.fl_y] for c in cameras]).reshape(-1, 2),
            center=torch.tensor([[c.cx, c.cy] for c in cameras]).reshape(-1, 2),
            size=torch.tensor([[c.width, c.height] for c in cameras], dtype=torch.int64).reshape(
                -1, 2
            ),
            distortion=torch.tensor([c.distortion for c in cameras]).reshape(-1, 4),
            near=near,
            far=far,
            origin=origin,
        )

    def __len__(self) -> int:
        return len(self.poses)

    def __getitem__(self, index: int) -> Camera:
        """One of the views, by its number, in the user's frame."""
        width, height = self.size[index].tolist()
        fl_x, fl_y = self.focal[index].tolist()
        cx, cy = self.center[index].tolist()
        k1, k2, p1, p2 = self.distortion[index].tolist()
        pose = self.poses[index].cpu().double()
        pose[:3, 3] += torch.tensor(self.origin, dtype=torch.float64)
        return Camera(pose, width, height, fl_x, fl_y, cx, cy, (k1, k2, p1, p2))

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras on another device."""
        return Cameras(
            self.poses.to(device),
            self.focal.to(device),
            self.center.to(device),
            self.size.to(device),
            self.distortion.to(device),
            self.near,
            self.far,
            self.origin,
        )

    def rays(self, camera: Int64[Tensor, " m"], pixel: Float[Tensor, "m 2"]) -> Rays:
        """Rays through points of the images.

        Args:
            camera: number of the view of each ray.
            pixel: (column, row) of each ray; pixel centres are at +0.5.

        Returns:
            m rays with unit directions.
        """
        row = self._table[camera]
        plane = (pixel - row[:, 0:2]) * row[:, 2:4]
        x, y = plane.unbind(1)
        if self._steps:
            x, y = undistort(x, y, self.distortion[camera], self._steps)
        # Image rows grow downwards and the camera looks along -z.
        local = torch.stack([x, -y, torch.full_like(x, -1)], dim=1)
        directions = (row[:, 4:13].view(-1, 3, 3) * local[:, None, :]).sum(2)
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


def _undistortion_steps(cameras: Cameras) -> int:
    """Newton steps that undo all lenses, probed on a grid over each image."""
    if not bool((cameras.distortion != 0).any()):
        return 0
    focal, center = cameras.focal.cpu().double(), cameras.center.cpu().double()
    size, distortion = cameras.size.cpu().double(), cameras.distortion.cpu().double()
    # Shared intrinsics are the usual case: probe each different lens once.
    lenses = torch.cat([focal, center, size, distortion], dim=1).unique(dim=0)
    focal, center, size, distortion = lenses.split([2, 2, 2, 4], dim=1)
    unit = torch.linspace(0, 1, 17, dtype=torch.float64)
    probes = torch.cartesian_prod(unit, unit)
    plane = (probes * size[:, None] - center[:, None]) / focal[:, None]
    steps, good = steps_needed(
        plane[..., 0], plane[..., 1], distortion, PROBE_ERROR / focal.amax(1, keepdim=True)
    )
    if not bool(good.all()):
        worst = distortion[int((~good).nonzero()[0])].tolist()
        raise InputError(
            "a lens distortion that can be undone over the whole image",
            "k1 k2 p1 p2 = "
            + " ".join(f"{value:.4g}" for value in worst)
            + ", which folds it over",
            f"correct the coefficients (looked for {MAX_STEPS} Newton steps)",
        )
    return steps
