"""nerfacc's occupancy grid and its compositing of packed samples (Li et al. 2023).

Optional: both need an NVIDIA GPU, the package `nerfacc`, and nvcc, with which it compiles its CUDA
code on first use. They stand beside `OccupancyGrid` and `volume.composite`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from polyfield.backends import optional
from polyfield.devices import Rows, uniform
from polyfield.encodings.domain import Domain
from polyfield.errors import InputError
from polyfield.fields.probe import Probe
from polyfield.ranges import Range, check
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.march import entry
from polyfield.renderers.samplers import Density, Handover, Sampler, cell_of
from polyfield.renderers.volume import RenderOutput, points
from polyfield.scenes.rays import Rays

CHUNK = 1 << 17
"""Cells looked at at once."""


@dataclass(frozen=True)
class NerfaccGrid:
    """nerfacc's occupancy grid: fixed steps where it says there may be something; on a GPU."""

    resolution: Annotated[int, Range(1, 256)] = 128
    """R, cells an axis of the scene's box."""
    steps: Annotated[int, Range(1, 1 << 16)] = 1024
    """Steps on the diagonal of a cube as wide as the box."""
    cone: Annotated[float, Range(0, 1)] = 0.0
    """Growth of the step with distance; instant-ngp uses 1/256 for large scenes."""
    threshold: Annotated[float, Range(0, 1e6)] = 0.01
    """Optical thickness of a step below which a cell counts as empty."""
    decay: Annotated[float, Range(0, 1)] = 0.95
    """What remains of a cell's value each time it is looked at again."""
    every: Annotated[int, Range(1, 10**6)] = 16
    """Training steps between updates."""
    sweep: Annotated[int, Range(0, 10**9)] = 256
    """Training steps in which an update looks at every cell; later at a quarter, or half."""
    prune: Annotated[float, Range(0, 1)] = 1e-4
    """Training leaves out samples that less than this share of light reaches. 0 keeps all."""

    def following(self, teacher: Handover, whole: bool) -> NerfaccGrid:
        """Itself: its estimator takes over no grid."""
        return self

    def build(self, domain: Domain) -> NerfaccSampler:
        """The module.

        Raises:
            InputError: impossible values, an unbounded scene, or nerfacc can't be used here.
        """
        check(self)
        if domain.contracted:
            raise InputError(
                "a bounded scene for the NerfaccGrid sampler",
                "an unbounded one",
                "use OccupancyGrid",
            )
        nerfacc = optional.load(optional.NERFACC)
        bounds = domain.bounds.flatten().tolist()
        return NerfaccSampler(domain, self, nerfacc.OccGridEstimator(bounds, self.resolution))


