"""A radiance field in the frame of its capture, how it is rendered, and what its file says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from polyfield.config import TAGGED, to_tree
from polyfield.encodings.domain import domain
from polyfield.fields import BakedConfig, RadianceFieldConfig
from polyfield.fields.base import RadianceField, RadianceSample, Size
from polyfield.renderers.corrections import Corrections
from polyfield.renderers.graph import Graph
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.distortion import distortion
from polyfield.renderers.model import REHEARSED, Model
from polyfield.renderers.nerfacc import NerfaccGrid
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.proposals.sampler import Proposals
from polyfield.renderers.renderer import VolumeRenderer
from polyfield.renderers.samplers import Uniform, cell_of
from polyfield.renderers.seen_cells import LEAST, shares
from polyfield.renderers.seen_field import SeenField
from polyfield.renderers.volume import RenderOutput, composite
from polyfield.scenes.base import ColorSpace
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.rays import Rays
from polyfield.scenes.similarity import IDENTITY, Similarity

SamplerConfig = NerfaccGrid | OccupancyGrid | Proposals | Uniform
"""THE list of samplers."""

TaggedRadiance = Annotated[RadianceFieldConfig, TAGGED]
TaggedSampler = Annotated[SamplerConfig, TAGGED]

NO_CORRECTIONS = Corrections()
"""Nothing is learned beside the field."""
STEPS, MOST_CELLS, MOST_SAMPLES = 512, 256, 1 << 14
"""Of a baked model: steps where the sampler has none, cells of its grid, samples on a ray."""


@dataclass(frozen=True)
class SceneInfo:
    """What the data decides about a radiance model."""

    bounds: Float[Tensor, "2 3"]
    """Box of the scene, in `frame`."""
    unbounded: bool
    """Whether there is something outside."""
    color_space: ColorSpace
    """Of the colours."""
    background: tuple[float, float, float]
    """What lies behind everything, in that colour space."""
    frame: Similarity = IDENTITY
    """What takes the user's frame to that of the field's coordinates."""
    images: int = 0
    """Training images: what is learned of each of them is numbered as they are."""


class RadianceModel(Model):
    """A radiance field and how to render it."""

    kind = "scene"
    field: RadianceField

    def __init__(
        self,
        field: RadianceFieldConfig,
        sampler: SamplerConfig,
        info: SceneInfo,
        corrections: Corrections = NO_CORRECTIONS,
    ) -> None:
        """A fresh model."""
        super().__init__()
        self.configs = (field, sampler, corrections)
        self.info, self.bounds = info, info.bounds
        if not info.frame.is_identity:
            self.bounds = info.frame.users(info.bounds)
        self.field = field.build(domain(info.bounds, info.unbounded))
        self.renderer = VolumeRenderer(sampler.build(domain(info.bounds, info.unbounded)))
        self.corrections = corrections.build(info.images, self.field.domain.length)

    @property
    def frame(self) -> Similarity:
        """What takes the user's frame to that of the field's coordinates, and of rays."""
        return self.info.frame

    @property
    def color_space(self) -> ColorSpace:
        """Of the colours."""
        return self.info.color_space

    @property
    def background(self) -> Float[Tensor, "3"]:
        """Colour behind everything, on the CPU."""
        return torch.tensor(self.info.background)

    def size(self) -> Size:
        """Trainable and stored values, those of the sampler's grid included."""
        grid = sum(tensor.numel() for tensor in self.renderer.sampler.state_dict().values())
        field = self.field.size()
        return Size(field.trainable, field.stored + grid)

    def rehearsals(self) -> tuple[Callable[[], object], ...]:
        """The field forth and back, the sampler as in training, then what is blended and drawn."""
        n, low, high = REHEARSED, *self.info.bounds
        origins = low + torch.rand(n, 3) * (high - low)
        directions = functional.normalize(torch.randn(n, 3), dim=-1)
        spans = torch.zeros(n), torch.full((n,), float((high - low).max()))
        rays = Rays(origins, directions, *spans, torch.zeros(n, dtype=torch.int64))

        def learn() -> None:
            sample = self.field(origins, directions)
            (sample.composited.sum() + sample.density.sum()).backward()

        def reach() -> None:
            self.renderer.sampler(rays, self.field.probe(), torch.Generator().manual_seed(0))

        def blend() -> None:
            edges = torch.arange(n + 1)
            each = Intervals(edges, torch.zeros(n), torch.ones(n))
            density = torch.ones(n, requires_grad=True)
            seen = composite(torch.rand(n, 3), density, each)
            spread = distortion(density, each.start, each.end, edges, 1.0)
            (seen.opacity.sum() + spread).backward()

        return learn, reach, blend, lambda: self.render_rays(rays)

    def ask(self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]) -> RadianceSample:
        """Density and colour of points.

        Args:
            x: in the user's frame; float64 far from its zero. The field itself is in `frame`.
            directions: unit vectors.

        Returns:
            With densities per length of the user's.
        """
        found: RadianceSample = self.field(self.frame.normalised(x).float(), directions)
        return replace(found, density=found.density * self.frame.scale)

    @torch.no_grad()
    def density(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Density of points of the user's frame, per its length; 0 where nothing is sampled."""
        place = self.frame.normalised(x).float()
        flat = place.reshape(-1, 3)
        near = self.renderer.sampler.is_near_occupied(flat)
        found = torch.zeros_like(flat[:, 0])
        if bool(near.any()):
            found[near] = self.field.density(flat[near]) * self.frame.scale
        return found.view(place.shape[:-1])

    def is_occupied(self, x: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
        """Whether there may be something at points of the user's frame, or next to them."""
        return self.renderer.sampler.is_near_occupied(self.frame.normalised(x).float())

    @property
    def cell(self) -> float:
        """Shortest edge of the cells that `is_occupied` tells apart, in the box; user's units."""
        sampler = self.renderer.sampler
        if sampler.cells is None:
            return math.inf
        edges = self.info.bounds[1] - self.info.bounds[0]
        whole = float(edges.min() / edges.max()) * sampler.domain.span
        return whole / sampler.cells / self.frame.scale

    @property
    def is_unbounded(self) -> bool:
        """Whether there is something outside the box."""
        return self.info.unbounded

    def render(
        self,
        camera: Camera,
        background: Float[Tensor, "3"] | None = None,
        image: int | None = None,
    ) -> RenderOutput:
        """What a camera sees.

        Args:
            camera: in the user's frame.
            background: behind everything; None for the model's own sky, or else colour.
            image: training image whose exposure the colours have; None for the mean of all.

        Returns:
            Color [h, w, 3], opacity, depth [h, w] in the user's units: on the CPU, wherever the
            model is.
        """
        seen = self.render_rays(self.rays(camera), background, image)
        return replace(seen, depth=seen.depth / self.frame.scale)

    def rays(self, camera: Camera) -> Rays:
        """The rays of a camera, [height, width], in the field's coordinates, on its device."""
        return Cameras.stack([camera], frame=self.frame).to(self.device).view(0)

    @torch.no_grad()
    def render_rays(
        self,
        rays: Rays,
        background: Float[Tensor, "3"] | None = None,
        image: int | None = None,
    ) -> RenderOutput:
        """What rays of `frame`, of any shape and device, see; depth is in its lengths too."""
        rays = rays.to(self.device)
        seen = self.renderer.picture(self.field, rays)
        flat = seen.reshape(rays.near.numel())
        behind = background
        if behind is None and self.corrections.sky is None:
            behind = self.background
        color = self.corrections.over(
            flat,
            rays.directions.reshape(-1, 3),
            None if behind is None else behind.to(self.device),
            None if image is None else torch.full_like(rays.camera.reshape(-1), image),
        )
        found = RenderOutput(color.reshape(*rays.shape, 3), seen.opacity, seen.depth)
        return found.cpu()

    @torch.no_grad()
    def baked(self, config: BakedConfig, cameras: Sequence[Camera] = ()) -> RadianceModel:
        """The field as a model of bytes, that a page draws; itself if it is one.

        What none of the cameras sees is left out, where there are some; so are corrections of
        single images.

        Raises:
            InputError: there is nothing to be seen.
        """
        if self.field.stored_bytes() is not None:
            return self
        theirs = self.renderer.sampler
        known = theirs.handover()
        steps = STEPS if known is None else known.steps
        cells = min(config.blocks, MOST_CELLS)
        grid = OccupancyGrid(resolution=cells, steps=steps, limit=MOST_SAMPLES)
        sky = self.corrections.sky
        beside = Corrections(sky=self.configs[2].sky)
        with torch.random.fork_rng([]):
            torch.manual_seed(0)  # the same run, the same page
            made = RadianceModel(config, grid, replace(self.info, images=0), beside)
        made = made.to(self.device).eval()
        if sky is not None and made.corrections.sky is not None:
            made.corrections.sky.load_state_dict(sky.state_dict())
        seen = SeenField(self.field, theirs.is_near_occupied)
        domain, b = made.field.domain, config.blocks
        shown = torch.ones((b,) * 3, dtype=torch.bool, device=self.device)
        if cameras:
            found = shares(self.field, theirs, cameras, self.frame, domain, b) > LEAST
            # Of the thinnest fog no cell matters, and all of it does.
            shown = found if bool(found.any()) else shown

        def is_worth_it(x: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
            return theirs.is_occupied(x) & shown[cell_of(x, domain, b)]

        stored = made.field.bake(seen, is_worth_it)
        assert stored is not None
        made.renderer.sampler.adopt(functional.interpolate(stored[None, None], (cells,) * 3)[0, 0])
        return made

    def graph(self) -> Graph:
        """Points [n, 3], float64, and unit directions [n, 3] -> what `ask` says, and `occupied`.

        Points are float64, for the user's zero may be far away: float32 would blur them before the
        graph takes the middle of the scene from them. Where `occupied` [n] is false nothing is
        sampled, and density counts as 0.
        """

        def example(n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            low, high = self.bounds.double().cpu()
            place = torch.rand(n, 3, generator=generator, dtype=torch.float64)
            directions = torch.randn(n, 3, generator=generator)
            return low + place * (high - low), functional.normalize(directions, dim=1)

        about = {
            "kind": self.kind,
            "field": to_tree(self.configs[0], TaggedRadiance),
            "bounds": self.bounds.tolist(),
            "unbounded": self.info.unbounded,
            "frame": {"center": list(self.frame.center), "scale": self.frame.scale},
            "color_space": self.color_space,
            "background": list(self.info.background),
        }
        inputs, outputs = ("points", "directions"), ("density", "rgb", "occupied")
        return Graph(_Asked(self), example, inputs, outputs, about)

    def describe(self) -> dict[str, Any]:
        """The metadata of the model file."""
        field, sampler, corrections = self.configs
        return {
            "kind": self.kind,
            "model": "radiance",
            "field": to_tree(field, TaggedRadiance),
            "sampler": to_tree(sampler, TaggedSampler),
            "bounds": self.info.bounds.tolist(),
            "unbounded": self.info.unbounded,
            "color_space": self.info.color_space,
            "background": list(self.info.background),
            "frame": {"center": list(self.frame.center), "scale": self.frame.scale},
            "images": self.info.images,
            "corrections": to_tree(corrections),
        }


class _Asked(nn.Module):
    """The graph of a radiance model."""

    def __init__(self, model: RadianceModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, points: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Density per length of the user's, colour, and whether a sample is ever taken there."""
        said = self.model.ask(points, directions)
        place = self.model.frame.normalised(points).float()
        occupied = self.model.renderer.sampler.is_occupied(place)
        if not self.model.info.unbounded:
            box = self.model.field.domain.bounds
            occupied = occupied & ((place >= box[0]) & (place <= box[1])).all(1)
        return said.density, said.rgb, occupied