class NerfaccSampler(Sampler):
    """Marches rays through the occupied cells of an estimator.

    Steps lie and are kept as those of `OccupancyGrid`: from where a ray enters the box, kept if the
    cell at their middle is occupied. The grid is saved with the model.
    """

    def __init__(self, domain: Domain, config: NerfaccGrid, estimator: Any) -> None:
        """Wrap `estimator`, a nerfacc.OccGridEstimator of the domain's box."""
        super().__init__()
        self.domain, self.config, self.estimator = domain, config, estimator
        # A cell never looked at is occupied; nerfacc's are empty.
        estimator.binaries.fill_(True)

    @property
    def step(self) -> float:
        """The smallest step, world units."""
        return math.sqrt(3) * self.domain.span / self.config.steps

    def forward(
        self, rays: Rays, density: Probe | None, generator: torch.Generator | Rows | None = None
    ) -> Intervals:
        """Intervals in occupied cells.

        With a generator (training) and a density, only those that light reaches.
        """
        optional.on_cuda(optional.NERFACC, rays.origins)
        begin, leave = entry(rays.origins, rays.directions, rays.near, rays.far, self.domain)
        jitter = torch.full_like(begin, 0.5)
        if generator is not None:
            jitter = uniform((len(rays),), generator, begin.device)
        first = begin + jitter * (begin * self.config.cone).clamp(min=self.step)
        ray, start, end = (
            self.estimator.sampling(
                rays.origins,
                rays.directions,
                t_min=first,
                t_max=leave,
                render_step_size=self.step,
                cone_angle=self.config.cone,
                early_stop_eps=0.0,
            )
            if len(rays)
            else (begin.long(), begin, begin)
        )
        found = Intervals(_offsets(ray, len(rays)), start, end)
        training = generator is not None and self.config.prune > 0
        if density is None or not training or len(found) == 0:
            return found
        with torch.no_grad():
            seen = optional.load(optional.NERFACC).render_visibility_from_density(
                found.start,
                found.end,
                density(points(rays, found)[0]),
                packed_info=_packed(found),
                early_stop_eps=self.config.prune,
            )
            return replace(found.keep(seen), marched=found.offsets.diff())

    def next_intervals(
        self, rays: Rays, begin: Float[Tensor, "r"], limit: int, density: Density
    ) -> Intervals:
        """The next `limit` occupied intervals beyond t = begin."""
        optional.on_cuda(optional.NERFACC, rays.origins)
        enter, leave = entry(rays.origins, rays.directions, rays.near, rays.far, self.domain)
        if not len(rays):
            return Intervals(_offsets(enter.long(), 0), enter, enter)
        intervals, samples, _ = optional.load(optional.NERFACC).traverse_grids(
            rays.origins,
            rays.directions,
            self.estimator.binaries,
            self.estimator.aabbs,
            near_planes=torch.maximum(enter, begin),
            far_planes=leave,
            step_size=self.step,
            cone_angle=self.config.cone,
            traverse_steps_limit=limit,
        )
        return Intervals(
            _offsets(samples.ray_indices, len(rays)),
            intervals.vals[intervals.is_left],
            intervals.vals[intervals.is_right],
        )

    def occupied_points(self) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]] | None:
        """Middles of the occupied cells that were looked at, and their densities."""
        value = self.estimator.occs.view(self.estimator.binaries.shape[1:])
        cells = (self.estimator.binaries[0] & (value > 0)).nonzero()
        if not len(cells):
            return None
        x = self.domain.inverse((cells + 0.5) / self.config.resolution)
        return x, value[cells.unbind(1)] / self.step

    def is_occupied(self, x: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
        """Whether a world point's cell is occupied."""
        return self.estimator.binaries[0][cell_of(x, self.domain, self.config.resolution)]

    def is_near_occupied(self, x: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
        """Whether a world point's cell, or one that touches it, is occupied."""
        near = functional.max_pool3d(self.estimator.binaries.float(), 3, 1, 1)[0] > 0
        return near[cell_of(x, self.domain, self.config.resolution)]

    @torch.no_grad()
    def refresh(self, density: Density, step: int) -> None:
        """Look at cells again, every `every` steps.

        Random numbers depend on the step alone.
        """

        def thickness(x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 1"]:
            return torch.cat([density(part) for part in x.split(CHUNK)])[:, None] * self.step

        config = self.config
        if step % config.every:
            return
        device = self.estimator.occs.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(step)
            self.estimator.train()
            self.estimator.update_every_n_steps(
                step,
                occ_eval_fn=thickness,
                occ_thre=config.threshold,
                ema_decay=config.decay,
                warmup_steps=config.sweep,
                n=config.every,
            )


def composite(
    rgb: Float[Tensor, "n 3"], density: Float[Tensor, "n"], intervals: Intervals
) -> RenderOutput:
    """Blend the samples of each ray front to back: `volume.composite` by nerfacc.

    Args:
        rgb: [n, 3], on a CUDA device.
        density: [n], >= 0, per world unit.
        intervals: where the samples are.

    Raises:
        InputError: nerfacc can't be used here.
    """
    nerfacc = optional.load(optional.NERFACC)
    optional.on_cuda(optional.NERFACC, density)
    values = torch.cat([rgb, intervals.middle[:, None]], -1)
    weight = density
    if len(intervals):
        weight, _, _ = nerfacc.render_weight_from_density(
            intervals.start, intervals.end, density, packed_info=_packed(intervals)
        )
    blended = nerfacc.accumulate_along_rays(weight, values, intervals.ray, intervals.n_rays)
    opacity = nerfacc.accumulate_along_rays(weight, None, intervals.ray, intervals.n_rays)[:, 0]
    return RenderOutput(blended[:, :3], opacity, blended[:, 3] / opacity.detach().clamp(min=1e-6))


def _packed(intervals: Intervals) -> Int64[Tensor, "r 2"]:
    """First sample and number of samples of each ray."""
    return torch.stack([intervals.offsets[:-1], intervals.offsets.diff()], -1)


def _offsets(ray: Int64[Tensor, "n"], rays: int) -> Int64[Tensor, "r1"]:
    """Offsets out of the ray of each sample, sorted."""
    return functional.pad(torch.bincount(ray, minlength=rays).cumsum(0), (1, 0))
